import { parseDuration } from '../api/common.ts';
import type { ScheduleTrigger } from '../api/trigger.ts';
import type { ScheduleStatus } from '../api/workflow.ts';
import { shortHash } from '../engine/hash.ts';
import type { Problem } from '../engine/model.ts';
import { resolveParams } from '../engine/params.ts';
import { didYouMean } from '../engine/suggest.ts';
import { cut, MAX_QUOTE, timeOf } from '../engine/text.ts';
import { type Calendar, calendarOf, isTimeZone } from './calendar.ts';
import { parseCron } from './cron.ts';
import type { TriggerType } from './trigger-type.ts';

// What is to be done about a schedule, from what is known. No clock, and nothing is started here.

/** Missed times are counted up to so many. */
const MOST_COUNTED = 1000;

export const schedule: TriggerType<'schedule'> = {
  kind: 'Schedule',
  problems({ cron, timeZone, params = {} }, at, declared) {
    const parsed = parseCron(cron);
    const problems: Problem[] = parsed.ok ? [] : [{ field: `${at}.cron`, message: parsed.message }];
    if (!isTimeZone(timeZone)) problems.push({ field: `${at}.timeZone`, message: zoneMessage(timeZone) });
    const resolved = resolveParams(declared, params);
    if (resolved.ok) return problems;
    const inParams = ({ field, message }: Problem) => ({ field: field.replace('spec', at), message });
    return [...problems, ...resolved.problems.map(inParams)];
  },
};

function zoneMessage(timeZone: string): string {
  const known = Intl.supportedValuesOf('timeZone');
  const shown = cut(timeZone, MAX_QUOTE);
  return `is "${shown}", which is no time zone: use a name such as UTC or Europe/Berlin.${didYouMean(timeZone, known)}`;
}

/** A schedule of a workflow. */
export interface NamedSchedule extends ScheduleTrigger {
  name: string;
}

export interface ScheduleInput {
  trigger: NamedSchedule;
  /** How far it has come, as far as that is recorded. */
  status: ScheduleStatus | undefined;
  /** The times that the runs were started for which are there, in milliseconds since the epoch. */
  started: readonly number[];
  /** Milliseconds since the epoch. */
  now: number;
}

/** Times that nothing is started for any more. */
export interface Missed {
  /** At most {@link MOST_COUNTED}. */
  count: number;
  /** The last of them, in milliseconds since the epoch. */
  last: number;
  why: 'Replaced' | 'TooLate';
}

/** What is to be done. Times are in milliseconds since the epoch. */
export interface ScheduleDecision {
  /** How far the schedule has come once that is done. */
  status: ScheduleStatus;
  /** The time to start a run for. */
  due?: number;
  missed?: Missed;
  /** When the next run is to be started. */
  nextAt: number;
}

/**
 * Decides what a schedule asks for at a moment. What was dealt with is what its status says and the runs that are there,
 * so a run is started once for each time although the one who decides may die after it has started it.
 *
 * A schedule that is new, or has other times than before, counts from now. Of the times since it was looked at last the
 * latest is started, unless it is too late for that. Where the status speaks of a time that is still to come, the clock
 * was wrong then or is wrong now: what comes is counted from now, and what has its run already is not started again.
 *
 * @param input of a schedule without problems
 */
export function decideSchedule({ trigger, status, started, now }: ScheduleInput): ScheduleDecision {
  const calendar = calendarFor(trigger);
  const { name, cron, timeZone } = trigger;
  const nextAt = calendar.next(now);
  if (!status || status.cron !== cron || status.timeZone !== timeZone) {
    return { status: { name, cron, timeZone, handledUntil: timeOf(now) }, nextAt };
  }
  const until = Date.parse(status.handledUntil);
  if (until > now) return { status: { ...status, handledUntil: timeOf(now) }, nextAt };
  const latest = calendar.latest(until, now);
  if (latest === undefined) return { status, nextAt };
  const done = new Set(started.filter((time) => time > until && time <= now));
  if (status.lastScheduledAt === timeOf(latest)) done.add(latest);
  const isDue = !done.has(latest) && now - latest <= deadlineOf(trigger);
  const last = Math.max(...done, isDue ? latest : Number.NEGATIVE_INFINITY);
  const missed = missedOf({ calendar, until, latest, done: isDue ? done.add(latest) : done });
  return {
    status: {
      ...status,
      handledUntil: timeOf(latest),
      ...(Number.isFinite(last) ? { lastScheduledAt: timeOf(last) } : {}),
    },
    ...(isDue ? { due: latest } : {}),
    ...(missed ? { missed } : {}),
    nextAt,
  };
}

interface Past {
  calendar: Calendar;
  /** What was dealt with before. */
  until: number;
  latest: number;
  /** The times since then that are started. */
  done: ReadonlySet<number>;
}

/** Of the times since then, those that nothing was or is started for. */
function missedOf({ calendar, until, latest, done }: Past): Missed | undefined {
  const count = calendar.count(until, latest, MOST_COUNTED + done.size) - done.size;
  if (count <= 0) return undefined;
  let last = latest;
  while (done.has(last)) last = calendar.latest(until, last - 1) ?? until;
  return { count, last, why: last === latest ? 'TooLate' : 'Replaced' };
}

const deadlineOf = ({ startingDeadline }: ScheduleTrigger): number =>
  startingDeadline === undefined ? Number.POSITIVE_INFINITY : parseDuration(startingDeadline);

/** @throws {RangeError} for what has problems */
function calendarFor({ cron, timeZone }: ScheduleTrigger): Calendar {
  const parsed = parseCron(cron);
  if (!parsed.ok) throw new RangeError(`cron ${parsed.message}`);
  return calendarOf(parsed.cron, timeZone);
}

/** Longest name of a run that is made up here, as the API server makes up names. */
const MAX_NAME = 63;

/**
 * The name of the run that is started for a time, for example `backup-202611270300-1k8c0wz2`: it follows from workflow,
 * trigger and time, so whoever creates the run a second time is refused. The hash keeps apart what reads the same, as
 * those of two triggers, and of a workflow that was made again under the name of one that is gone.
 *
 * @param time milliseconds since the epoch
 */
export function scheduledRunName(
  workflow: { name: string; uid: string },
  trigger: string,
  time: number,
): string {
  const minute = timeOf(time).slice(0, 16).replaceAll(/[-:T]/g, '');
  const suffix = `-${minute}-${shortHash(`${workflow.uid}/${trigger}/${minute}`)}`;
  return `${workflow.name.slice(0, MAX_NAME - suffix.length).replace(/[-.]+$/, '')}${suffix}`;
}
