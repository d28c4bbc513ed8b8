import type { Cron } from './cron.ts';

// When the clocks of a place show a time. Local times are counted in milliseconds as if they were UTC; what they are
// in UTC follows from the offsets that hold around them. Instants are milliseconds since the epoch.

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** Longer than between two 29 February, also around a year like 2100 that has none. */
const LONGEST_GAP_MS = 3000 * DAY_MS;

/** The times that a cron expression stands for in a time zone. */
export interface Calendar {
  /** The first one after an instant. */
  next(after: number): number;
  /** The last one after the first instant and not after the second, if there is any. */
  latest(after: number, until: number): number | undefined;
  /** How many there are after the first instant and not after the second, counted up to a limit. */
  count(after: number, until: number, limit: number): number;
}

/** Whether there is a time zone of that name. Offsets such as `+01:00` are none: they know no summer. */
export function isTimeZone(name: string): boolean {
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(name);
    return true;
  } catch {
    return false;
  }
}

/**
 * Where clocks are put forward, a time that they skip is taken as late as if they had not been; where they are put
 * back, a time that comes twice is taken once, the first time. So a run at 2:30 comes once each night. If hour is `*`,
 * each hour that passes counts, and nothing is shifted: then every quarter of an hour stays that. Vixie cron has it so.
 *
 * @param timeZone for which {@link isTimeZone}
 */
export function calendarOf(cron: Cron, timeZone: string): Calendar {
  const localDay = (instant: number) => {
    const { year, month, day } = Temporal.Instant.fromEpochMilliseconds(instant).toZonedDateTimeISO(timeZone);
    return Date.UTC(year, month - 1, day);
  };

  /** Of a day, in milliseconds from its beginning, in order. */
  const times = cron.hours.flatMap((hour) =>
    cron.minutes.map((minute) => hour * HOUR_MS + minute * MINUTE_MS),
  );

  /** In order. A time may be shifted into the day after that of its name. */
  function instantsOf(day: number): number[] {
    if (!isDay(cron, new Date(day))) return [];
    const spans = spansAround(day, timeZone);
    const [only, second] = spans;
    // As on nearly every day.
    if (only && !second) return times.map((time) => day + time - only.offset);
    const found = times.flatMap((time) => instantsAt(day + time, spans, cron.everyHour));
    return [...new Set(found)].sort((one, other) => one - other);
  }

  function* forward(first: number, last: number): Generator<number[]> {
    for (let day = first; day <= last; day += DAY_MS) yield instantsOf(day);
  }

  function* backward(last: number, first: number): Generator<number[]> {
    for (let day = last; day >= first; day -= DAY_MS) yield instantsOf(day);
  }

  return {
    next(after) {
      const first = localDay(after) - DAY_MS;
      for (const instants of forward(first, first + LONGEST_GAP_MS)) {
        const found = instants.find((instant) => instant > after);
        if (found !== undefined) return found;
      }
      throw new RangeError('the cron expression has no time, which parseCron should have refused');
    },

    latest(after, until) {
      for (const instants of backward(localDay(until), localDay(after) - DAY_MS)) {
        const found = instants.findLast((instant) => instant <= until);
        if (found !== undefined) return found > after ? found : undefined;
      }
      return undefined;
    },

    count(after, until, limit) {
      const seen = new Set<number>();
      for (const instants of forward(localDay(after) - DAY_MS, localDay(until))) {
        for (const instant of instants) if (instant > after && instant <= until) seen.add(instant);
        if (seen.size >= limit) return limit;
      }
      return seen.size;
    },
  };
}

function isDay({ months, days, weekdays, everyDay, everyWeekday }: Cron, date: Date): boolean {
  if (!months.has(date.getUTCMonth() + 1)) return false;
  const [inMonth, inWeek] = [days.has(date.getUTCDate()), weekdays.has(date.getUTCDay())];
  return everyDay || everyWeekday ? inMonth && inWeek : inMonth || inWeek;
}

/** A span of time in which the clocks of a place do not change. */
interface Span {
  from: number;
  to: number;
  /** What local time is ahead of UTC. */
  offset: number;
}

/** The spans that hold on a day and on those beside it, in order. */
function spansAround(day: number, timeZone: string): Span[] {
  const spans: Span[] = [];
  const end = day + 3 * DAY_MS;
  let at = Temporal.Instant.fromEpochMilliseconds(day - 2 * DAY_MS).toZonedDateTimeISO(timeZone);
  while (at.epochMilliseconds < end) {
    const change = at.getTimeZoneTransition('next');
    const to = Math.min(end, change?.epochMilliseconds ?? end);
    spans.push({ from: at.epochMilliseconds, to, offset: at.offsetNanoseconds / 1e6 });
    if (!change || to === end) break;
    at = change;
  }
  return spans;
}

function instantsAt(local: number, spans: readonly Span[], everyHour: boolean): number[] {
  const shown = spans.flatMap(({ from, to, offset }) => {
    const instant = local - offset;
    return instant >= from && instant < to ? [instant] : [];
  });
  if (everyHour) return shown;
  const [first] = shown;
  if (first !== undefined) return [first];
  // Skipped: as late as by the clocks before they were changed.
  const before = spans.findLast(({ to, offset }) => local - offset >= to);
  return before ? [local - before.offset] : [];
}
