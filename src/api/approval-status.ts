import * as z from 'zod';
import { approvalFields } from './approval-step.ts';
import { scalar, time } from './common.ts';
import { terraformDetails } from './runner.ts';

/** Longest comment on a vote. */
export const MAX_COMMENT = 512;
/** Most people whose votes on one approval are kept. */
export const MAX_VOTES = 32;
/** Most plans that one approval names. */
export const MAX_APPROVED_PLANS = 16;

/** What somebody said about a step that waits for approval, signed by the operator that heard it. */
export const vote = z
  .strictObject({
    step: z.string().max(136).meta({ description: 'The step that was voted on.' }),
    round: z.int().min(0).meta({ description: 'The round of the run, from 0.' }),
    attempt: z.int().min(1).meta({ description: 'The attempt of the step.' }),
    asked: time('Since when the step had waited for approval.'),
    digest: z.string().max(71).meta({ description: 'What was approved; empty where there was no plan.' }),
    user: z.string().min(1).max(256).meta({ description: 'Who voted, as the API server knows them.' }),
    as: z.string().max(256).meta({ description: 'The one of the approvers that the user is or belongs to.' }),
    own: z
      .boolean()
      .meta({ description: 'Whether the user had started the run, or it is not known who did.' }),
    decision: z.enum(['Approve', 'Reject', 'Withdraw']).meta({ description: 'What the user said.' }),
    comment: z.string().max(MAX_COMMENT).optional().meta({ description: 'Why, in their words.' }),
    fields: z.record(z.string().max(63), scalar).optional().meta({
      description: 'The values that the user gave.',
      maxProperties: 8,
    }),
    time: time('When it was said.'),
    signature: z.string().max(64).meta({
      description: 'Of all of this and the UID of the run: without it, nothing of this counts.',
    }),
  })
  .meta({ description: 'A vote.' });
export type Vote = z.infer<typeof vote>;
export type UnsignedVote = Omit<Vote, 'signature'>;

const approvedPlan = terraformDetails
  .pick({ digest: true, commit: true, add: true, change: true, destroy: true, import: true, replace: true })
  .extend({
    step: z.string().max(136).meta({ description: 'The step, or the instance of one, that made the plan.' }),
    changes: terraformDetails.shape.changes.meta({
      description: 'The first changes.',
      'x-kubernetes-list-type': 'atomic',
    }),
    moreChanges: terraformDetails.shape.moreChanges,
  })
  .meta({ description: 'A plan that is approved.' });
export type ApprovedPlan = z.infer<typeof approvedPlan>;

/** What is asked of whom, and what they said. */
export const approvalStatus = z
  .strictObject({
    approvers: z
      .array(z.string().max(256))
      .max(32)
      .meta({ description: 'Who is asked.', 'x-kubernetes-list-type': 'atomic' }),
    required: z.int().min(1).meta({ description: 'How many of them must approve.' }),
    allowSelf: z.boolean().optional().meta({
      description: 'Whether whoever started the run may approve.',
    }),
    message: z.string().max(1024).optional().meta({ description: 'What those who are asked should know.' }),
    deadline: time('When it is too late.'),
    digest: z.string().max(71).meta({
      description:
        'Stands for all that is approved: a vote on another digest does not count. Empty without a plan.',
    }),
    plans: z
      .array(approvedPlan)
      .max(MAX_APPROVED_PLANS)
      .optional()
      .meta({ description: 'The plans that are approved.', 'x-kubernetes-list-type': 'atomic' }),
    morePlans: z.int().min(1).optional().meta({ description: 'How many plans are not in the list.' }),
    fields: approvalFields.optional().meta({
      description: 'Values that those who approve give.',
      'x-kubernetes-list-type': 'atomic',
    }),
    votes: z
      .array(vote)
      .max(MAX_VOTES)
      .optional()
      .meta({ description: 'The last vote of each who voted.', 'x-kubernetes-list-type': 'atomic' }),
  })
  .meta({ description: 'Of an approval: what is asked of whom, and what they said.' });
export type ApprovalStatus = z.infer<typeof approvalStatus>;
