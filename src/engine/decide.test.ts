import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StepStatus, WorkflowRunStatus } from '../api/workflow-run.ts';
import { acceptRun } from './accept.ts';
import { decide } from './decide.ts';
import { compile } from './graph.ts';
import type { Decision, Effect, Observation, Result, RunContext } from './model.ts';
import { resolvers } from './model-shell.ts';

const T0 = Date.parse('2030-01-01T00:00:00Z');
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

const step = (name: string, more: object = {}) => ({ name, script: { bash: 'true' }, ...more });
const withEnv = (name: string, env: Record<string, string>, more: object = {}) =>
  step(name, { script: { bash: 'true', env }, ...more });

const running: Observation = { state: 'Running' };
const starting: Observation = { state: 'Starting' };
const absent: Observation = { state: 'Absent' };
const waiting = (reason: string, message = 'why'): Observation => ({ state: 'Waiting', reason, message });

/** Ended, as far as the time tells, when it is observed. */
const ended = (result: Partial<Result> & Pick<Result, 'outcome' | 'reason'>): Observation => ({
  state: 'Ended',
  result: { finishedAt: Number.MAX_SAFE_INTEGER, ...result },
});
const succeeded = (more: Partial<Result> = {}) =>
  ended({ outcome: 'Succeeded', reason: 'Completed', ...more });
const failed = (reason = 'ExitCode', more: Partial<Result> = {}) =>
  ended({ outcome: 'Failed', reason, message: 'It failed.', ...more });
const evicted = failed('Evicted', { infrastructure: true });

/** A run that a test takes on turn by turn. Times are milliseconds since it was accepted. */
function accept(spec: object, params: RunContext['params'] = {}) {
  const compiled = compile(spec, resolvers);
  if (!compiled.ok) assert.fail(JSON.stringify(compiled.problems));
  const { graph } = compiled;
  const run = { name: 'r', namespace: 'ns', uid: 'uid', workflow: 'w', params, trigger: { type: 'Manual' } };
  let status = acceptRun(graph, 'revision', T0);
  let last: Decision = { status, effects: [] };
  return {
    /** Decides on what is seen; the steps that are not named are running if they were started. */
    at(time: number, seen: Record<string, Observation> = {}): Decision {
      const started = (status.steps ?? []).filter((one) => one.job && one.phase === 'Running');
      const observed = new Map([
        ...started.map((one) => [one.name, running] as const),
        ...Object.entries(seen),
      ]);
      last = decide({ graph, run, status, observed, resolvers, now: T0 + time });
      status = last.status;
      return last;
    },
    step(name: string): StepStatus {
      const found = status.steps?.find((one) => one.name === name);
      assert.ok(found);
      return found;
    },
    /** `name:Phase` or `name:Phase/Reason` of each step. */
    phases: () =>
      (status.steps ?? [])
        .map(({ name, phase, reason }) => `${name}:${phase}${reason ? `/${reason}` : ''}`)
        .join(' '),
    /** `Start name-attempt` of each effect. */
    effects: () => last.effects.map(({ type, step, attempt }) => `${type} ${step}-${attempt}`).join(' '),
    /** When to decide again, since the run was accepted. */
    wake: () => (last.wakeAt === undefined ? undefined : last.wakeAt - T0),
    get status(): WorkflowRunStatus {
      return status;
    },
  };
}

const time = (ms: number) => new Date(T0 + ms).toISOString();
const envOf = (effect: Effect | undefined) =>
  effect?.type === 'Start' ? effect.spec.script?.env : undefined;

test('all that waits for nothing starts in the first decision, intent and effect together', () => {
  const run = accept({
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
    attemptStartedAt: time(0),
    job: { name: effects[0]?.job },
  });
  assert.equal(run.step('c').phase, 'Pending');
  assert.equal(status.currentStep, 'a, b');
  assert.equal(status.progress, '0/3');
});

test('the end of a step and the start of the next are one decision', () => {
  const run = accept({ steps: [step('a'), step('b')] });
  run.at(0);
  run.at(5 * SECOND, { a: succeeded({ outputs: { x: 1 }, summary: 'one x', jobUid: 'job-uid' }) });
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
    attemptStartedAt: time(0),
    finishedAt: time(5 * SECOND),
    summary: 'one x',
    outputs: { x: 1 },
  });
  assert.equal(run.status.progress, '1/2');
});

test('a run whose steps all succeeded has succeeded', () => {
  const run = accept({ steps: [step('a')] });
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
  const run = accept({ steps: [step('a')] });
  const { status } = run.at(0);
  assert.equal(run.at(1, { a: absent }).status, status);
  assert.equal(run.at(2, { a: starting }).status, status);
  assert.equal(run.at(3, { a: running }).status, status);
});

test('a start that was written and lost is had again', () => {
  const steps = [withEnv('a', { REGION: '${{ params.region }}' })];
  const run = accept({ params: [{ name: 'region' }], steps }, { region: 'us' });
  const first = run.at(0);
  assert.deepEqual(envOf(first.effects[0]), { REGION: 'us' });
  const again = run.at(SECOND, { a: absent });
  assert.deepEqual(again.effects, first.effects);
  assert.equal(again.status, first.status);
});

test('a start found missing after pendingTimeout gets its full time', () => {
  const run = accept({ steps: [step('a')] });
  run.at(0);
  run.at(2 * HOUR, { a: absent });
  assert.equal(run.effects(), 'Start a-1');
  assert.equal(run.step('a').attemptStartedAt, time(2 * HOUR));
  run.at(2 * HOUR + SECOND, { a: starting });
  assert.equal(run.phases(), 'a:Running');
});

test('after a failure what comes after is skipped, and so is what is new elsewhere', () => {
  const run = accept({
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
  const run = accept({
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
  const run = accept({
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
  const run = accept({ steps: names.map((name) => step(name, { when: 'run.name == "other"' })) });
  run.at(0);
  assert.equal(run.status.phase, 'Succeeded');
  assert.equal(run.status.progress, '20/20');
});

test('an expression that can not be evaluated fails the step before any Job', () => {
  const run = accept({
    params: [{ name: 'absent' }],
    steps: [
      step('a', { when: 'params.absent == "x"', continueOnError: true }),
      withEnv(
        'b',
        { X: '${{ params.absent }}' },
        { continueOnError: true, dependsOn: [], retry: { limit: 3 } },
      ),
      step('c', { when: '"yes"', dependsOn: [] }),
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
  const run = accept({
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
    const run = accept({ steps: [step('a')], finally: [step('x', { continueOnError })] });
    run.at(0);
    run.at(1, { a: succeeded() });
    run.at(2, { x: failed() });
    assert.equal(run.status.phase, continueOnError ? 'Succeeded' : 'Failed');
  }
});

test('a retry is a new attempt with a new Job, after a while', () => {
  const run = accept({ steps: [step('a', { retry: { limit: 1, backoff: { initial: '10s' } } })] });
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
      job: { name: first?.job },
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
  assert.notEqual(second?.job, first?.job);
  assert.equal(run.step('a').reason, undefined);
  assert.equal(run.step('a').startedAt, time(0));
  assert.equal(run.step('a').attemptStartedAt, time(wait));

  run.at(HOUR, { a: failed('OOMKilled') });
  assert.equal(run.phases(), 'a:Failed/OOMKilled');
  assert.equal(run.step('a').attempts?.length, 1);
});

test('an attempt that never began is tried again without counting, five times', () => {
  const run = accept({ steps: [step('a', { retry: { limit: 1, backoff: { initial: '0s' } } })] });
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
  const run = accept({ steps: [step('a')] });
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
  const run = accept({ steps: [step('a', { pod: { pendingTimeout: '1m' } })] });
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
  const run = accept({ steps: [step('a')] });
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
  const run = accept({ steps: [step('a')] });
  run.at(0);
  run.at(SECOND, { a: blocked });
  assert.equal(run.effects(), 'Start a-1');
  assert.equal(run.phases(), 'a:Running/QuotaExceeded');
  run.at(5 * MINUTE, { a: blocked });
  assert.equal(run.phases(), 'a:Failed/QuotaExceeded');
  assert.equal(run.step('a').message, 'no room');
});

test('an attempt that the kubelet does not end in time is stopped', () => {
  const run = accept({
    steps: [step('a', { timeout: '10m', retry: { limit: 1, backoff: { initial: '0s' } } })],
  });
  run.at(0);
  run.at(1, { a: running });
  const limit = 5 * MINUTE + 10 * MINUTE + MINUTE;
  assert.equal(run.wake(), limit);
  run.at(limit);
  assert.equal(run.effects(), 'Stop a-1');
  assert.equal(run.phases(), 'a:Running/Stopping');
  run.at(limit + SECOND, { a: failed('Killed') });
  assert.equal(run.step('a').attempts?.[0]?.reason, 'DeadlineExceeded');
  assert.equal(run.step('a').attempts?.[0]?.message, 'The step ran longer than its timeout of 10m0s.');
});

test('an attempt that does not end when it is stopped is given up, and not tried again', () => {
  const run = accept({ steps: [step('a', { timeout: '10m', retry: { limit: 1 } })] });
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

test('a run that exceeds its timeout stops what runs, skips the rest, and still cleans up', () => {
  const run = accept({
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
  const run = accept({
    timeout: '1h',
    steps: [step('a'), step('b', { dependsOn: [] }), step('c', { dependsOn: [] })],
  });
  run.at(0);
  run.at(HOUR);
  run.at(HOUR + SECOND, {
    a: succeeded(),
    b: failed('ExitCode', { finishedAt: T0 + HOUR - 2 * SECOND }),
    c: failed('ExitCode', { finishedAt: T0 + HOUR + SECOND }),
  });
  assert.equal(run.phases(), 'a:Succeeded/Completed b:Failed/ExitCode c:Failed/RunTimedOut');
  assert.equal(run.status.phase, 'TimedOut');
});

test('a run whose last step is seen to have ended does not time out', () => {
  const run = accept({ timeout: '1h', steps: [step('a')], finally: [step('x')] });
  run.at(0);
  run.at(HOUR, { a: succeeded() });
  assert.equal(run.effects(), 'Start x-1');
  run.at(3 * HOUR, { x: succeeded() });
  assert.equal(run.status.phase, 'Succeeded');
});

test('an attempt not seen when its run times out is stopped, should it be on its way', () => {
  const run = accept({ timeout: '1h', steps: [step('a')] });
  run.at(0);
  run.at(HOUR, { a: absent });
  assert.equal(run.effects(), 'Stop a-1');
  assert.equal(run.phases(), 'a:Failed/RunTimedOut');
});

test('an end lies between the start and now, whatever clock the node has', () => {
  for (const [finishedAt, expected] of [
    [T0 - HOUR, 0],
    [T0 + 5 * SECOND, 5 * SECOND],
    [T0 + HOUR, 10 * SECOND],
    [Number.NaN, 10 * SECOND],
  ] as const) {
    const run = accept({ steps: [step('a')] });
    run.at(0);
    run.at(10 * SECOND, { a: succeeded({ finishedAt }) });
    assert.equal(run.step('a').finishedAt, time(expected));
  }
});

test('outputs that would make the status too large fail the step', () => {
  const names = Array.from({ length: 70 }, (_, index) => `s${index}`);
  const run = accept({ steps: names.map((name) => step(name, { dependsOn: [], retry: { limit: 1 } })) });
  run.at(0);
  const big = succeeded({ outputs: { x: 'x'.repeat(4000) } });
  run.at(1, Object.fromEntries(names.map((name) => [name, big])));
  const reasons = new Set(run.status.steps?.map(({ reason }) => reason));
  assert.deepEqual([...reasons], ['Completed', 'OutputsTooLarge']);
  assert.equal(run.status.steps?.filter(({ phase }) => phase === 'Succeeded').length, 65);
  assert.equal(run.status.phase, 'Failed');
});

test('texts are cut to what the status takes', () => {
  const run = accept({ steps: [step('a', { retry: { limit: 1, backoff: { initial: '0s' } } })] });
  run.at(0);
  const long = { message: 'm'.repeat(5000), summary: 's'.repeat(5000) };
  run.at(1, { a: failed('R'.repeat(500), long) });
  run.at(2, { a: failed('R'.repeat(500), long) });
  const { reason, message, summary, attempts } = run.step('a');
  assert.deepEqual([reason?.length, message?.length, summary?.length], [128, 1024, 256]);
  assert.equal(attempts?.[0]?.message?.length, 128);
  assert.equal(run.status.message?.length, 1024);
});

test('many running steps are counted instead of listed', () => {
  const names = Array.from({ length: 60 }, (_, index) => `step-${index}`);
  const run = accept({ steps: names.map((name) => step(name, { dependsOn: [] })) });
  run.at(0);
  assert.equal(run.status.currentStep, 'step-0 and 59 more');
});
