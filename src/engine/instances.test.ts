import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  afterFinding,
  each,
  eachOf,
  envOf,
  failed,
  finishRun,
  found,
  HOUR,
  runThrough,
  SECOND,
  step,
  succeeded,
  takeOn,
  time,
  withEnv,
} from './turns.ts';

const namesOf = ({ status }: ReturnType<typeof takeOn>) =>
  (status.steps ?? []).map(({ name }) => name).filter((name) => name.includes('['));

test('each item has an instance, whose row follows that of its step', () => {
  const run = takeOn({ steps: [step('plan', each(['us', 'eu'])), step('next')] });
  const { effects, status } = run.at(0);
  assert.equal(run.effects(), 'Start plan[us]-1 Start plan[eu]-1');
  assert.deepEqual(
    status.steps?.map(({ name }) => name),
    ['plan', 'plan[us]', 'plan[eu]', 'next'],
  );
  assert.deepEqual(run.step('plan'), { name: 'plan', type: 'script', phase: 'Running', startedAt: time(0) });
  assert.deepEqual(run.step('plan[eu]').job, { name: effects[1]?.id });
  assert.equal(status.progress, '0/2');
  assert.equal(status.currentStep, 'plan');

  run.at(1, { 'plan[us]': succeeded() });
  assert.equal(run.phases(), 'plan:Running plan[us]:Succeeded/Completed plan[eu]:Running next:Pending');
  run.at(2, { 'plan[eu]': succeeded() });
  assert.equal(run.effects(), 'Start next-1');
  assert.equal(run.step('plan').phase, 'Succeeded');
  assert.equal(run.step('plan').summary, '2 of 2 succeeded');
});

test('at most maxParallel instances run at once, in the order of the items', () => {
  const run = takeOn({ steps: [step('many', each(['a', 'b', 'c', 'd'], { maxParallel: 2 }))] });
  run.at(0);
  assert.equal(run.effects(), 'Start many[a]-1 Start many[b]-1');
  run.at(1, { 'many[b]': succeeded() });
  assert.equal(run.effects(), 'Start many[c]-1');
  run.at(2, { 'many[a]': succeeded(), 'many[c]': succeeded() });
  assert.equal(run.effects(), 'Start many[d]-1');
  run.at(3, { 'many[d]': succeeded() });
  assert.equal(run.status.phase, 'Succeeded');
});

test('an instance that waits for its next attempt keeps its place', () => {
  const steps = [step('many', { ...each(['a', 'b'], { maxParallel: 1 }), retry: { limit: 1 } })];
  const run = takeOn({ steps });
  run.at(0);
  run.at(1, { 'many[a]': failed() });
  assert.equal(run.effects(), '');
  assert.equal(run.phases(), 'many:Running many[a]:Running/Retrying many[b]:Pending');
  run.at(20 * SECOND);
  assert.equal(run.effects(), 'Start many[a]-2');
  run.at(21 * SECOND, { 'many[a]': failed() });
  assert.equal(
    run.phases(),
    'many:Failed/InstancesFailed many[a]:Failed/ExitCode many[b]:Skipped/InstanceFailed',
  );
  assert.equal(run.step('many[a]').attempts?.length, 1);
});

test('failFast begins no further instance, and what runs may finish', () => {
  const run = takeOn({ steps: [step('many', each(['a', 'b', 'c'], { maxParallel: 2 })), step('next')] });
  run.at(0);
  run.at(1, { 'many[a]': failed() });
  assert.equal(run.effects(), '');
  assert.equal(
    run.phases(),
    'many:Running many[a]:Failed/ExitCode many[b]:Running many[c]:Skipped/InstanceFailed next:Pending',
  );
  assert.equal(run.step('many[c]').message, 'many[a] failed, and failFast is on.');
  run.at(2, { 'many[b]': succeeded() });
  const { reason, message, summary } = run.step('many');
  assert.deepEqual(
    { reason, message, summary },
    {
      reason: 'InstancesFailed',
      message: '1 of 3 instances failed, first many[a]: It failed.',
      summary: '1 of 3 succeeded',
    },
  );
  assert.equal(run.step('next').message, 'Step many failed.');
});

test('without failFast every instance runs', () => {
  const steps = [step('many', each(['a', 'b', 'c'], { maxParallel: 1, failFast: false }))];
  const run = runThrough({ steps }, { 'many[a]': failed(), 'many[c]': failed('OOMKilled') });
  assert.equal(
    run.phases(),
    'many:Failed/InstancesFailed many[a]:Failed/ExitCode many[b]:Succeeded/Completed many[c]:Failed/OOMKilled',
  );
  assert.equal(run.step('many').message, '2 of 3 instances failed, first many[a]: It failed.');
});

test('an instance whose template can not be evaluated fails by itself', () => {
  const env = { X: '${{ item.x }}' };
  const run = takeOn({
    steps: [step('find'), withEnv('many', env, eachOf('steps.find.outputs.list', { failFast: false }))],
  });
  run.at(0);
  run.at(1, { find: found([{ x: '1' }, {}]) });
  assert.equal(run.effects(), 'Start many[0]-1');
  assert.equal(run.step('many[1]').reason, 'ExpressionError');
  run.at(2, { 'many[0]': succeeded() });
  assert.match(run.step('many').message ?? '', /^1 of 2 instances failed, first many\[1\]: script\.env\.X: /);
});

test('a failure of a step with forEach can be forgiven', () => {
  const run = runThrough(
    { steps: [step('many', { ...each(['a', 'b']), continueOnError: true }), step('next')] },
    { 'many[a]': failed() },
  );
  assert.equal(run.status.phase, 'Succeeded');
  assert.equal(run.step('many').phase, 'Failed');
});

test('a failure elsewhere begins nothing new but lets a step with forEach finish', () => {
  const steps = [step('many', each(['a', 'b'], { maxParallel: 1 })), step('other', { dependsOn: [] })];
  const run = takeOn({ steps });
  run.at(0);
  run.at(1, { other: failed() });
  run.at(2, { 'many[a]': succeeded() });
  assert.equal(run.effects(), 'Start many[b]-1');
});

test('a step whose name begins like that of one with forEach is not taken for an instance', () => {
  const run = runThrough({ steps: [step('plan', each(['a', 'b'])), step('plans'), step('plan-b')] });
  assert.equal(
    run.phases(),
    'plan:Succeeded/Completed plan[a]:Succeeded/Completed plan[b]:Succeeded/Completed ' +
      'plans:Succeeded/Completed plan-b:Succeeded/Completed',
  );
});

test('steps of finally have instances too', () => {
  const env = { X: '${{ item }} ${{ run.phase }}' };
  const run = takeOn({
    steps: [step('work')],
    finally: [withEnv('clean', env, each(['a', 'b'], { maxParallel: 1 })), step('last')],
  });
  run.at(0);
  assert.deepEqual(envOf(run.at(1, { work: failed() }).effects[0]), { X: 'a Failed' });
  assert.deepEqual(envOf(run.at(2, { 'clean[a]': succeeded() }).effects[0]), { X: 'b Failed' });
  run.at(3, { 'clean[b]': succeeded() });
  assert.equal(run.effects(), 'Start last-1');
});

/** Two instances run, of which one ends soon, and a third waits for its place. */
function amid(spec: object = {}) {
  const run = takeOn({
    ...spec,
    steps: [step('many', each(['a', 'b', 'c'], { maxParallel: 2, failFast: false })), step('next')],
    finally: [step('clean')],
  });
  run.at(0);
  return run;
}

test('a cancelled run stops the instances that run and begins no other', () => {
  const run = amid();
  run.at(1, { 'many[a]': succeeded() });
  run.cancel(2);
  run.at(2);
  assert.equal(run.effects(), 'Stop many[b]-1 Stop many[c]-1');
  run.at(3, { 'many[b]': failed(), 'many[c]': succeeded() });
  assert.equal(
    run.phases(),
    'many:Cancelled/RunCancelled many[a]:Succeeded/Completed many[b]:Cancelled/RunCancelled ' +
      'many[c]:Succeeded/Completed next:Skipped/RunCancelled clean:Running',
  );
});

test('an instance that had no place yet is skipped in a cancelled run', () => {
  const run = amid();
  run.cancel(1);
  run.at(1);
  assert.equal(run.step('many[c]').reason, 'RunCancelled');
  assert.equal(run.step('many[c]').message, 'The run was cancelled before this instance started.');
  run.cancel(2);
  run.at(2);
  assert.equal(run.effects(), 'Stop! many[a]-1 Stop! many[b]-1');
  assert.equal(
    run.phases(),
    'many:Cancelled/RunCancelled many[a]:Cancelled/RunCancelled many[b]:Cancelled/RunCancelled ' +
      'many[c]:Skipped/RunCancelled next:Skipped/RunCancelled clean:Skipped/RunCancelled',
  );
});

test('a run that times out stops the instances that run and begins no other', () => {
  const run = amid({ timeout: '1h' });
  run.at(HOUR);
  assert.equal(run.effects(), 'Stop many[a]-1 Stop many[b]-1');
  run.at(HOUR + SECOND, { 'many[a]': failed(), 'many[b]': failed() });
  assert.equal(
    run.phases(),
    'many:Failed/InstancesFailed many[a]:Failed/RunTimedOut many[b]:Failed/RunTimedOut ' +
      'many[c]:Skipped/RunTimedOut next:Skipped/RunTimedOut clean:Running',
  );
});

test('a failed step with forEach is done over where it failed, and keeps what succeeded', () => {
  const run = afterFinding(['a', 'b', 'c'], { failFast: false });
  run.at(2 * SECOND, {
    'many[a]': succeeded({ outputs: { n: 1 } }),
    'many[b]': failed(),
    'many[c]': succeeded(),
  });
  const kept = run.step('many[a]');
  run.retry(HOUR);
  assert.equal(
    run.phases(),
    'find:Succeeded/Completed many:Pending many[a]:Succeeded/Completed many[b]:Pending many[c]:Succeeded/Completed next:Pending',
  );
  run.at(HOUR);
  assert.equal(run.effects(), 'Start many[b]-2');
  assert.equal(run.step('many[a]'), kept);
  run.at(HOUR + SECOND, { 'many[b]': succeeded() });
  assert.equal(run.step('many').summary, '3 of 3 succeeded');
  assert.equal(run.effects(), 'Start next-1');
});

test('a step with forEach behind one that is done over takes the list anew', () => {
  const run = afterFinding(['a', 'b']);
  run.at(2 * SECOND, { 'many[a]': succeeded(), 'many[b]': failed() });
  run.retry(HOUR, 'find');
  run.at(HOUR);
  run.at(HOUR + SECOND, { find: found(['b', 'x']) });
  assert.equal(run.effects(), 'Start many[b]-2 Start many[x]-1');
  assert.deepEqual(namesOf(run), ['many[b]', 'many[x]']);
});

test('instances that were to be done over go the way of their step', () => {
  const run = afterFinding(['a', 'b']);
  run.at(2 * SECOND, { 'many[a]': succeeded(), 'many[b]': failed() });
  run.retry(HOUR, 'find');
  finishRun(run, HOUR, { find: failed() });
  assert.equal(
    run.phases(),
    'find:Failed/ExitCode many:Skipped/UpstreamFailed many[a]:Skipped/UpstreamFailed ' +
      'many[b]:Skipped/UpstreamFailed next:Skipped/UpstreamFailed',
  );
});
