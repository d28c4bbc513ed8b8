import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  absent,
  envOf,
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
  withEnv,
} from './turns.ts';

test('all that waits for nothing starts in the first decision, intent and effect together', () => {
  const run = takeOn({
    steps: [step('a'), step('b', { dependsOn: [] }), step('c', { dependsOn: ['a', 'b'] })],
  });
  const { effects, status } = run.at(0);
  assert.equal(run.effects(), 'Start a-1 Start b-1');
  assert.deepEqual(run.step('a'), {
    name: 'a',
    type: 'script',
    phase: 'Running',
    startedAt: time(0),
    attempt: 1,
    job: { name: effects[0]?.id },
  });
  assert.equal(run.step('c').phase, 'Pending');
  assert.equal(status.currentStep, 'a, b');
  assert.equal(status.progress, '0/3');
});

test('the end of a step and the start of the next are one decision', () => {
  const run = takeOn({ steps: [step('a'), step('b')] });
  run.at(0);
  run.at(5 * SECOND, { a: succeeded({ outputs: { x: 1 }, summary: 'one x', uid: 'job-uid' }) });
  assert.equal(run.effects(), 'Start b-1');
  const { job, ...rest } = run.step('a');
  assert.equal(job?.uid, 'job-uid');
  assert.deepEqual(rest, {
    name: 'a',
    type: 'script',
    phase: 'Succeeded',
    reason: 'Completed',
    startedAt: time(0),
    attempt: 1,
    finishedAt: time(5 * SECOND),
    summary: 'one x',
    outputs: { x: 1 },
  });
  assert.equal(run.status.progress, '1/2');
});

test('a run whose steps all succeeded has succeeded', () => {
  const run = takeOn({ steps: [step('a')] });
  run.at(0);
  run.at(65 * SECOND, { a: succeeded() });
  const { phase, progress, duration, finishedAt, currentStep, conditions } = run.status;
  assert.deepEqual(
    { phase, progress, duration, finishedAt, currentStep },
    {
      phase: 'Succeeded',
      progress: '1/1',
      duration: '1m5s',
      finishedAt: time(65 * SECOND),
      currentStep: undefined,
    },
  );
  assert.equal(conditions?.[0]?.status, 'True');
  assert.equal(run.wake(), undefined);
  assert.deepEqual(run.at(HOUR), { status: run.status, effects: [] });
});

test('nothing seen anew leaves the same status', () => {
  const run = takeOn({ steps: [step('a')] });
  const { status } = run.at(0);
  assert.equal(run.at(1, { a: absent }).status, status);
  assert.equal(run.at(2, { a: starting }).status, status);
  assert.equal(run.at(3, { a: running }).status, status);
});

test('after a failure what comes after is skipped, and so is what is new elsewhere', () => {
  const run = takeOn({
    steps: [
      step('a'),
      step('b'),
      step('c', { dependsOn: [] }),
      step('d'),
      step('handler', { dependsOn: ['b'], runIf: 'Failure' }),
      step('always', { dependsOn: ['b'], runIf: 'Always' }),
      step('unharmed', { dependsOn: ['c'], runIf: 'Failure' }),
    ],
  });
  run.at(0);
  run.at(1, { a: failed() });
  assert.equal(run.effects(), 'Start handler-1 Start always-1');
  assert.equal(run.step('b').message, 'Step a failed.');
  run.at(2, { c: succeeded(), handler: succeeded(), always: succeeded() });
  assert.equal(
    run.phases(),
    'a:Failed/ExitCode b:Skipped/UpstreamFailed c:Succeeded/Completed d:Skipped/RunFailing ' +
      'handler:Succeeded/Completed always:Succeeded/Completed unharmed:Skipped/NothingFailed',
  );
  assert.equal(run.status.phase, 'Failed');
  assert.equal(run.status.reason, 'StepFailed');
  assert.equal(run.status.message, 'Step a failed: It failed.');
});

test('continueOnError shows a failure and counts it as success', () => {
  const run = takeOn({
    steps: [step('a', { continueOnError: true }), step('b'), step('c', { runIf: 'Failure' })],
  });
  run.at(0);
  run.at(1, { a: failed() });
  assert.equal(run.effects(), 'Start b-1');
  run.at(2, { b: succeeded() });
  assert.equal(run.phases(), 'a:Failed/ExitCode b:Succeeded/Completed c:Skipped/NothingFailed');
  assert.equal(run.status.phase, 'Succeeded');
});

test('when decides as the step is about to run, and what is skipped by it is transparent', () => {
  const run = takeOn({
    steps: [
      step('a'),
      step('b', { when: 'steps.a.outputs.go == true' }),
      step('c', { when: 'steps.b.phase == "Skipped"' }),
    ],
  });
  run.at(0);
  run.at(1, { a: succeeded({ outputs: { go: false } }) });
  assert.equal(run.phases(), 'a:Succeeded/Completed b:Skipped/WhenFalse c:Running');
  assert.equal(run.step('b').message, 'when is false: steps.a.outputs.go == true');
});

test('a chain of skips is one decision', () => {
  const names = Array.from({ length: 20 }, (_, index) => `s${index}`);
  const run = takeOn({ steps: names.map((name) => step(name, { when: 'run.name == "other"' })) });
  run.at(0);
  assert.equal(run.status.phase, 'Succeeded');
  assert.equal(run.status.progress, '20/20');
});

test('an expression that can not be evaluated fails the step before any Job', () => {
  const run = takeOn({
    params: [{ name: 'absent' }],
    steps: [
      step('a', { when: 'params.absent == "x"', continueOnError: true }),
      withEnv(
        'b',
        { X: '${{ params.absent }}' },
        { continueOnError: true, dependsOn: [], retry: { limit: 3 } },
      ),
      step('c', { when: 'dyn("yes")', dependsOn: [] }),
    ],
  });
  run.at(0);
  assert.equal(run.effects(), '');
  assert.equal(run.phases(), 'a:Failed/ExpressionError b:Failed/ExpressionError c:Failed/ExpressionError');
  const why =
    'params.absent is not there: the run gave no value and there is no default; guard it with has()';
  assert.equal(run.step('a').message, `when: ${why}`);
  assert.equal(run.step('b').message, `script.env.X: \${{ params.absent }}: ${why}`);
  assert.equal(run.step('b').job, undefined);
  assert.equal(run.step('c').message, 'when: must come to true or false, and came to "yes"');
  assert.equal(run.status.phase, 'Failed');
});

test('finally runs in order at the end, whatever failed, and sees the phase', () => {
  const run = takeOn({
    steps: [step('a'), step('b')],
    finally: [
      withEnv('x', { PHASE: '${{ run.phase }}' }),
      step('skipped', { when: 'run.phase == "Succeeded"' }),
      withEnv('y', { X: '${{ steps.x.phase }}' }),
    ],
  });
  run.at(0);
  assert.deepEqual(envOf(run.at(1, { a: failed() }).effects[0]), { PHASE: 'Failed' });
  assert.deepEqual(envOf(run.at(2, { x: failed('OOMKilled') }).effects[0]), { X: 'Failed' });
  run.at(3, { y: succeeded() });
  assert.equal(
    run.phases(),
    'a:Failed/ExitCode b:Skipped/UpstreamFailed x:Failed/OOMKilled skipped:Skipped/WhenFalse y:Succeeded/Completed',
  );
  assert.equal(run.status.message, 'Step a failed, and 1 more: It failed.');
});

test('a failure in finally fails the run, unless it is forgiven', () => {
  for (const continueOnError of [false, true]) {
    const run = takeOn({ steps: [step('a')], finally: [step('x', { continueOnError })] });
    run.at(0);
    run.at(1, { a: succeeded() });
    run.at(2, { x: failed() });
    assert.equal(run.status.phase, continueOnError ? 'Succeeded' : 'Failed');
  }
});

test('a run that exceeds its timeout stops what runs, skips the rest, and still cleans up', () => {
  const run = takeOn({
    timeout: '1h',
    steps: [
      step('a'),
      step('b', { runIf: 'Always' }),
      step('c', { dependsOn: [], retry: { limit: 3, backoff: { initial: '1h', max: '1h' } } }),
    ],
    finally: [withEnv('x', { PHASE: '${{ run.phase }}' })],
  });
  run.at(0);
  run.at(59 * MINUTE, { c: failed() });
  assert.equal(run.wake(), HOUR);
  run.at(HOUR);
  assert.equal(run.effects(), 'Stop a-1');
  assert.equal(run.phases(), 'a:Running/Stopping b:Skipped/RunTimedOut c:Failed/RunTimedOut x:Pending');
  assert.equal(run.status.timedOutAt, time(HOUR));
  assert.equal(run.status.phase, 'Running');

  const { effects } = run.at(HOUR + 5 * SECOND, { a: failed('Killed') });
  assert.deepEqual(envOf(effects[0]), { PHASE: 'TimedOut' });
  assert.equal(run.step('a').reason, 'RunTimedOut');
  run.at(2 * HOUR, { x: failed() });
  assert.equal(run.status.phase, 'TimedOut');
  assert.equal(run.status.message, 'The run exceeded its timeout of 1h0m0s.');
  assert.equal(run.status.conditions?.[0]?.reason, 'RunTimedOut');
});

test('a step that ended by itself before the run timed out keeps its own reason', () => {
  const run = takeOn({
    timeout: '1h',
    steps: [step('a'), step('b', { dependsOn: [] }), step('c', { dependsOn: [] })],
  });
  run.at(0);
  run.at(HOUR);
  run.at(HOUR + SECOND, {
    a: succeeded(),
    b: failed('ExitCode', { finishedAt: T0 + HOUR - SECOND }),
    c: failed('ExitCode', { finishedAt: T0 + HOUR + SECOND }),
  });
  assert.equal(run.phases(), 'a:Succeeded/Completed b:Failed/ExitCode c:Failed/RunTimedOut');
  assert.equal(run.status.phase, 'TimedOut');
});

test('a run whose last step is seen to have ended does not time out', () => {
  const run = takeOn({ timeout: '1h', steps: [step('a')], finally: [step('x')] });
  run.at(0);
  run.at(HOUR, { a: succeeded() });
  assert.equal(run.effects(), 'Start x-1');
  run.at(3 * HOUR, { x: succeeded() });
  assert.equal(run.status.phase, 'Succeeded');
});

test('an attempt not seen when its run times out is stopped, should it be on its way', () => {
  const run = takeOn({ timeout: '1h', steps: [step('a')] });
  run.at(0);
  run.at(HOUR, { a: absent });
  assert.equal(run.effects(), 'Stop a-1');
  assert.equal(run.phases(), 'a:Failed/RunTimedOut');
});

test('outputs that would make the status too large fail the step', () => {
  const names = Array.from({ length: 70 }, (_, index) => `s${index}`);
  const run = takeOn({ steps: names.map((name) => step(name, { dependsOn: [], retry: { limit: 1 } })) });
  run.at(0);
  const big = succeeded({ outputs: { x: 'x'.repeat(4000) } });
  const small = succeeded({ outputs: { x: 'x' } });
  run.at(1, Object.fromEntries(names.map((name) => [name, name === 's69' ? small : big])));
  assert.equal(run.status.steps?.filter(({ phase }) => phase === 'Succeeded').length, 59);
  assert.equal(run.step('s58').reason, 'OutputsTooLarge');
  assert.equal(run.step('s58').outputs, undefined);
  assert.equal(run.step('s69').phase, 'Succeeded');
  assert.equal(run.status.phase, 'Failed');
});

test('many running steps are counted instead of listed', () => {
  const names = Array.from({ length: 60 }, (_, index) => `step-${index}`);
  const run = takeOn({ steps: names.map((name) => step(name, { dependsOn: [] })) });
  run.at(0);
  assert.equal(run.status.currentStep, 'step-0 and 59 more');
});
