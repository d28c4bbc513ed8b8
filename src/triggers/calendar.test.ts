import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { type Calendar, calendarOf, isTimeZone } from './calendar.ts';
import { type Cron, parseCron } from './cron.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

function cronOf(text: string): Cron {
  const parsed = parseCron(text);
  if (!parsed.ok) throw new Error(parsed.message);
  return parsed.cron;
}

const calendar = (text: string, timeZone = 'UTC') => calendarOf(cronOf(text), timeZone);

/** The times after a moment, to the minute. */
function times(of: Calendar, after: string, count: number): string[] {
  const found: string[] = [];
  for (let at = Date.parse(after); found.length < count; ) {
    at = of.next(at);
    found.push(new Date(at).toISOString().slice(0, 16));
  }
  return found;
}

test('a time that is now is not next', () => {
  assert.deepEqual(times(calendar('0 3 * * *'), '2026-01-01T03:00:00Z', 1), ['2026-01-02T03:00']);
  assert.deepEqual(times(calendar('0 3 * * *'), '2026-01-01T02:59:59.999Z', 1), ['2026-01-01T03:00']);
});

test('days of the month and of the week: both where one is *, either where none is', () => {
  assert.deepEqual(times(calendar('0 0 13 * *'), '2026-11-01T00:00Z', 2), [
    '2026-11-13T00:00',
    '2026-12-13T00:00',
  ]);
  assert.deepEqual(times(calendar('0 0 * * fri'), '2026-11-01T00:00Z', 2), [
    '2026-11-06T00:00',
    '2026-11-13T00:00',
  ]);
  assert.deepEqual(times(calendar('0 0 12 * fri'), '2026-11-05T00:00Z', 3), [
    '2026-11-06T00:00',
    '2026-11-12T00:00',
    '2026-11-13T00:00',
  ]);
});

test('29 February, also over a year like 2100 that has none', () => {
  const leap = calendar('0 0 29 2 *');
  assert.deepEqual(times(leap, '2026-01-01T00:00Z', 2), ['2028-02-29T00:00', '2032-02-29T00:00']);
  assert.deepEqual(times(leap, '2096-03-01T00:00Z', 1), ['2104-02-29T00:00']);
  assert.equal(leap.latest(Date.parse('2096-03-01T00:00Z'), Date.parse('2104-02-28T00:00Z')), undefined);
});

suite('when clocks are put forward', () => {
  test('what is skipped comes as late as if they had not been', () => {
    assert.deepEqual(times(calendar('30 2 * * *', 'Europe/Berlin'), '2026-03-28T00:00Z', 3), [
      '2026-03-28T01:30',
      '2026-03-29T01:30',
      '2026-03-30T00:30',
    ]);
    // By half an hour, at two.
    assert.deepEqual(times(calendar('15 2 * * *', 'Australia/Lord_Howe'), '2026-10-03T12:00Z', 2), [
      '2026-10-03T15:45',
      '2026-10-04T15:15',
    ]);
    // At midnight.
    assert.deepEqual(times(calendar('0 0 * * *', 'America/Sao_Paulo'), '2018-11-03T12:00Z', 2), [
      '2018-11-04T03:00',
      '2018-11-05T02:00',
    ]);
  });

  test('what is skipped is not started twice where the later time is named too', () => {
    assert.deepEqual(times(calendar('0 2,3 * * *', 'Europe/Berlin'), '2026-03-28T23:00Z', 2), [
      '2026-03-29T01:00',
      '2026-03-30T00:00',
    ]);
  });

  test('with hour * each hour that passes counts, and none is made up', () => {
    assert.deepEqual(times(calendar('*/30 * * * *', 'Europe/Berlin'), '2026-03-29T00:15Z', 4), [
      '2026-03-29T00:30',
      '2026-03-29T01:00',
      '2026-03-29T01:30',
      '2026-03-29T02:00',
    ]);
  });
});

suite('when clocks are put back', () => {
  test('what comes twice is started once, the first time', () => {
    assert.deepEqual(times(calendar('30 2 * * *', 'Europe/Berlin'), '2026-10-24T12:00Z', 2), [
      '2026-10-25T00:30',
      '2026-10-26T01:30',
    ]);
    assert.deepEqual(times(calendar('*/20 1-3 * * *', 'America/New_York'), '2026-11-01T05:30Z', 3), [
      '2026-11-01T05:40',
      '2026-11-01T07:00',
      '2026-11-01T07:20',
    ]);
    assert.deepEqual(times(calendar('45 1 * * *', 'Australia/Lord_Howe'), '2026-04-04T12:00Z', 2), [
      '2026-04-04T14:45',
      '2026-04-05T15:15',
    ]);
  });

  test('with hour * both of them are', () => {
    assert.deepEqual(times(calendar('30 * * * *', 'Europe/Berlin'), '2026-10-25T00:00Z', 3), [
      '2026-10-25T00:30',
      '2026-10-25T01:30',
      '2026-10-25T02:30',
    ]);
  });
});

test('time zones are those with a name', () => {
  for (const name of ['UTC', 'Europe/Berlin', 'America/Argentina/Buenos_Aires', 'Asia/Kathmandu']) {
    assert.ok(isTimeZone(name), name);
  }
  for (const name of ['', 'Mars/Olympus', '+01:00', '-0100', 'Europe/', 'Local', 'UTC;', '../UTC']) {
    assert.ok(!isTimeZone(name), name);
  }
});

const ZONES = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'Australia/Lord_Howe',
  'America/Havana',
  'Africa/Cairo',
];

const list = (min: number, max: number) =>
  fc
    .uniqueArray(fc.integer({ min, max }), { minLength: 1, maxLength: 4 })
    .map((numbers) => numbers.join(','));
const field = (min: number, max: number) =>
  fc.oneof(
    fc.constant('*'),
    fc.integer({ min: 2, max: max - 1 }).map((step) => `*/${step}`),
    list(min, max),
  );
/** Comes at least every other day, so that weeks are enough to look at. */
const crons = fc
  .tuple(
    field(0, 59),
    field(0, 23),
    fc.constantFrom('*', '*/2', '1-31'),
    fc.constant('*'),
    fc.constantFrom('*', '1-6'),
  )
  .map((fields) => fields.join(' '));
/** Anywhere in a year with all of its changes of clocks, to the second. */
const moments = fc.integer({ min: 0, max: 365 * 24 * 3600 }).map((s) => Date.UTC(2026, 0, 1) + s * 1000);
const spans = fc.integer({ min: 0, max: 4 * DAY });

test('next, latest and count tell of the same times, wherever they begin', () => {
  fc.assert(
    fc.property(crons, fc.constantFrom(...ZONES), moments, spans, (text, zone, from, span) => {
      const of = calendar(text, zone);
      const until = from + span;
      const found: number[] = [];
      for (let at = of.next(from); at <= until; at = of.next(at)) found.push(at);
      assert.equal(of.latest(from, until), found.at(-1));
      assert.equal(of.count(from, until, 10_000), found.length);
      const middle = from + Math.floor(span / 2);
      assert.equal(of.next(middle), found.find((at) => at > middle) ?? of.next(until));
    }),
    { numRuns: 150 },
  );
});

test('each time is shown by the clocks of its place, or was skipped by them', () => {
  fc.assert(
    fc.property(crons, fc.constantFrom(...ZONES), moments, (text, zone, from) => {
      const cron = cronOf(text);
      const at = calendarOf(cron, zone).next(from);
      const shown = Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(zone);
      const isNamed = cron.hours.includes(shown.hour) && cron.minutes.includes(shown.minute);
      const hoursBefore = shown.offsetNanoseconds - shown.subtract({ hours: 2 }).offsetNanoseconds;
      assert.ok(isNamed || (hoursBefore > 0 && !cron.everyHour), `${text} ${shown.toString()}`);
      assert.ok(at > from && at % 60_000 === 0);
    }),
    { numRuns: 300 },
  );
});

test('the times of an hour named are those of every day, once each', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 23 }),
      fc.integer({ min: 0, max: 59 }),
      fc.constantFrom(...ZONES),
      moments,
      (hour, minute, zone, from) => {
        const of = calendar(`${minute} ${hour} * * *`, zone);
        const first = of.next(from);
        const gap = of.next(first) - first;
        assert.ok(gap >= 22 * HOUR && gap <= 26 * HOUR, `${gap / HOUR} hours`);
      },
    ),
  );
});
