import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Observation } from './model.ts';
import {
  absent,
  envOf,
  evicted,
  failed,
  HOUR,
  MINUTE,
  running,
  SECOND,
  starting,
  step,
  succeeded,
  T0,
  takeOn,
  time,
  waiting,
  withEnv,
} from './turns.ts';

test('a start that was written and lost is had again', () => {
  const steps = [withEnv('a', { REGION: '${{ params.region }}' })];
  const run = takeOn({ params: [{ name: 'region' }], steps }, { region: 'us' });
  const first = run.at(0);
  assert.deepEqual(envOf(first.effects[0]), { REGION: 'us' });
  const again = run.at(SECOND, { a: absent });
  // As JSON: the functions in effects differ.
  assert.equal(JSON.stringify(again.effects), JSON.stringify(first.effects));
  assert.equal(again.status, first.status);
});

test('a start found missing when pendingTimeout is over gets its full time', () => {
  const run = takeOn({ steps: [step('a')] });
  run.at(0);
  run.at(5 * MINUTE, { a: absent });
  assert.equal(run.effects(), 'Start a-1');
  assert.equal(run.step('a').attemptStartedAt, time(5 * MINUTE));
  assert.equal(run.wake(), 10 * MINUTE);
  run.at(5 * MINUTE + SECOND, { a: starting });
  assert.equal(run.phases(), 'a:Running');
});

test('a retry is a new attempt with a new Job, after a while', () => {
  const run = takeOn({ steps: [step('a', { retry: { limit: 1, backoff: { initial: '10s' } } })] });
  const [first] = run.at(0).effects;
  run.at(3 * SECOND, { a: failed() });
  const { retryAt = '', attempts, job, reason, message, attempt } = run.step('a');
  assert.equal(run.effects(), '');
  assert.deepEqual(
    { job, reason, message, attempt },
    { job: undefined, reason: 'Retrying', message: 'Attempt 1 failed: ExitCode: It failed.', attempt: 1 },
  );
  assert.deepEqual(attempts, [
    {
      job: { name: first?.id },
      startedAt: time(0),
      finishedAt: time(3 * SECOND),
      reason: 'ExitCode',
      message: 'It failed.',
    },
  ]);
  const wait = Date.parse(retryAt) - T0;
  assert.equal(run.wake(), wait);
  assert.ok(wait > 11 * SECOND && wait <= 13 * SECOND);

  assert.equal(run.at(wait - 1).status, run.status);
  const [second] = run.at(wait).effects;
  assert.equal(run.effects(), 'Start a-2');
  assert.notEqual(second?.id, first?.id);
  assert.equal(run.step('a').reason, undefined);
  assert.equal(run.step('a').startedAt, time(0));
  assert.equal(run.step('a').attemptStartedAt, time(wait));

  run.at(HOUR, { a: failed('OOMKilled') });
  assert.equal(run.phases(), 'a:Failed/OOMKilled');
  assert.equal(run.step('a').attempts?.length, 1);
});

test('an attempt that never began is tried again without counting, five times', () => {
  const run = takeOn({ steps: [step('a', { retry: { limit: 1, backoff: { initial: '0s' } } })] });
  run.at(0);
  for (let turn = 1; turn <= 6; turn += 1) {
    run.at(turn, { a: evicted });
    assert.equal(run.effects(), `Start a-${turn + 1}`);
  }
  const reasons = run.step('a').attempts?.map(({ reason }) => reason);
  assert.deepEqual(reasons, [...Array(5).fill('NotStarted'), 'Evicted']);
  assert.equal(run.step('a').attempts?.[0]?.message, 'Evicted: It failed.');
  run.at(7, { a: evicted });
  assert.equal(run.phases(), 'a:Failed/Evicted');
});

test('what keeps a step from running is shown until it runs', () => {
  const run = takeOn({ steps: [step('a')] });
  run.at(0);
  const { status } = run.at(SECOND, { a: waiting('ImagePullBackOff', 'no such image') });
  assert.equal(run.phases(), 'a:Running/ImagePullBackOff');
  assert.equal(run.step('a').message, 'no such image');
  assert.equal(run.wake(), 5 * MINUTE);
  assert.equal(run.at(2 * SECOND, { a: waiting('ImagePullBackOff', 'other words') }).status, status);
  run.at(3 * SECOND, { a: waiting('Unschedulable') });
  assert.equal(run.phases(), 'a:Running/Unschedulable');
  run.at(4 * SECOND, { a: running });
  assert.equal(run.phases(), 'a:Running');
});

test('a step that does not begin to run is stopped after pendingTimeout, and fails with what kept it', () => {
  const run = takeOn({ steps: [step('a', { pod: { pendingTimeout: '1m' } })] });
  run.at(0);
  run.at(SECOND, { a: waiting('ImagePullBackOff', 'no such image') });
  run.at(MINUTE, { a: waiting('ImagePullBackOff') });
  assert.equal(run.effects(), 'Stop a-1');
  assert.equal(run.phases(), 'a:Running/ImagePullBackOff');
  run.at(MINUTE + SECOND, { a: absent });
  assert.equal(run.phases(), 'a:Failed/ImagePullBackOff');
  assert.equal(run.step('a').message, 'no such image');
});

test('a step that quietly does not begin fails with PendingTimeout', () => {
  const run = takeOn({ steps: [step('a')] });
  run.at(0);
  run.at(1, { a: starting });
  assert.equal(run.wake(), 5 * MINUTE);
  run.at(5 * MINUTE, { a: starting });
  assert.equal(run.effects(), 'Stop a-1');
  run.at(5 * MINUTE + SECOND, { a: failed('DeadlineExceeded') });
  assert.equal(run.phases(), 'a:Failed/PendingTimeout');
  assert.match(run.step('a').message ?? '', /did not begin to run within its pendingTimeout of 5m0s/);
});

test('a start that is refused is shown, had again, and fails after pendingTimeout', () => {
  const blocked: Observation = { state: 'Absent', blocked: { reason: 'QuotaExceeded', message: 'no room' } };
  const run = takeOn({ steps: [step('a')] });
  run.at(0);
  run.at(SECOND, { a: blocked });
  assert.equal(run.effects(), 'Start a-1');
  assert.equal(run.phases(), 'a:Running/QuotaExceeded');
  run.at(5 * MINUTE, { a: blocked });
  assert.equal(run.phases(), 'a:Failed/QuotaExceeded');
  assert.equal(run.step('a').message, 'no room');
});

test('an attempt that the kubelet does not end in time is stopped', () => {
  const run = takeOn({
    steps: [step('a', { timeout: '10m', retry: { limit: 1, backoff: { initial: '0s' } } })],
  });
  run.at(0);
  run.at(1, { a: running });
  const limit = 5 * MINUTE + 10 * MINUTE + MINUTE;
  assert.equal(run.wake(), limit);
  run.at(limit);
  assert.equal(run.effects(), 'Stop a-1');
  assert.equal(run.phases(), 'a:Running/Stopping');
  run.at(limit + SECOND, { a: failed('Killed', { uid: 'job-uid' }) });
  assert.equal(run.step('a').attempts?.[0]?.job?.uid, 'job-uid');
  assert.equal(run.step('a').attempts?.[0]?.reason, 'DeadlineExceeded');
  assert.equal(run.step('a').attempts?.[0]?.message, 'The step ran longer than its timeout of 10m0s.');
});

test('an attempt that does not end when it is stopped is given up, and not tried again', () => {
  const run = takeOn({ steps: [step('a', { timeout: '10m', retry: { limit: 1 } })] });
  const limit = 16 * MINUTE;
  run.at(0);
  run.at(limit);
  assert.equal(run.wake(), limit + 2 * MINUTE);
  run.at(limit + 2 * MINUTE);
  assert.equal(run.effects(), 'Stop a-1');
  assert.equal(run.phases(), 'a:Failed/DeadlineExceeded');
  assert.match(run.step('a').message ?? '', /did not end within 2m0s of being stopped/);
  assert.equal(run.status.phase, 'Failed');
});

test('an end lies between the start and now, whatever clock the node has', () => {
  for (const [finishedAt, expected] of [
    [T0 - HOUR, 0],
    [T0 + 5 * SECOND, 5999],
    [T0 + 9.5 * SECOND, 10 * SECOND],
    [T0 + HOUR, 10 * SECOND],
    [Number.NaN, 10 * SECOND],
  ] as const) {
    const run = takeOn({ steps: [step('a')] });
    run.at(0);
    run.at(10 * SECOND, { a: succeeded({ finishedAt }) });
    assert.equal(run.step('a').finishedAt, time(expected));
  }
});

test('texts are cut to what the status takes', () => {
  const run = takeOn({ steps: [step('a', { retry: { limit: 1, backoff: { initial: '0s' } } })] });
  run.at(0);
  const long = { message: 'm'.repeat(5000), summary: 's'.repeat(5000) };
  run.at(1, { a: failed('R'.repeat(500), long) });
  run.at(2, { a: failed('R'.repeat(500), long) });
  const { reason, message, summary, attempts } = run.step('a');
  assert.deepEqual([reason?.length, message?.length, summary?.length], [128, 1024, 256]);
  assert.equal(attempts?.[0]?.message?.length, 128);
  assert.equal(run.status.message?.length, 1024);
});

test('what the run of a step waits for is shown, and is no trouble when it ends later', () => {
  const run = takeOn({ steps: [{ name: 'a', workflow: { name: 'w' } }] });
  run.at(0);
  run.at(SECOND, { a: { state: 'Running', queued: 'Run x is queued: Waits for run y.' } });
  const { phase, reason, message } = run.step('a');
  assert.deepEqual([phase, reason, message], ['Running', 'Queued', 'Run x is queued: Waits for run y.']);
  run.at(HOUR, { a: failed('ChildFailed') });
  assert.equal(run.step('a').reason, 'ChildFailed');
});
