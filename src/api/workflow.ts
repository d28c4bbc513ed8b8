import * as z from 'zod';
import { byName, checks, conditions, duration, expression, time } from './common.ts';
import { concurrency } from './concurrency.ts';
import { notifications } from './notifications.ts';
import { param } from './param.ts';
import { podSettings } from './pod-settings.ts';
import { finallyStep, step } from './step.ts';
import { trigger } from './trigger.ts';

const retention = z
  .strictObject({
    succeeded: z
      .int()
      .min(0)
      .max(10_000)
      .optional()
      .meta({ description: 'How many runs that Succeeded are kept. Default 100.' }),
    failed: z
      .int()
      .min(0)
      .max(10_000)
      .optional()
      .meta({ description: 'How many runs that ended otherwise are kept. Default 100.' }),
    ttl: duration('How long a finished run is kept at most. Default: no limit.', '0s').optional(),
    podTTL: duration(
      'How long the Jobs and pods of a finished run, and with them its logs, are kept. Default: as long as the run.',
      '0s',
    ).optional(),
  })
  .meta({
    description:
      'How many finished runs are kept, and for how long. Older ones are deleted with their Jobs and pods.',
  });
export type Retention = z.infer<typeof retention>;

/**
 * A map from name to position, in a list of one so that a macro can bind it: looked up in a map, names cost the
 * same however many there are, and the API server's cost estimate passes for 500 steps.
 */
const indexOf = (steps: string) => `[${steps}.transformMapEntry(i, s, {s.name: i})]`;

/** That the steps which a list names are there; `list` is its path in a step, as CEL writes it, `field` as people do. */
const namesExist = (list: string, field: string, has: string) => {
  const stranger = `s.${list}.filter(d, !(d in index))[0]`;
  return {
    rule: `${indexOf('self')}.all(index, self.all(s, !(${has}) || s.${list}.all(d, d in index)))`,
    message: 'must be the name of exactly one step: correct or remove it',
    culprit: `${indexOf('self')}.map(index, self.map(s, (${has}) && s.${list}.exists(d, !(d in index)), ${stranger} + '" in ${field} of step "' + s.name)[0])[0]`,
  };
};

const stepsExist = [
  namesExist('dependsOn', 'dependsOn', 'has(s.dependsOn)'),
  namesExist('condition.then', 'condition.then', 'has(s.condition) && has(s.condition.then)'),
  namesExist('condition.__else__', 'condition.else', 'has(s.condition) && has(s.condition.__else__)'),
  namesExist('approval.onReject', 'approval.onReject', 'has(s.approval) && has(s.approval.onReject)'),
];

const namesDiffer = {
  rule: `!has(self.finally) || ${indexOf('self.steps')}.all(index, self.finally.all(f, !(f.name in index)))`,
  message: 'must be the name of one step only, and is both in steps and in finally: rename one of the two',
  culprit: `${indexOf('self.steps')}.map(index, self.finally.map(f, f.name in index, f.name)[0])[0]`,
  fieldPath: '.finally',
};

/** What a Workflow asks for. */
export const workflowSpec = z
  .strictObject({
    state: z.enum(['Active', 'Paused', 'Draft']).default('Active').meta({
      description:
        'Whether runs are started. Active: by triggers and by hand. Paused: by hand only. Draft: not at all. Default Active.',
    }),
    description: z
      .string()
      .max(1024)
      .optional()
      .meta({ description: 'What the workflow is for, shown where workflows are listed.' }),
    environment: z.string().max(63).optional().meta({
      description: 'What the workflow works on, for example production: shown in lists and notifications.',
    }),
    params: z
      .array(param)
      .max(64)
      .optional()
      .meta({
        description: 'Values that a run is started with, read in expressions as params.<name>.',
        ...byName,
      }),
    triggers: z
      .array(trigger)
      .max(16)
      .optional()
      .meta({
        description:
          'What starts runs while the state is Active. Runs can be started by hand in any case, which needs no trigger.',
        ...byName,
      }),
    steps: z
      .array(step)
      .min(1)
      .max(500)
      .meta({
        description: 'What a run does. A plain list is a pipeline: each step waits for the one before it.',
        ...byName,
        ...checks(...stepsExist),
      }),
    finally: z
      .array(finallyStep)
      .max(64)
      .optional()
      .meta({
        description:
          'Steps that run one after the other at the end of every run, also after a failure or a timeout. Each runs whether or not the one before it failed; a failure among them fails the run.',
        ...byName,
      }),
    timeout: duration(
      'How long a run may take before its steps are stopped. Default: no limit but that of each step.',
    ).optional(),
    concurrency: concurrency.optional(),
    outputs: z
      .record(z.string().min(1).max(63), expression('The value of one output.'))
      .optional()
      .meta({
        description:
          'What a run that Succeeded gives to those who started it: CEL expressions over params and the outputs of all steps, by name.',
        maxProperties: 32,
        ...checks({
          rule: "self.all(k, k.matches('^[A-Za-z_][A-Za-z0-9_]*$'))",
          message: "names of outputs must consist of letters, digits and '_', and not start with a digit",
        }),
      }),
    notifications: notifications.optional(),
    retention: retention.optional(),
    podDefaults: podSettings
      .optional()
      .meta({ description: 'Settings of the pods of all steps. A step can replace each of them.' }),
  })
  .meta({ description: 'What the workflow does.', ...checks(namesDiffer) });
export type WorkflowSpec = z.infer<typeof workflowSpec>;

const scheduleStatus = z
  .strictObject({
    name: z.string().max(63).meta({ description: 'Name of the trigger.' }),
    cron: z.string().max(128).meta({
      description: 'The times that are counted. Others in the trigger count from when they are seen.',
    }),
    timeZone: z.string().max(64).meta({ description: 'Their time zone.' }),
    handledUntil: time('Of the times until then, those that were to be started have been.'),
    lastScheduledAt: time('The time that the last run was started for.').optional(),
  })
  .meta({ description: 'How far a schedule has come.' });
export type ScheduleStatus = z.infer<typeof scheduleStatus>;

/** What Signalbox reports about a Workflow. */
export const workflowStatus = z
  .strictObject({
    observedGeneration: z
      .int()
      .optional()
      .meta({ description: 'The metadata.generation that this status was judged on.' }),
    conditions: conditions.optional(),
    triggers: z.string().max(256).optional().meta({
      description: 'What starts runs: Manual, or the kinds of its triggers.',
    }),
    active: z.int().optional().meta({ description: 'How many of its runs have not ended.' }),
    lastRun: z
      .strictObject({
        name: z.string().max(253).meta({ description: 'Name of the WorkflowRun.' }),
        startedAt: time('When it started.'),
      })
      .optional()
      .meta({ description: 'The run that started last.' }),
    nextRun: time('When the next scheduled run starts.').optional(),
    schedules: z
      .array(scheduleStatus)
      .max(16)
      .optional()
      .meta({
        description: 'How far the schedules of the workflow have come, while its state is Active.',
        ...byName,
      }),
    lastResult: z.string().max(32).optional().meta({ description: 'Phase of the run that ended last.' }),
    manualRun: z
      .strictObject({
        name: z.string().max(253).meta({ description: 'Name of the WorkflowRun.' }),
      })
      .optional()
      .meta({
        description: 'The run that is being created because of the annotation signalbox.dev/run=now.',
      }),
  })
  .meta({ description: 'What Signalbox reports about the workflow.' });
export type WorkflowStatus = z.infer<typeof workflowStatus>;
