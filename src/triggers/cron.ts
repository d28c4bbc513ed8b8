import { cut, MAX_QUOTE } from '../engine/text.ts';

// The five fields of cron, as Kubernetes' CronJob and crontab(5) have them.

/** When something is to happen, in the local time of some place. */
export interface Cron {
  /** In order. */
  minutes: readonly number[];
  /** In order. */
  hours: readonly number[];
  months: ReadonlySet<number>;
  days: ReadonlySet<number>;
  /** 0 is Sunday. */
  weekdays: ReadonlySet<number>;
  /** Whether hour is `*`: then it goes by hours as they pass, and not by what clocks show. */
  everyHour: boolean;
  /** A field that is `*` restricts nothing. */
  everyDay: boolean;
  everyWeekday: boolean;
}

export type ParsedCron = { ok: true; cron: Cron } | { ok: false; message: string };

interface Field {
  what: string;
  min: number;
  max: number;
  /** Where `*` ends, if that is not `max`. */
  end?: number;
  /** Names of its numbers, from `min` on. */
  names?: readonly string[];
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

const FIELDS = [
  { what: 'minute', min: 0, max: 59 },
  { what: 'hour', min: 0, max: 23 },
  { what: 'day of the month', min: 1, max: 31 },
  { what: 'month', min: 1, max: 12, names: MONTHS },
  // Sunday is at both ends.
  { what: 'day of the week', min: 0, max: 7, end: 6, names: WEEKDAYS },
] as const satisfies Field[];

/** What other programs take for five fields, and how to write it so. */
const SHORTHANDS: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};

/** Longest each month can be, January first. */
const LONGEST = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** Reads a cron expression; the message says what is wrong with it and what to do. */
export function parseCron(text: string): ParsedCron {
  const fields = text.trim().split(/\s+/);
  if (fields.length !== FIELDS.length) return { ok: false, message: fieldCountMessage(text, fields.length) };
  const read = FIELDS.map((field, index) => readField(fields[index] ?? '', field));
  const wrong = read.flatMap((one) => (typeof one === 'string' ? [one] : []));
  if (wrong.length > 0) return { ok: false, message: wrong.join('; ') };
  const [minutes, hours, days, months, weekdays] = read.map((one) => (typeof one === 'string' ? [] : one));
  const cron: Cron = {
    minutes: minutes ?? [],
    hours: hours ?? [],
    days: new Set(days),
    months: new Set(months),
    weekdays: new Set(weekdays?.map((day) => day % 7)),
    everyHour: fields[1] === '*',
    everyDay: fields[2] === '*',
    everyWeekday: fields[4] === '*',
  };
  if (everComes(cron)) return { ok: true, cron };
  return { ok: false, message: 'is never: no month of those has such a day. Correct the day or the month' };
}

function fieldCountMessage(text: string, count: number): string {
  const five = 'minute, hour, day of the month, month and day of the week';
  const instead = SHORTHANDS[text.trim().toLowerCase()];
  if (instead !== undefined) return `must have five fields (${five}): write "${instead}"`;
  const zone = /^(CRON_)?TZ=/.test(text.trim()) ? '. Its time zone goes into timeZone' : '';
  return `must have five fields (${five}), and ${cut(JSON.stringify(text), MAX_QUOTE)} has ${text.trim() === '' ? 'none' : count}${zone}`;
}

/** The numbers that a field stands for, in order, or what is wrong with it. */
function readField(text: string, field: Field): number[] | string {
  const numbers = new Set<number>();
  for (const part of text.split(',')) {
    const range = readPart(part, field);
    if (typeof range === 'string') return `${field.what} "${cut(text, MAX_QUOTE)}": ${range}`;
    for (let number = range.from; number <= range.to; number += range.step) numbers.add(number);
  }
  return [...numbers].sort((a, b) => a - b);
}

interface Range {
  from: number;
  to: number;
  step: number;
}

const PART = /^(?:(\*)|([a-z0-9]+)(?:-([a-z0-9]+))?)(?:\/([0-9]+))?$/;

function readPart(part: string, field: Field): Range | string {
  const { max, min, end = max, names } = field;
  const found = PART.exec(part.toLowerCase());
  if (!found) {
    return `write *, a number, a range a-b, a step */n or a list of these, not "${cut(part, MAX_QUOTE)}"`;
  }
  const [, star, first = '', last, stepText] = found;
  const step = stepText === undefined ? 1 : Number(stepText);
  if (step < 1 || step > max)
    return `a step must be from 1 to ${max}, and is ${cut(stepText ?? '', MAX_QUOTE)}`;
  if (star !== undefined) return { from: min, to: end, step };
  const from = readNumber(first, field);
  // `5/15` goes on to the end, as in CronJob.
  const to = readNumber(last ?? (stepText === undefined ? first : String(end)), field);
  if (from === undefined || to === undefined) {
    const wrong = from === undefined ? first : (last ?? '');
    return `must be ${min} to ${max}${names ? ` or ${names[0]} to ${names.at(-1)}` : ''}, not "${cut(wrong, MAX_QUOTE)}"`;
  }
  if (from > to) return `the range ${part} ends before it begins: write ${from}-${max},${min}-${to}`;
  return { from, to, step };
}

function readNumber(text: string, { min, max, names }: Field): number | undefined {
  const named = names?.indexOf(text) ?? -1;
  if (named >= 0) return named + min;
  const number = /^[0-9]{1,2}$/.test(text) ? Number(text) : Number.NaN;
  return number >= min && number <= max ? number : undefined;
}

/** Whether some month has such a day; days of the week come in every one. */
function everComes({ months, days, everyDay, everyWeekday }: Cron): boolean {
  if (everyDay || !everyWeekday) return true;
  const first = Math.min(...days);
  return [...months].some((month) => first <= (LONGEST[month - 1] ?? 0));
}
