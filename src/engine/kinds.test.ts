import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jobName } from './names.ts';
import {
  absent,
  callOf,
  each,
  failed,
  HOUR,
  MINUTE,
  running,
  runOf,
  SECOND,
  starting,
  step,
  succeeded,
  takeOn,
  time,
} from './turns.ts';

const RUN = { name: 'r', uid: 'uid' };

test('an attempt is a Job, a run, or a call that is no object, and all have their names by the same rule', () => {
  const run = takeOn({
    steps: [
      step('job', { dependsOn: [] }),
      runOf('run', { dependsOn: [] }),
      callOf('call', { dependsOn: [] }),
    ],
  });
  const { effects } = run.at(0);
  const names = ['job', 'run', 'call'].map((name) => jobName(RUN, name, 1));
  assert.deepEqual(
    effects.map(({ id }) => id),
    names,
  );
  const objects = ['job', 'run', 'call'].map((name) => [run.step(name).job?.name, run.step(name).run?.name]);
  assert.deepEqual(objects, [
    [names[0], undefined],
    [undefined, names[1]],
    [undefined, undefined],
  ]);
});

test('instances of every kind have names of their own', () => {
  for (const make of [step, runOf, callOf]) {
    const { effects } = takeOn({ steps: [make('many', each(['a', 'b']))] }).at(0);
    assert.deepEqual(
      effects.map(({ id }) => id),
      [jobName(RUN, 'many[a]', 1), jobName(RUN, 'many[b]', 1)],
    );
  }
});

test('what an earlier attempt was is kept with it', () => {
  const run = takeOn({ steps: [runOf('a', { retry: { limit: 1, backoff: { initial: '0s' } } })] });
  run.at(0);
  run.at(SECOND, { a: failed('ChildFailed', { uid: 'child-uid' }) });
  const { attempts, run: child } = run.step('a');
  assert.deepEqual(attempts, [
    {
      run: { name: jobName(RUN, 'a', 1), uid: 'child-uid' },
      startedAt: time(0),
      finishedAt: time(SECOND),
      reason: 'ChildFailed',
      message: 'It failed.',
    },
  ]);
  assert.deepEqual(child, { name: jobName(RUN, 'a', 2) });
});

test('a call that is not remembered is asked for again under the same name', () => {
  const run = takeOn({ steps: [callOf('a')] });
  const [first] = run.at(0).effects;
  const [again] = run.at(SECOND, { a: absent }).effects;
  assert.deepEqual([again?.type, again?.id], ['Start', first?.id]);
});

test('a run that was started has all the time to end, a Job and a call have two minutes', () => {
  const stopped = (make: (name: string) => object) => {
    const run = takeOn({ steps: [make('a')] });
    run.at(0);
    run.cancel(SECOND);
    run.at(SECOND);
    assert.equal(run.effects(), 'Stop a-1');
    run.at(SECOND + 2 * MINUTE);
    return run;
  };
  for (const make of [step, callOf]) {
    const run = stopped(make);
    assert.equal(run.status.phase, 'Cancelled');
    assert.match(run.step('a').message ?? '', /It did not end within 2m0s of being stopped\.$/);
  }
  const run = stopped(runOf);
  assert.equal(run.phases(), 'a:Running/Stopping');
  assert.equal(run.effects(), 'Stop a-1');
  run.at(5 * HOUR, { a: failed('ChildCancelled') });
  assert.equal(run.phases(), 'a:Cancelled/RunCancelled');
});

test('a run may take any time unless the step limits it, and longer than that it is stopped', () => {
  const free = takeOn({ steps: [runOf('a')] });
  free.at(0);
  free.at(100 * HOUR, { a: running });
  assert.equal(free.effects(), '');
  assert.equal(free.wake(), undefined);

  const limited = takeOn({ steps: [runOf('a', { timeout: '1h' })] });
  limited.at(0);
  limited.at(SECOND, { a: running });
  const end = HOUR + 6 * MINUTE;
  assert.equal(limited.wake(), end);
  limited.at(end);
  assert.equal(limited.effects(), 'Stop a-1');
  limited.at(end + HOUR, { a: failed('ChildCancelled') });
  assert.equal(limited.phases(), 'a:Failed/DeadlineExceeded');
});

test('a run that is stopped and yet succeeds has succeeded', () => {
  const run = takeOn({ steps: [runOf('a')] });
  run.at(0);
  run.cancel(SECOND);
  run.at(SECOND);
  run.at(MINUTE, { a: succeeded({ outputs: { x: 1 } }) });
  assert.equal(run.phases(), 'a:Succeeded/Completed');
  assert.equal(run.status.phase, 'Cancelled');
});

test('a run that does not begin in time is stopped like a Job', () => {
  const run = takeOn({ steps: [runOf('a')] });
  run.at(0);
  run.at(5 * MINUTE, { a: starting });
  assert.equal(run.effects(), 'Stop a-1');
  assert.equal(run.step('a').reason, 'PendingTimeout');
});
