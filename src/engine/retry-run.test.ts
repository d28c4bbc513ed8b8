import assert from 'node:assert/strict';
import { test } from 'node:test';
import { retryRun } from './control.ts';
import { jobName } from './names.ts';
import {
  choose,
  envOf,
  failed,
  finishRun,
  HOUR,
  MINUTE,
  runThrough,
  SECOND,
  step,
  succeeded,
  T0,
  takeOn,
  time,
  withEnv,
} from './turns.ts';

test('what can not be continued is refused with the reason', () => {
  const going = takeOn({ steps: [step('a')] });
  going.at(0);
  assert.equal(going.refusal(), 'The run has not ended.');

  const fine = runThrough({ steps: [step('a'), step('b')], finally: [step('x')] });
  assert.equal(fine.refusal(), 'No step of the run failed.');
  assert.equal(fine.refusal('a'), '');
  assert.equal(fine.refusal('c'), 'The run has no step c to go on from: it has a, b.');
  assert.equal(fine.refusal('x'), 'The run has no step x to go on from: it has a, b.');
  assert.equal(fine.refusal('a[0]'), 'The run has no step a[0] to go on from: it has a, b.');

  const { graph } = fine;
  const refused = { phase: 'Failed' as const, finishedAt: time(0) };
  assert.deepEqual(retryRun(graph, refused, 'failed', T0), {
    ok: false,
    message: 'The run never began: create another one.',
  });
});

test('a refusal is short however many steps there are', () => {
  const steps = Array.from({ length: 500 }, (_, index) => step(`step-${index}`));
  const refusal = runThrough({ steps }).refusal('x'.repeat(500));
  assert.ok(refusal.length < 700 && refusal.endsWith('….'), refusal);
});

test('steps that were skipped for good are no failures', () => {
  const run = runThrough(
    {
      params: [{ name: 'absent' }],
      steps: [
        step('a'),
        step('never', { when: 'false' }),
        step('handler', { runIf: 'Failure' }),
        choose('check', 'false', [['then']]),
        step('then'),
        choose('broken', 'params.absent', [['lost']], { continueOnError: true }),
        step('lost'),
        step('none', { forEach: { items: [] } }),
        step('forgiven', { continueOnError: true }),
      ],
    },
    { forgiven: failed() },
  );
  assert.equal(run.status.phase, 'Succeeded');
  assert.equal(run.refusal(), 'No step of the run failed.');
});

/** Two branches side by side, of which one fails, and a join: kept, failed, behind it, and never begun. */
const spec = {
  steps: [
    withEnv('plan', {}),
    step('us', { dependsOn: ['plan'] }),
    step('us-check', { dependsOn: ['us'] }),
    step('eu', { dependsOn: ['plan'] }),
    step('eu-check', { dependsOn: ['eu'] }),
    step('join', { dependsOn: ['us-check', 'eu-check'] }),
  ],
  finally: [step('clean')],
};

/** The run of `spec` whose step eu failed while us was under way. */
function halfFailed() {
  const run = takeOn(spec);
  run.at(0);
  run.at(SECOND, { plan: succeeded({ outputs: { n: 1 } }) });
  run.at(2 * SECOND, { eu: failed() });
  run.at(3 * SECOND, { us: succeeded() });
  run.at(4 * SECOND, { clean: succeeded() });
  assert.equal(
    run.phases(),
    'plan:Succeeded/Completed us:Succeeded/Completed us-check:Skipped/RunFailing eu:Failed/ExitCode ' +
      'eu-check:Skipped/UpstreamFailed join:Skipped/UpstreamFailed clean:Succeeded/Completed',
  );
  return run;
}

test('a run goes on from what did not succeed, and keeps what did', () => {
  const run = halfFailed();
  const [plan, us] = [run.step('plan'), run.step('us')];
  run.retry(HOUR);
  assert.equal(
    run.phases(),
    'plan:Succeeded/Completed us:Succeeded/Completed us-check:Pending eu:Pending eu-check:Pending join:Pending clean:Pending',
  );
  assert.deepEqual([run.step('plan'), run.step('us')], [plan, us]);
  assert.deepEqual(run.step('us-check'), { name: 'us-check', type: 'script', phase: 'Pending' });
  run.at(HOUR);
  assert.equal(run.effects(), 'Start us-check-1 Start eu-2');
  finishRun(run, HOUR + SECOND);
  assert.equal(run.status.phase, 'Succeeded');
  assert.deepEqual([run.step('plan'), run.step('us')], [plan, us]);
});

test('the status of a run that goes on tells nothing of its end', () => {
  const run = halfFailed();
  const next = retryRun(run.graph, run.status, 'failed', T0 + HOUR);
  assert.ok(next.ok);
  const { steps, conditions, ...status } = next.status;
  assert.deepEqual(status, {
    phase: 'Pending',
    revision: 'revision',
    startedAt: time(0),
    round: 1,
    resumedAt: time(HOUR),
    progress: '2/7',
  });
  assert.equal(steps?.length, 7);
  assert.deepEqual(conditions?.[0], {
    type: 'Succeeded',
    status: 'Unknown',
    reason: 'Running',
    message: 'The run has not ended.',
    lastTransitionTime: time(HOUR),
  });
});

test('what the run was accepted with stays, and the seal on it: without that it could not go on', () => {
  const { graph, status } = halfFailed();
  const mark = { revision: 'w-1', revisionSeal: 'seal', startedBy: 'jane@example.com' };
  const next = retryRun(graph, { ...status, ...mark }, 'failed', T0 + HOUR);
  assert.ok(next.ok);
  const { revision, revisionSeal, startedBy } = next.status;
  assert.deepEqual({ revision, revisionSeal, startedBy }, mark);
});

test('attempts go on counting, under names that were never used, and the earlier are on record', () => {
  const run = halfFailed();
  const [first, cleaned] = [run.step('eu'), run.step('clean')];
  run.retry(HOUR);
  run.at(HOUR);
  const second = run.step('eu');
  assert.equal(second.attempt, 2);
  assert.deepEqual(second.job, { name: jobName({ name: 'r', uid: 'uid' }, 'eu', 2, 1) });
  assert.notEqual(second.job?.name, jobName({ name: 'r', uid: 'uid' }, 'eu', 2));
  assert.deepEqual(second.attempts, [
    {
      job: first.job,
      startedAt: time(SECOND),
      finishedAt: time(2 * SECOND),
      reason: 'ExitCode',
      message: 'It failed.',
    },
  ]);
  assert.equal(second.startedAt, time(HOUR));

  finishRun(run, HOUR + SECOND, { 'us-check': failed() });
  assert.notEqual(run.step('clean').job?.name, cleaned.job?.name);
  assert.equal(run.step('clean').attempt, 2);
  run.retry(2 * HOUR);
  assert.equal(run.status.round, 2);
  run.at(2 * HOUR);
  const third = run.step('us-check');
  // It was not begun in the first round.
  assert.deepEqual(
    [third.attempt, third.job],
    [2, { name: jobName({ name: 'r', uid: 'uid' }, 'us-check', 2, 2) }],
  );
});

test('from a step: it and all behind it are done over, and what failed elsewhere too', () => {
  const run = halfFailed();
  const plan = run.step('plan');
  run.retry(HOUR, 'us');
  assert.equal(
    run.phases(),
    'plan:Succeeded/Completed us:Pending us-check:Pending eu:Pending eu-check:Pending join:Pending clean:Pending',
  );
  assert.equal(run.step('plan'), plan);
  run.at(HOUR);
  assert.equal(run.effects(), 'Start us-2 Start eu-2');

  const fine = runThrough(spec);
  fine.retry(HOUR, 'eu');
  assert.equal(
    fine.phases(),
    'plan:Succeeded/Completed us:Succeeded/Completed us-check:Succeeded/Completed eu:Pending ' +
      'eu-check:Pending join:Pending clean:Pending',
  );
});

test('the step that a run goes on from is done over with all its instances', () => {
  const steps = [step('many', { forEach: { items: ['a', 'b'] } })];
  const run = runThrough({ steps }, { 'many[b]': failed() });
  run.retry(HOUR, 'many');
  run.at(HOUR);
  assert.equal(run.effects(), 'Start many[a]-2 Start many[b]-2');
});

test('when only finally failed, only finally is done over', () => {
  const run = runThrough({ steps: [step('a')], finally: [step('x'), step('y')] }, { x: failed() });
  assert.equal(run.status.phase, 'Failed');
  run.retry(HOUR);
  assert.equal(run.phases(), 'a:Succeeded/Completed x:Pending y:Pending');
  run.at(HOUR);
  assert.equal(run.effects(), 'Start x-2');
  finishRun(run, HOUR + SECOND);
  assert.equal(run.status.phase, 'Succeeded');
});

test('a forgiven failure is kept, unless it was the run that was cut short', () => {
  const steps = [step('lenient', { continueOnError: true }), step('strict')];
  const run = runThrough({ steps }, { lenient: failed(), strict: failed() });
  run.retry(HOUR);
  assert.equal(run.phases(), 'lenient:Failed/ExitCode strict:Pending');

  const cut = takeOn({ timeout: '1h', steps });
  cut.at(0);
  cut.at(HOUR);
  cut.at(HOUR + SECOND, { lenient: failed('Killed') });
  assert.equal(cut.phases(), 'lenient:Failed/RunTimedOut strict:Skipped/RunTimedOut');
  cut.retry(2 * HOUR);
  assert.equal(cut.phases(), 'lenient:Pending strict:Pending');
});

test('the timeout of a run counts from when it was continued', () => {
  const run = takeOn({
    timeout: '1h',
    steps: [step('a')],
    finally: [withEnv('x', { PHASE: '${{ run.phase }}' })],
  });
  run.at(0);
  run.at(HOUR);
  finishRun(run, HOUR + SECOND, { a: failed('Killed') });
  assert.equal(run.status.phase, 'TimedOut');

  run.retry(5 * HOUR);
  assert.equal(run.status.timedOutAt, undefined);
  run.at(5 * HOUR + SECOND);
  assert.equal(run.wake(), 5 * HOUR + SECOND + 5 * MINUTE);
  run.at(6 * HOUR - SECOND);
  assert.equal(run.wake(), 6 * HOUR);
  assert.deepEqual(envOf(run.at(6 * HOUR - SECOND, { a: succeeded() }).effects[0]), { PHASE: 'Succeeded' });
  run.at(6 * HOUR, { x: succeeded() });
  assert.equal(run.status.phase, 'Succeeded');
});

test('retries are counted anew also where the clock has been set back', () => {
  const retry = { limit: 1, backoff: { initial: '1s' } };
  const run = takeOn({ steps: [step('a', { retry })] });
  const failTwice = (from: number) => {
    run.at(from);
    run.at(from + SECOND, { a: failed() });
    run.at(from + MINUTE);
    run.at(from + MINUTE + SECOND, { a: failed() });
  };
  failTwice(2 * HOUR);
  assert.deepEqual([run.status.phase, run.step('a').attempt], ['Failed', 2]);
  run.retry(HOUR);
  failTwice(HOUR);
  assert.deepEqual([run.status.phase, run.step('a').attempt], ['Failed', 4]);
});

test('retries and their waits are counted anew in each round', () => {
  const retry = { limit: 2, backoff: { initial: '10s', factor: 10 } };
  const run = takeOn({ steps: [step('a', { retry })] });
  run.at(0);
  run.at(SECOND, { a: failed() });
  run.at(MINUTE);
  run.at(2 * MINUTE, { a: failed() });
  run.at(10 * MINUTE);
  run.at(11 * MINUTE, { a: failed() });
  assert.equal(run.status.phase, 'Failed');

  run.retry(HOUR);
  run.at(HOUR);
  run.at(HOUR + SECOND, { a: failed() });
  assert.equal(run.phases(), 'a:Running/Retrying');
  const wait = (run.wake() ?? 0) - HOUR - SECOND;
  assert.ok(wait >= 8 * SECOND && wait <= 10 * SECOND, `${wait}`);
  run.at(HOUR + MINUTE);
  run.at(HOUR + 2 * MINUTE, { a: failed() });
  run.at(HOUR + 10 * MINUTE);
  run.at(HOUR + 11 * MINUTE, { a: failed() });
  assert.equal(run.phases(), 'a:Failed/ExitCode');
  assert.equal(run.step('a').attempt, 6);
  assert.equal(run.step('a').attempts?.length, 5);
});

test('a cancelled run goes on where it was cancelled', () => {
  const run = takeOn({
    steps: [step('a'), step('b', { retry: { limit: 1 } }), step('c')],
    finally: [step('x')],
  });
  run.at(0);
  run.at(1, { a: succeeded() });
  run.at(2, { b: failed() });
  run.cancel(3);
  run.cancel(3);
  run.at(3);
  assert.equal(
    run.phases(),
    'a:Succeeded/Completed b:Cancelled/RunCancelled c:Skipped/RunCancelled x:Skipped/RunCancelled',
  );
  run.retry(HOUR);
  assert.equal(run.status.cancellation, undefined);
  assert.equal(run.phases(), 'a:Succeeded/Completed b:Pending c:Pending x:Pending');
  // It was cancelled between two attempts, of which the first is on record already.
  assert.equal(run.step('b').attempts?.length, 1);
  run.at(HOUR);
  assert.equal(run.effects(), 'Start b-2');
  finishRun(run, HOUR + SECOND);
  assert.equal(run.status.phase, 'Succeeded');
});

test('a branch that was taken is kept, and decided on again when the run goes on from before it', () => {
  const steps = [
    step('ask'),
    choose('check', 'steps.ask.outputs.go', [['a'], ['b']]),
    step('a'),
    step('b'),
    step('join'),
  ];
  const go = (go: boolean) => succeeded({ outputs: { go } });
  const run = runThrough({ steps }, { ask: go(true), join: failed() });
  run.retry(HOUR);
  assert.equal(
    run.phases(),
    'ask:Succeeded/Completed check:Succeeded/Completed a:Succeeded/Completed b:Skipped/BranchNotTaken join:Pending',
  );
  finishRun(run, HOUR, { join: failed() });
  run.retry(2 * HOUR, 'ask');
  finishRun(run, 2 * HOUR, { ask: go(false) });
  assert.equal(
    run.phases(),
    'ask:Succeeded/Completed check:Succeeded/Completed a:Skipped/BranchNotTaken b:Succeeded/Completed join:Succeeded/Completed',
  );
  assert.deepEqual(run.step('check').outputs, { result: false });
});

test('what is done over reads what was kept', () => {
  const steps = [step('a'), withEnv('b', { X: '${{ steps.a.outputs.x }}' })];
  const run = runThrough({ steps }, { a: succeeded({ outputs: { x: 'kept' } }), b: failed() });
  run.retry(HOUR);
  assert.deepEqual(envOf(run.at(HOUR).effects[0]), { X: 'kept' });
});

test('a handler that ran is done over with what it handled', () => {
  const steps = [step('a'), step('handler', { runIf: 'Failure' })];
  const run = runThrough({ steps }, { a: failed() });
  assert.equal(run.phases(), 'a:Failed/ExitCode handler:Succeeded/Completed');
  run.retry(HOUR);
  finishRun(run, HOUR);
  assert.equal(run.phases(), 'a:Succeeded/Completed handler:Skipped/NothingFailed');
  assert.equal(run.status.phase, 'Succeeded');
});
