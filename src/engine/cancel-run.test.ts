import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WorkflowRunStatus } from '../api/workflow-run.ts';
import { cancelRun } from './control.ts';
import {
  absent,
  choose,
  envOf,
  failed,
  HOUR,
  MINUTE,
  SECOND,
  step,
  succeeded,
  T0,
  takeOn,
  time,
  withEnv,
} from './turns.ts';

const WHY = { reason: 'Cancelled', message: 'Cancelled by jane.' } as const;
const clean = withEnv('clean', { PHASE: '${{ run.phase }}' });

test('a cancelled run stops what runs, skips the rest, and then cleans up', () => {
  const run = takeOn({
    steps: [
      step('a'),
      step('b', { runIf: 'Always' }),
      step('c', { runIf: 'Failure' }),
      step('again', { dependsOn: [], retry: { limit: 1 } }),
    ],
    finally: [clean],
  });
  run.at(0);
  run.at(SECOND, { again: failed() });
  run.cancel(2 * SECOND);
  run.at(2 * SECOND);
  assert.equal(run.effects(), 'Stop a-1');
  assert.equal(
    run.phases(),
    'a:Running/Stopping b:Skipped/RunCancelled c:Skipped/RunCancelled again:Cancelled/RunCancelled clean:Pending',
  );
  assert.equal(run.step('a').message, 'The run was cancelled, and the step was stopped.');
  assert.equal(run.step('b').message, 'The run was cancelled before this step started.');
  assert.equal(run.step('again').message, 'The run was cancelled before the next attempt.');
  assert.equal(run.status.phase, 'Running');
  assert.equal(run.status.finishedAt, undefined);

  const { effects } = run.at(5 * SECOND, { a: failed('Killed') });
  assert.deepEqual(envOf(effects[0]), { PHASE: 'Cancelled' });
  assert.deepEqual([run.step('a').phase, run.step('a').reason], ['Cancelled', 'RunCancelled']);
  run.at(MINUTE, { clean: succeeded() });
  const { phase, reason, message, finishedAt, conditions, cancellation } = run.status;
  assert.deepEqual(
    { phase, reason, message, finishedAt },
    { phase: 'Cancelled', ...WHY, finishedAt: time(MINUTE) },
  );
  assert.deepEqual([conditions?.[0]?.status, conditions?.[0]?.reason], ['False', 'Cancelled']);
  assert.deepEqual(cancellation, { requestedAt: time(2 * SECOND), ...WHY });
});

test('what ended by itself before it was stopped keeps its own end', () => {
  const run = takeOn({ steps: ['a', 'b', 'c'].map((name) => step(name, { dependsOn: [] })) });
  run.at(0);
  run.cancel(MINUTE);
  run.at(MINUTE);
  run.at(MINUTE + 2 * SECOND, {
    a: succeeded(),
    b: failed('ExitCode', { finishedAt: T0 + MINUTE - SECOND }),
    c: failed('ExitCode', { finishedAt: T0 + MINUTE + SECOND }),
  });
  assert.equal(run.phases(), 'a:Succeeded/Completed b:Failed/ExitCode c:Cancelled/RunCancelled');
  assert.equal(run.status.phase, 'Cancelled');
});

test('nothing starts in the turn that sees both the end of a step and the cancellation', () => {
  const run = takeOn({ steps: [step('a'), choose('check', 'true', [['b']]), step('b')] });
  run.at(0);
  run.cancel(SECOND);
  run.at(SECOND, { a: succeeded() });
  assert.equal(run.effects(), '');
  assert.equal(run.phases(), 'a:Succeeded/Completed check:Skipped/RunCancelled b:Skipped/RunCancelled');
  assert.equal(run.status.phase, 'Cancelled');
});

test('an attempt that is not seen when its run is cancelled is stopped, should it be on its way', () => {
  const run = takeOn({ steps: [step('a')], finally: [clean] });
  run.at(0);
  run.cancel(1);
  run.at(1, { a: absent });
  assert.equal(run.effects(), 'Stop a-1 Start clean-1');
  assert.equal(run.step('a').phase, 'Cancelled');
});

test('a second cancel ends the run at once, without finally, and nobody waits for what runs', () => {
  const run = takeOn({ steps: [step('a'), step('b', { dependsOn: [] })], finally: [clean, step('last')] });
  run.at(0);
  run.cancel(SECOND);
  run.at(SECOND);
  assert.equal(run.effects(), 'Stop a-1 Stop b-1');
  run.cancel(2 * SECOND);
  run.at(2 * SECOND, { b: succeeded() });
  assert.equal(run.effects(), 'Stop! a-1');
  assert.equal(
    run.phases(),
    'a:Cancelled/RunCancelled b:Succeeded/Completed clean:Skipped/RunCancelled last:Skipped/RunCancelled',
  );
  assert.equal(run.status.phase, 'Cancelled');
  assert.equal(run.status.cancellation?.terminatedAt, time(2 * SECOND));
  assert.equal(run.status.finishedAt, time(2 * SECOND));
  assert.equal(run.wake(), undefined);
});

test('a second cancel within the same turn as the first ends the run as well', () => {
  const run = takeOn({ steps: [step('a')], finally: [clean] });
  run.at(0);
  run.cancel(SECOND);
  run.cancel(SECOND);
  run.at(SECOND);
  assert.equal(run.effects(), 'Stop! a-1');
  assert.equal(run.status.phase, 'Cancelled');
});

test('a run that is cancelled while it cleans up goes on cleaning, until it is cancelled again', () => {
  const run = takeOn({
    steps: [step('a')],
    finally: [step('x'), withEnv('y', { PHASE: '${{ run.phase }}' }), step('z')],
  });
  run.at(0);
  run.at(1, { a: succeeded() });
  run.cancel(2);
  const before = run.status;
  assert.equal(run.at(2).status, before);
  assert.equal(run.effects(), '');
  assert.deepEqual(envOf(run.at(3, { x: failed() }).effects[0]), { PHASE: 'Cancelled' });
  run.cancel(4);
  run.at(4);
  assert.equal(run.effects(), 'Stop! y-1');
  assert.equal(
    run.phases(),
    'a:Succeeded/Completed x:Failed/ExitCode y:Cancelled/RunCancelled z:Skipped/RunCancelled',
  );
  assert.equal(run.status.phase, 'Cancelled');
});

test('a step of finally that waits for its next attempt is waited for, unless the run is cancelled again', () => {
  const run = takeOn({ steps: [step('a')], finally: [step('x', { retry: { limit: 1 } })] });
  run.at(0);
  run.cancel(1);
  run.at(1, { a: failed() });
  run.at(2, { x: failed() });
  assert.equal(run.phases(), 'a:Cancelled/RunCancelled x:Running/Retrying');
  run.cancel(3);
  run.at(3);
  assert.equal(run.phases(), 'a:Cancelled/RunCancelled x:Cancelled/RunCancelled');
  assert.equal(run.effects(), '');
});

test('what failed before the run was cancelled stays so', () => {
  const run = takeOn({ steps: [step('a'), step('b', { dependsOn: [] })] });
  run.at(0);
  run.at(1, { a: failed() });
  run.cancel(2);
  run.at(2);
  run.at(3, { b: failed() });
  assert.equal(run.phases(), 'a:Failed/ExitCode b:Cancelled/RunCancelled');
  assert.equal(run.status.phase, 'Cancelled');
  assert.equal(run.status.message, 'Cancelled by jane.');
});

test('a run that is cancelled after it timed out is Cancelled, and one that was cancelled does not time out', () => {
  const late = takeOn({ timeout: '1h', steps: [step('a')] });
  late.at(0);
  late.at(HOUR);
  late.cancel(HOUR + 1);
  late.at(HOUR + SECOND, { a: failed('Killed') });
  assert.equal(late.phases(), 'a:Cancelled/RunCancelled');
  assert.equal(late.status.phase, 'Cancelled');

  const early = takeOn({ timeout: '1h', steps: [step('a')], finally: [step('x')] });
  early.at(0);
  early.cancel(HOUR - 1);
  early.at(HOUR);
  assert.equal(early.status.timedOutAt, undefined);
  assert.equal(early.phases(), 'a:Running/Stopping x:Pending');
});

test('a run that was replaced says so', () => {
  const { status } = takeOn({ steps: [step('a')] });
  const why = { reason: 'Replaced', message: 'Replaced by run deploy-2.' } as const;
  const run = takeOn({ steps: [step('a')] });
  run.write(cancelRun(status, why, T0));
  run.at(0);
  assert.equal(run.status.phase, 'Cancelled');
  assert.equal(run.status.reason, 'Replaced');
  assert.equal(run.status.message, 'Replaced by run deploy-2.');
});

test('a run that has not started ends at once, with all its steps', () => {
  const { status: accepted } = takeOn({ steps: [step('a')], finally: [clean] });
  const { startedAt: _startedAt, ...rest } = accepted;
  for (const phase of ['Queued', 'Pending'] as const) {
    const status = cancelRun({ ...rest, phase }, WHY, T0 + SECOND);
    assert.equal(status.phase, 'Cancelled');
    assert.equal(status.finishedAt, time(SECOND));
    assert.equal(status.duration, '0s');
    assert.equal(status.progress, '2/2');
    assert.deepEqual(
      status.steps?.map(({ phase, reason, message }) => [phase, reason, message]),
      ['a', 'clean'].map(() => ['Skipped', 'RunCancelled', 'Cancelled by jane.']),
    );
  }
});

test('a run that has not been accepted yet has no steps to end', () => {
  const status: WorkflowRunStatus = cancelRun({}, WHY, T0);
  assert.deepEqual([status.phase, status.steps, status.progress], ['Cancelled', undefined, undefined]);
});

test('a run that has ended stays as it is, and a third cancel changes nothing', () => {
  const run = takeOn({ steps: [step('a')] });
  run.at(0);
  run.at(1, { a: succeeded() });
  assert.equal(cancelRun(run.status, WHY, T0), run.status);

  const twice = cancelRun(cancelRun(takeOn({ steps: [step('a')] }).status, WHY, T0), WHY, T0 + 1);
  assert.deepEqual(cancelRun(twice, { reason: 'Replaced', message: 'x' }, T0 + 2), twice);
});
