import * as z from 'zod';
import { byName, duration, scalar } from './common.ts';

/** How long an approval waits that names no timeout. */
export const APPROVAL_TIMEOUT = '1h';
/** Most people that one approval can need. */
const MAX_REQUIRED = 16;

/** Who may be asked: one person, a group as the API server knows it, or a team of the operator's settings. */
export const APPROVER = /^(user|group|team):\S(.*\S)?$/;

const field = z
  .strictObject({
    name: z
      .string()
      .min(1)
      .max(63)
      .regex(/^[A-Za-z_][A-Za-z0-9_]*$/)
      .meta({ description: "Name of the field: letters, digits and '_', not starting with a digit." }),
    type: z
      .enum(['string', 'number', 'boolean'])
      .default('string')
      .meta({ description: 'Type of the value. Default string.' }),
    description: z
      .string()
      .max(256)
      .optional()
      .meta({ description: 'What the field means, for those who fill it in.' }),
    required: z
      .boolean()
      .optional()
      .meta({ description: 'Whether an approval without a value is refused. Default false.' }),
    default: scalar
      .optional()
      .meta({ description: 'Value when an approval gives none: a string, number or boolean, as type says.' }),
    enum: z
      .array(z.union([z.string().max(256), z.number(), z.boolean()]))
      .min(1)
      .max(16)
      .optional()
      .meta({ description: 'The only values allowed. Default: all.', 'x-kubernetes-list-type': 'atomic' }),
    pattern: z
      .string()
      .max(256)
      .optional()
      .meta({ description: 'Regular expression that the whole value must match; for type string.' }),
  })
  .meta({ description: 'A value that those who approve give.' });
export type ApprovalField = z.infer<typeof field>;

/** Form fields of an approval. */
export const approvalFields = z.array(field).max(8);

/** Waits until people agree. */
export const approvalStep = z
  .strictObject({
    approvers: z
      .array(
        z.string().max(256).regex(APPROVER, 'must be user:<name>, group:<name> or team:<name>').meta({
          description:
            'user:<name>, group:<name> or team:<name>, for example team:platform. Users and groups are as the API server knows them; teams are in the settings of the operator, and one that is not there is the group of that name.',
        }),
      )
      .min(1)
      .max(32)
      .meta({ description: 'Who may approve or reject.', 'x-kubernetes-list-type': 'set' }),
    required: z.int().min(1).max(MAX_REQUIRED).optional().meta({
      description: 'How many of them must approve. One who rejects is enough to reject. Default 1.',
    }),
    timeout: duration(
      `How long the step waits; after that it fails with reason TimedOut. Default ${APPROVAL_TIMEOUT}.`,
    ).optional(),
    allowSelf: z.boolean().optional().meta({
      description:
        'Whether whoever started the run, or wrote the commit that did, may approve. Default false.',
    }),
    message: z.string().min(1).max(1024).optional().meta({
      description: 'What those who are asked should know. ${{ expression }} in it is replaced.',
    }),
    plan: z.string().min(1).max(256).optional().meta({
      description:
        'The plan step that is approved, or one instance of it, for example plan or plan[us]. Default: every plan made before that a step behind the approval carries out.',
    }),
    fields: approvalFields.optional().meta({
      description: 'Values that those who approve give; they are the outputs of the step.',
      ...byName,
    }),
    onReject: z
      .array(z.string().max(63).meta({ description: 'Name of a step.' }))
      .min(1)
      .max(256)
      .optional()
      .meta({
        description:
          'Names of the steps that run, one after the other, if the step is rejected or times out; those behind the approval are Skipped, and the run does not fail for it. Default: the step fails, and with it the run.',
        'x-kubernetes-list-type': 'set',
      }),
  })
  .meta({
    description:
      'Waits until people agree. They vote with kubectl annotate workflowrun NAME signalbox.dev/approve=STEP, or signalbox.dev/reject=STEP.',
  });
export type ApprovalStep = z.infer<typeof approvalStep>;
