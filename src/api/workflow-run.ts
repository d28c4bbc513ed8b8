import * as z from 'zod';
import { approvalStatus } from './approval-status.ts';
import { checks, conditions, objectName, scalar, time } from './common.ts';
import { CONCURRENCY_POLICIES } from './concurrency.ts';
import { ansibleDetails, terraformDetails } from './runner.ts';
import { STEP_TYPES } from './step.ts';

/** The phases of a run. */
export const RUN_PHASES = [
  'Pending',
  'Queued',
  'Running',
  'AwaitingApproval',
  'Succeeded',
  'Failed',
  'Cancelled',
  'TimedOut',
] as const;
export type RunPhase = (typeof RUN_PHASES)[number];

/** The phases of a step. */
const STEP_PHASES = ['Pending', 'Running', 'Succeeded', 'Failed', 'Cancelled', 'Skipped'] as const;
export type StepPhase = (typeof STEP_PHASES)[number];

const git = z
  .strictObject({
    repository: z.string().max(1024).optional().meta({ description: 'Address or name of the repository.' }),
    branch: z.string().max(255).optional().meta({ description: 'Branch that was pushed to.' }),
    commit: z.string().max(64).optional().meta({ description: 'Hash of the commit.' }),
    message: z.string().max(1024).optional().meta({ description: 'Message of the commit.' }),
    author: z.string().max(255).optional().meta({ description: 'Who wrote the commit.' }),
  })
  .meta({ description: 'The commit that the run is about.' });

const trigger = z
  .strictObject({
    type: z.enum(['Manual', 'Schedule', 'GitPush', 'Workflow']).default('Manual').meta({
      description:
        'The kind of start. Manual: a person. Schedule: a time, which Signalbox alone may say. GitPush: a commit was pushed. Workflow: a step of another run. Default Manual.',
    }),
    name: z.string().max(253).optional().meta({
      description:
        'Which one of its kind: for type Schedule the trigger of the workflow, for type Workflow the run that started this one.',
    }),
    by: z.string().max(255).optional().meta({ description: 'Who started the run.' }),
    step: z
      .string()
      .max(128)
      .optional()
      .meta({ description: 'For type Workflow: the step that started it.' }),
    depth: z
      .int()
      .min(0)
      .max(8)
      .optional()
      .meta({ description: 'For type Workflow: how many runs are above this one.' }),
    scheduledAt: z.iso
      .datetime()
      .max(32)
      .optional()
      .meta({ description: 'For type Schedule: the time that the run was started for.' }),
    git: git.optional(),
  })
  .meta({ description: 'What started the run. Default: a person, type Manual.' });
export type WorkflowRunTrigger = z.infer<typeof trigger>;

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
    trigger: trigger.default({ type: 'Manual' }),
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

const child = z
  .strictObject({
    name: z.string().max(253).meta({ description: 'Name of the WorkflowRun.' }),
    uid: z.string().max(64).optional().meta({ description: 'UID of the WorkflowRun.' }),
  })
  .meta({ description: 'The run that the attempt started, of a step of type workflow.' });

const attempt = z
  .strictObject({
    job: job.optional(),
    run: child.optional(),
    startedAt: time('When the attempt started.'),
    finishedAt: time('When the attempt ended.'),
    reason: reason.meta({ description: 'Why it failed, as one word for machines.' }),
    message: message.optional().meta({ description: 'Why it failed, as a sentence for people.' }),
  })
  .meta({ description: 'An attempt that failed and was followed by another.' });

const stepStatus = z
  .strictObject({
    name: z.string().max(136).meta({
      description:
        'Name of the step. An instance of a step with forEach follows its step, as plan[us]. Of a notification its event, as onStart[0], with the approval that it is about, as onWaiting[0]/approval, and update[notify] brings the message of step notify up to date.',
    }),
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
    attemptStartedAt: time(
      'When the current or last attempt started. Default: startedAt, which is when the first did.',
    ).optional(),
    retryAt: time('When the next attempt starts, while the step waits for it.').optional(),
    attempts: z.array(attempt).max(32).optional().meta({ description: 'Earlier attempts.' }),
    attemptsBefore: z.int().min(1).optional().meta({
      description:
        'How many attempts there had been when the run was continued; they do not count for retry.',
    }),
    job: job.optional(),
    run: child.optional(),
    summary: z.string().max(256).optional().meta({ description: 'What came of it, in a few words.' }),
    outputs: z
      .record(z.string().max(128), z.unknown())
      .optional()
      .meta({ description: 'What the step gave to those after it, read as steps.<name>.outputs.<key>.' }),
    terraform: terraformDetails.optional(),
    ansible: ansibleDetails.optional(),
    approval: approvalStatus.optional(),
  })
  .meta({ description: 'Where one step stands.' });
export type StepStatus = z.infer<typeof stepStatus>;

const cancellation = z
  .strictObject({
    requestedAt: time('When it was asked for.'),
    reason: z.enum(['Cancelled', 'Replaced']).meta({
      description: 'Cancelled: somebody asked for it. Replaced: a newer run took its place.',
    }),
    message: message.meta({ description: 'Who asked for it, as a sentence for people.' }),
    terminatedAt: time('When it was asked for again: the run ended at once, without finally.').optional(),
  })
  .meta({ description: 'Why and since when the run is being ended before its time.' });
export type Cancellation = z.infer<typeof cancellation>;

const queue = z
  .strictObject({
    key: z
      .string()
      .max(512)
      .meta({ description: 'What runs that must not run side by side have in common.' }),
    policy: z
      .enum(CONCURRENCY_POLICIES)
      .meta({ description: 'What happens when another run has the same key.' }),
    since: time('Since when the run waits.').optional(),
    blockedBy: z
      .strictObject({
        kind: z.enum(['Run', 'WorkflowLimit', 'NamespaceLimit', 'ClusterLimit']).meta({
          description: 'What the run waits for: another run, or for one of so many active ones to end.',
        }),
        run: z.string().max(253).optional().meta({ description: 'The run directly before this one.' }),
        since: time('Since when that run is active or waits.').optional(),
        limit: z.int().optional().meta({ description: 'How many runs may be active.' }),
      })
      .optional()
      .meta({ description: 'What keeps the run from starting.' }),
  })
  .meta({ description: 'How the run relates to others that must not run beside it.' });
export type QueueStatus = z.infer<typeof queue>;

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
    revisionSeal: z.string().max(64).optional().meta({
      description:
        'The seal of Signalbox on what that holds, for this run alone. Where Signalbox has keys, the run goes on only with it.',
    }),
    basedOn: z.string().max(32).optional().meta({
      description:
        'The resourceVersion of the run that this status was decided on. What the status names without a UID was made after that, if at all.',
    }),
    startedBy: z.string().max(256).optional().meta({
      description:
        'Who created the run, or asked for it, as the API server knew them. Absent where a trigger did, and where it is not on record.',
    }),
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
    cancellation: cancellation.optional(),
    queue: queue.optional(),
    round: z.int().min(1).optional().meta({
      description: 'How often the finished run was continued with signalbox.dev/retry.',
    }),
    waitingSince: time(
      'Since when nothing goes on but approvals that wait: the timeout does not count it.',
    ).optional(),
    waitedMs: z.int().min(0).optional().meta({
      description:
        'How long that was the case before, in milliseconds, since the run was started or continued.',
    }),
    resumedAt: time('When the run was continued last. Its timeout counts from here.').optional(),
    handled: z.string().max(256).optional().meta({
      description: 'The annotation that has been acted on and is about to be removed, as name=value.',
    }),
    outputs: z.record(z.string().max(63), z.unknown()).optional().meta({
      description: 'What the run gives to those who started it, as spec.outputs of its workflow has it.',
    }),
    notifications: z
      .array(stepStatus)
      .max(600)
      .optional()
      .meta({ description: 'What became of the notifications.', 'x-kubernetes-list-type': 'atomic' }),
    conditions: conditions.optional(),
    steps: z
      .array(stepStatus)
      .max(6000)
      .optional()
      // Written by the operator alone, and as a whole: the API server need not track who owns each field of each step.
      .meta({ description: 'Where each step stands.', 'x-kubernetes-list-type': 'atomic' }),
  })
  .meta({ description: 'What Signalbox reports about the run.' });
export type WorkflowRunStatus = z.infer<typeof workflowRunStatus>;
