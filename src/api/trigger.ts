import * as z from 'zod';
import { checks, duration, name, scalar } from './common.ts';

const scheduleTrigger = z
  .strictObject({
    cron: z.string().min(1).max(128).meta({
      description:
        'When: minute, hour, day of the month, month and day of the week, as in "30 2 * * 1-5". Each is *, a number, a range a-b, a step */n or a-b/n, or a list of these; months and days of the week have names too (jan, mon), and Sunday is 0 or 7. Where both kinds of days are restricted, either is enough.',
    }),
    timeZone: z.string().min(1).max(64).default('UTC').meta({
      description:
        'Time zone of the times in cron, by its IANA name, for example Europe/Berlin. Where clocks are put forward, what falls into the hour that is left out starts an hour later; where they are put back, what falls into the hour that comes twice starts once, unless hour is *. Default UTC.',
    }),
    startingDeadline: duration(
      'How late a run may be started whose time was missed, for example because the operator did not run. Of several missed times only the latest counts. Default: no limit.',
    ).optional(),
    params: z.record(z.string().max(63), scalar).optional().meta({
      description: 'Values for the parameters of the workflow, by name. Default: those of the workflow.',
      maxProperties: 64,
    }),
  })
  .meta({ description: 'Starts a run at fixed times.' });
export type ScheduleTrigger = z.infer<typeof scheduleTrigger>;

/** The kinds of triggers: the members of a trigger, of which each sets one. */
export const TRIGGER_TYPES = ['schedule'] as const;
export type TriggerTypeName = (typeof TRIGGER_TYPES)[number];

const exactlyOne = {
  rule: `[${TRIGGER_TYPES.map((type) => `has(self.${type})`).join(', ')}].filter(x, x).size() == 1`,
  message: `must set exactly one of these, to say what starts a run: ${TRIGGER_TYPES.join(', ')}`,
  culprit: 'self.name',
};

/** What starts runs of a workflow. */
export const trigger = z
  .strictObject({ name: name('trigger'), schedule: scheduleTrigger.optional() })
  .meta({ description: 'Something that starts runs.', ...checks(exactlyOne) });
export type Trigger = z.infer<typeof trigger>;
