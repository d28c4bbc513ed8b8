import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import type { ScheduleStatus } from '../api/workflow.ts';
import { decideSchedule, type NamedSchedule, schedule, scheduledRunName } from './schedule.ts';

const MINUTE = 60_000;
const at = (time: string) => Date.parse(`2030-01-01T${time}Z`);
const iso = (time: string) => `2030-01-01T${time}.000Z`;

const hourly: NamedSchedule = { name: 'hourly', cron: '0 * * * *', timeZone: 'UTC' };
const seen = (until: string, last?: string): ScheduleStatus => ({
  name: 'hourly',
  cron: '0 * * * *',
  timeZone: 'UTC',
  handledUntil: iso(until),
  ...(last === undefined ? {} : { lastScheduledAt: iso(last) }),
});
const decide = (now: string, status?: ScheduleStatus, started: string[] = [], trigger = hourly) =>
  decideSchedule({ trigger, status, started: started.map(at), now: at(now) });

suite('a schedule', () => {
  test('that is new counts from now', () => {
    assert.deepEqual(decide('03:00:00'), { status: seen('03:00:00'), nextAt: at('04:00:00') });
  });

  test('has nothing to do between its times, and writes nothing', () => {
    const status = seen('03:00:00', '03:00:00');
    assert.deepEqual(decide('03:59:59', status), { status, nextAt: at('04:00:00') });
  });

  test('starts what is due', () => {
    assert.deepEqual(decide('04:00:00', seen('03:00:00', '03:00:00')), {
      status: seen('04:00:00', '04:00:00'),
      due: at('04:00:00'),
      nextAt: at('05:00:00'),
    });
  });

  test('starts the latest of what was missed, and says what was not', () => {
    const { due, missed, status } = decide('07:30:00', seen('03:00:00'));
    assert.equal(due, at('07:00:00'));
    assert.deepEqual(missed, { count: 3, last: at('06:00:00'), why: 'Replaced' });
    assert.deepEqual(status, seen('07:00:00', '07:00:00'));
  });

  test('starts nothing that is later than its deadline', () => {
    const trigger = { ...hourly, startingDeadline: '10m' };
    assert.equal(decide('04:10:00', seen('03:00:00'), [], trigger).due, at('04:00:00'));
    const late = decide('05:10:01', seen('03:00:00'), [], trigger);
    assert.equal(late.due, undefined);
    assert.deepEqual(late.missed, { count: 2, last: at('05:00:00'), why: 'TooLate' });
    assert.deepEqual(late.status, seen('05:00:00'));
  });

  test('that has other times than before counts from now', () => {
    const edited = { ...hourly, cron: '30 * * * *' };
    const { status, due } = decide('07:45:00', seen('03:00:00'), [], edited);
    assert.deepEqual([due, status.cron, status.handledUntil], [undefined, '30 * * * *', iso('07:45:00')]);
    const moved = decide('07:45:00', seen('03:00:00'), [], { ...hourly, timeZone: 'Europe/Berlin' });
    assert.deepEqual([moved.due, moved.status.handledUntil], [undefined, iso('07:45:00')]);
    // Other settings are no reason to forget what is due.
    const params = { ...hourly, params: { a: 1 } };
    assert.equal(decide('04:00:00', seen('03:00:00'), [], params).due, at('04:00:00'));
  });

  test('does not start again what was started just before the operator died', () => {
    const { due, missed, status } = decide('04:00:01', seen('03:00:00'), ['04:00:00']);
    assert.deepEqual([due, missed, status], [undefined, undefined, seen('04:00:00', '04:00:00')]);
  });

  test('tells of what it left out also when the operator died before it could', () => {
    const { due, missed } = decide('07:30:00', seen('03:00:00'), ['07:00:00']);
    assert.deepEqual([due, missed], [undefined, { count: 3, last: at('06:00:00'), why: 'Replaced' }]);
    assert.deepEqual(decide('07:30:00', seen('03:00:00'), ['05:00:00', '07:00:00']).missed?.count, 2);
  });

  test('goes on where it was when the clock was ahead, and starts nothing twice', () => {
    const ahead = seen('09:00:00', '09:00:00');
    const back = decide('03:30:00', ahead, ['09:00:00']);
    assert.deepEqual([back.due, back.nextAt], [undefined, at('04:00:00')]);
    assert.deepEqual(back.status, seen('03:30:00', '09:00:00'));
    assert.equal(decide('04:00:00', back.status, ['09:00:00']).due, at('04:00:00'));
    assert.equal(decide('09:00:00', seen('08:00:00', '08:00:00'), ['09:00:00']).due, undefined);
    assert.equal(decide('09:00:00', seen('03:30:00', '09:00:00')).due, undefined);
  });

  test('counts what it missed in a year of minutes up to a limit', () => {
    const everyMinute = { ...hourly, cron: '* * * * *' };
    const status = { ...seen('03:00:00'), cron: '* * * * *', handledUntil: '2029-01-01T00:00:00.000Z' };
    const { due, missed } = decide('03:00:30', status, [], everyMinute);
    assert.deepEqual([due, missed?.count, missed?.last], [at('03:00:00'), 1000, at('02:59:00')]);
  });
});

const crons = fc.constantFrom('*/4 * * * *', '0 * * * *', '7,30 1-20 * * *', '30 2 * * *');

/** What goes on: time passes, the operator looks and may die before it has written, or the clock is set. */
const happenings = fc.array(
  fc.record({
    passes: fc.integer({ min: 0, max: 90 * MINUTE }),
    dies: fc.boolean(),
    /** How far the operator's clock is off from then on. */
    off: fc.option(fc.integer({ min: -40 * MINUTE, max: 40 * MINUTE }), { nil: undefined }),
  }),
  { minLength: 1, maxLength: 30 },
);

interface World {
  started: number[];
  missed: number;
  status: ScheduleStatus | undefined;
}

/** The operator looks at the schedule. */
function look(world: World, trigger: NamedSchedule, now: number, dies: boolean): void {
  const { started, status: before } = world;
  const { due, missed, status, nextAt } = decideSchedule({ trigger, status: before, started, now });
  assert.ok(nextAt > now);
  // The API server refuses a second run of the same name.
  if (due !== undefined && !started.includes(due)) started.push(due);
  if (dies) return;
  world.missed += missed?.count ?? 0;
  world.status = status;
}

test('each time is started once or missed, whenever the operator dies', () => {
  fc.assert(
    fc.property(crons, fc.constantFrom('UTC', 'Europe/Berlin'), happenings, (cron, timeZone, events) => {
      const trigger = { name: 't', cron, timeZone };
      // The night in which clocks are put back is among what passes.
      const begin = Date.parse('2026-10-24T20:00:30Z');
      const world: World = { started: [], missed: 0, status: undefined };
      let now = begin;
      look(world, trigger, now, false);
      for (const { passes, dies } of events) {
        now += passes;
        look(world, trigger, now, dies);
      }
      look(world, trigger, now, false);
      const { started, missed } = world;
      assert.equal(new Set(started).size, started.length, 'twice');
      const all = timesOf(trigger, begin, now);
      assert.ok(started.every((time) => all.includes(time)));
      assert.equal(missed, all.length - started.length);
      assert.equal(started.at(-1), all.at(-1), 'the latest is never lost');
    }),
    { numRuns: 100 },
  );
});

/** All times of a schedule, one after the other. */
function timesOf(trigger: NamedSchedule, after: number, until: number): number[] {
  const found: number[] = [];
  for (let time = after; ; ) {
    time = decideSchedule({ trigger, status: undefined, started: [], now: time }).nextAt;
    if (time > until) return found;
    found.push(time);
  }
}

test('a clock that is set forward and back doubles nothing, and loses nothing that comes once it is right', () => {
  fc.assert(
    fc.property(crons, happenings, (cron, events) => {
      const trigger = { name: 't', cron, timeZone: 'UTC' };
      const world: World = { started: [], missed: 0, status: undefined };
      let [now, off] = [Date.parse('2030-01-01T00:00:30Z'), 0];
      for (const event of events) {
        now += event.passes;
        off = event.off ?? off;
        look(world, trigger, now + off, event.dies);
      }
      const { started } = world;
      assert.equal(new Set(started).size, started.length, 'twice');
      // The clock is right again, for a day.
      look(world, trigger, now, false);
      const due = timesOf(trigger, now, now + 24 * 60 * MINUTE);
      for (const time of due) look(world, trigger, time, false);
      assert.deepEqual(
        due.filter((time) => !started.includes(time)),
        [],
        'lost',
      );
      assert.equal(new Set(started).size, started.length, 'twice');
    }),
    { numRuns: 40 },
  );
});

test('problems have the path of their field', () => {
  const problems = (settings: object) =>
    schedule.problems({ cron: '0 3 * * *', timeZone: 'UTC', ...settings }, 'spec.triggers[0].schedule', [
      { name: 'region', type: 'string', enum: ['eu', 'us'] },
      { name: 'level', type: 'number', required: true },
    ]);
  assert.deepEqual(problems({ params: { region: 'eu', level: 1 } }), []);
  const found = problems({ cron: '0 0 30 2 *', timeZone: '+02:00', params: { region: 'asia', more: true } });
  assert.deepEqual(
    found.map(({ field }) => field),
    ['cron', 'timeZone', 'params.more', 'params.region', 'params.level'].map(
      (name) => `spec.triggers[0].schedule.${name}`,
    ),
  );
  assert.match(found[1]?.message ?? '', /^is "\+02:00", which is no time zone: use a name such as UTC/);
});

suite('the name of a run', () => {
  const workflow = { name: 'backup', uid: 'uid-1' };

  test('follows from workflow, trigger and time', () => {
    const name = scheduledRunName(workflow, 'nightly', at('03:00:00'));
    assert.match(name, /^backup-203001010300-[a-z0-9]{8}$/);
    assert.equal(scheduledRunName(workflow, 'nightly', at('03:00:00')), name);
    const others = [
      scheduledRunName(workflow, 'weekly', at('03:00:00')),
      scheduledRunName(workflow, 'nightly', at('03:01:00')),
      scheduledRunName({ ...workflow, uid: 'uid-2' }, 'nightly', at('03:00:00')),
    ];
    assert.equal(new Set([name, ...others]).size, 4);
  });

  test('is a name, however long that of the workflow is', () => {
    const name = scheduledRunName(
      { ...workflow, name: `${'a'.repeat(40)}.${'b'.repeat(200)}` },
      'nightly',
      at('03:00:00'),
    );
    assert.match(name, /^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$/);
    assert.ok(name.length <= 63);
    assert.doesNotMatch(name, /[.-]-/);
  });
});
