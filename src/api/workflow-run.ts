import * as z from 'zod';
import { checks, conditions, objectName, scalar, time } from './common.ts';
import { STEP_TYPES } from './step.ts';

/** The phases of a run. */
const RUN_PHASES = ['Pending', 'Running', 'Succeeded', 'Failed', 'TimedOut'] as const;
export type RunPhase = (typeof RUN_PHASES)[number];

/** The phases of a step. */
const STEP_PHASES = ['Pending', 'Running', 'Succeeded', 'Failed', 'Skipped'] as const;
export type StepPhase = (typeof STEP_PHASES)[number];

/** What a WorkflowRun asks for; it never changes. */
export const workflowRunSpec = z
  .strictObject({
    workflowRef: z
      .strictObject({ name: objectName('Workflow') })
      .meta({ description: 'The workflow to run.' }),
    params: z.record(z.string().max(63), scalar).optional().meta({
      description: 'Values for the parameters of the workflow, by name. Default: those of the workflow.',
      maxProperties: 64,
    }),
    trigger: z
      .strictObject({
        type: z
          .enum(['Manual'])
          .default('Manual')
          .meta({ description: 'The kind of start. Default Manual.' }),
      })
      .default({ type: 'Manual' })
      .meta({ description: 'What started the run. Default: a person, type Manual.' }),
  })
  .meta({
    description: 'What to run, and with which values. It can not be changed once created.',
    ...checks({ rule: 'self == oldSelf', message: 'a run can not be changed: create another one' }),
  });
export type WorkflowRunSpec = z.infer<typeof workflowRunSpec>;

const reason = z.string().max(128).meta({ description: 'Why it stands there, as one word for machines.' });
const message = z.string().max(1024).meta({ description: 'Why it stands there, as a sentence for people.' });

const job = z
  .strictObject({
    name: z
      .string()
      .max(63)
      .meta({ description: 'Name of the Job and of its pod: kubectl logs job/<name>.' }),
    uid: z.string().max(64).optional().meta({ description: 'UID of the Job.' }),
  })
  .meta({ description: 'The Job that runs the attempt.' });

const attempt = z
  .strictObject({
    job: job.optional(),
    startedAt: time('When the attempt started.'),
    finishedAt: time('When the attempt ended.'),
    reason: reason.meta({ description: 'Why it failed, as one word for machines.' }),
    message: message.optional().meta({ description: 'Why it failed, as a sentence for people.' }),
  })
  .meta({ description: 'An attempt that failed and was followed by another.' });

const stepStatus = z
  .strictObject({
    name: z.string().max(63).meta({ description: 'Name of the step.' }),
    type: z.enum(STEP_TYPES).meta({ description: 'What the step does.' }),
    phase: z.enum(STEP_PHASES).meta({ description: 'Where the step stands.' }),
    reason: reason.optional(),
    message: message.optional(),
    startedAt: time('When the first attempt started.').optional(),
    finishedAt: time('When the step ended.').optional(),
    attempt: z
      .int()
      .min(1)
      .optional()
      .meta({ description: 'Number of the current or last attempt, from 1.' }),
    attemptStartedAt: time('When the current or last attempt started.').optional(),
    retryAt: time('When the next attempt starts, while the step waits for it.').optional(),
    attempts: z.array(attempt).max(32).optional().meta({ description: 'Earlier attempts.' }),
    job: job.optional(),
    summary: z.string().max(256).optional().meta({ description: 'What came of it, in a few words.' }),
    outputs: z
      .record(z.string().max(128), z.unknown())
      .optional()
      .meta({ description: 'What the step gave to those after it, read as steps.<name>.outputs.<key>.' }),
  })
  .meta({ description: 'Where one step stands.' });
export type StepStatus = z.infer<typeof stepStatus>;

/** What Signalbox reports about a WorkflowRun. */
export const workflowRunStatus = z
  .strictObject({
    phase: z.enum(RUN_PHASES).optional().meta({ description: 'Where the run stands.' }),
    reason: reason.optional(),
    message: message.optional(),
    revision: z
      .string()
      .max(253)
      .optional()
      .meta({ description: 'The ControllerRevision that holds the workflow as this run executes it.' }),
    startedAt: time('When the run was accepted.').optional(),
    finishedAt: time('When the run ended.').optional(),
    duration: z
      .string()
      .max(32)
      .optional()
      .meta({ description: 'How long the run took, for example 5m32s.' }),
    progress: z
      .string()
      .max(16)
      .optional()
      .meta({ description: 'Steps that have ended, out of all, for example 3/5.' }),
    currentStep: z.string().max(128).optional().meta({ description: 'The steps that are running.' }),
    timedOutAt: time('When the run exceeded its timeout.').optional(),
    conditions: conditions.optional(),
    steps: z
      .array(stepStatus)
      .max(600)
      .optional()
      // Written by the operator alone, and as a whole: the API server need not track who owns each field of each step.
      .meta({ description: 'Where each step stands.', 'x-kubernetes-list-type': 'atomic' }),
  })
  .meta({ description: 'What Signalbox reports about the run.' });
export type WorkflowRunStatus = z.infer<typeof workflowRunStatus>;
