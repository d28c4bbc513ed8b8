import assert from 'node:assert/strict';
import { test } from 'node:test';
import { workflowRunStatus } from '../api/workflow-run.ts';
import { compile } from './graph.ts';
import type { Effect } from './model.ts';
import { resolvers } from './model-shell.ts';
import { jobName } from './names.ts';
import {
  absent,
  approvalOf,
  evicted,
  failed,
  finishRun,
  HOUR,
  messageOf,
  MINUTE,
  runThrough,
  SECOND,
  step,
  succeeded,
  takeOn,
  time,
  voted,
  voteOn,
} from './turns.ts';

const tell = (message: string, more: object = {}) => ({ slack: { channel: '#deploy', message, ...more } });
const every = {
  onStart: [tell('start ${{ run.phase }}')],
  onWaiting: [tell('wait ${{ run.phase }}')],
  onSuccess: [tell('good ${{ run.phase }}')],
  onFailure: [tell('bad ${{ run.phase }}')],
};
const spec = { notifications: every, steps: [step('a')] };

/** What the effects of a decision send, in order. */
const sent = ({ effects }: { effects: Effect[] }) => effects.flatMap(messageOf);

test('the start of a run is told with its first decision, as a row beside the steps', () => {
  const run = takeOn(spec);
  const decision = run.at(0);
  assert.equal(run.effects(), 'Start a-1 Start onStart[0]-1');
  assert.deepEqual(sent(decision), ['start Running']);
  assert.deepEqual(run.status.notifications, [
    { name: 'onStart[0]', type: 'slack', phase: 'Running', startedAt: time(0), attempt: 1 },
  ]);
  assert.equal(run.phases(), 'a:Running');
  assert.equal(run.status.progress, '0/1');
  assert.equal(run.status.currentStep, 'a');
  workflowRunStatus.parse(run.status);
});

test('each event is told once, by all that is to be sent for it', () => {
  const run = takeOn({
    notifications: { ...every, onSuccess: [tell('one'), tell('two')] },
    steps: [step('a'), step('b')],
  });
  run.at(0);
  run.at(1, { 'onStart[0]': succeeded() });
  run.at(2, { a: succeeded() });
  assert.equal(run.effects(), 'Start b-1');
  assert.deepEqual(sent(run.at(3, { b: succeeded() })), ['one', 'two']);
  run.at(4, { 'onSuccess[0]': succeeded(), 'onSuccess[1]': succeeded() });
  assert.equal(
    run.notifications(),
    'onStart[0]:Succeeded/Completed onSuccess[0]:Succeeded/Completed onSuccess[1]:Succeeded/Completed',
  );
  assert.deepEqual(run.at(HOUR), { status: run.status, effects: [] });
});

test('what is told at the end is told by how the run ended', () => {
  const cases: [what: string, end: (run: ReturnType<typeof takeOn>) => unknown, messages: string[]][] = [
    ['a failure', (run) => run.at(1, { a: failed() }), ['bad Failed']],
    [
      'a timeout',
      (run) => {
        run.at(HOUR);
        run.at(HOUR + SECOND, { a: failed('Killed') });
      },
      ['bad TimedOut'],
    ],
    [
      'a cancellation',
      (run) => {
        run.cancel(1);
        run.at(1, { a: absent });
      },
      [],
    ],
    ['an output that is not there', (run) => run.at(1, { a: succeeded() }), ['bad Failed']],
  ];
  for (const [what, end, messages] of cases) {
    const run = takeOn({ ...spec, timeout: '1h', outputs: { x: 'steps.a.outputs.x' } });
    run.at(0);
    run.at(0, { 'onStart[0]': succeeded() });
    end(run);
    assert.deepEqual(run.sent().slice(1), messages, what);
  }
});

test('a run that begins and ends in one decision tells of both', () => {
  const run = takeOn({ notifications: every, steps: [step('a', { when: 'false' })] });
  assert.deepEqual(sent(run.at(0)), ['start Succeeded', 'good Succeeded']);
});

test('a run that waits tells that it waits, and tells that it started when it does', () => {
  const run = takeOn(spec);
  const { status } = run;
  const { startedAt: _startedAt, ...waiting } = status;
  run.write({ ...waiting, phase: 'Queued' });
  assert.deepEqual(sent(run.at(0)), ['wait Queued']);
  run.at(SECOND, { 'onWaiting[0]': succeeded() });
  assert.equal(run.effects(), '');
  run.write({ ...run.status, phase: 'Running', startedAt: time(MINUTE) });
  assert.deepEqual(sent(run.at(MINUTE)), ['start Running']);
});

test('telling goes on after the end of the run', () => {
  const run = runThrough({ notifications: { onSuccess: [tell('good')] }, steps: [step('a')] });
  const { finishedAt } = run.status;
  assert.equal(run.notifications(), 'onSuccess[0]:Running');
  assert.notEqual(run.wake(), undefined);
  // Whoever sent it was killed.
  run.at(MINUTE, { 'onSuccess[0]': absent });
  assert.equal(run.effects(), 'Start onSuccess[0]-1');
  run.at(MINUTE + SECOND, { 'onSuccess[0]': evicted });
  assert.equal(run.notifications(), 'onSuccess[0]:Running/Retrying');
  run.at(MINUTE + 20 * SECOND);
  assert.equal(run.effects(), 'Start onSuccess[0]-2');
  run.at(MINUTE + 21 * SECOND, { 'onSuccess[0]': succeeded() });
  assert.equal(run.notifications(), 'onSuccess[0]:Succeeded/Completed');
  assert.deepEqual([run.status.phase, run.status.finishedAt], ['Succeeded', finishedAt]);
  assert.equal(run.wake(), undefined);
});

test('a message that can not be sent changes nothing about the run', () => {
  const notifications = { onStart: [tell('start', { failOnError: true })], onSuccess: [tell('good')] };
  const run = takeOn({ notifications, steps: [step('a'), step('b', { runIf: 'Failure' })] });
  run.at(0);
  run.at(1, { 'onStart[0]': failed('ChannelNotFound') });
  run.at(2, { a: succeeded() });
  run.at(3, { 'onSuccess[0]': failed('ChannelNotFound') });
  assert.equal(run.notifications(), 'onStart[0]:Failed/ChannelNotFound onSuccess[0]:Failed/ChannelNotFound');
  assert.equal(run.phases(), 'a:Succeeded/Completed b:Skipped/NothingFailed');
  assert.equal(run.status.phase, 'Succeeded');
  assert.equal(run.refusal(), 'No step of the run failed.');
});

test('a message that can not be worked out fails by itself', () => {
  const notifications = {
    onStart: [tell('${{ steps.a.outputs.x }}')],
    onSuccess: [tell('${{ steps.a.outputs.x }}')],
  };
  const run = takeOn({ notifications, steps: [step('a')] });
  run.at(0);
  assert.equal(run.effects(), 'Start a-1');
  assert.equal(run.step('onStart[0]').reason, 'ExpressionError');
  assert.deepEqual(sent(run.at(1, { a: succeeded({ outputs: { x: 'there' } }) })), ['there']);
  assert.equal(run.status.phase, 'Succeeded');
});

test('neither a timeout nor a cancellation stops what is being sent', () => {
  const cancelled = takeOn(spec);
  cancelled.at(0);
  cancelled.cancel(1);
  cancelled.cancel(2);
  cancelled.at(2);
  assert.equal(cancelled.effects(), 'Stop! a-1');
  assert.equal(cancelled.status.phase, 'Cancelled');
  assert.equal(cancelled.notifications(), 'onStart[0]:Running');
  cancelled.at(3, { 'onStart[0]': succeeded() });
  assert.equal(cancelled.notifications(), 'onStart[0]:Succeeded/Completed');

  const late = takeOn({ ...spec, timeout: '1m' });
  late.at(0);
  late.at(MINUTE);
  assert.equal(late.effects(), 'Stop a-1');
});

test('a run that is continued tells of itself anew, under other names', () => {
  const run = runThrough(spec, { a: failed() });
  run.at(HOUR, { 'onFailure[0]': succeeded() });
  const name = jobName({ name: 'r', uid: 'uid' }, 'onStart[0]', 1);
  run.retry(2 * HOUR);
  assert.equal(run.status.notifications, undefined);
  assert.deepEqual(sent(run.at(2 * HOUR)), ['start Running']);
  assert.equal(run.ids().includes(name), false);
  finishRun(run, 2 * HOUR + SECOND);
  assert.deepEqual(run.sent(), ['start Running', 'bad Failed', 'start Running', 'good Succeeded']);
});

test('a run that is continued and waits for its turn has not started yet', () => {
  const run = runThrough(spec, { a: failed() });
  run.retry(HOUR);
  run.write({ ...run.status, phase: 'Queued' });
  assert.deepEqual(sent(run.at(HOUR)), ['wait Queued']);
  run.write({ ...run.status, phase: 'Running' });
  assert.deepEqual(sent(run.at(HOUR + SECOND)), ['start Running']);
});

test('what may not stand in a message is refused', () => {
  const notifications = { onFailure: [tell('x'), tell('${{ steps.b.phase }}')] };
  const compiled = compile({ notifications, steps: [step('a')] }, resolvers);
  assert.deepEqual(!compiled.ok && compiled.problems, [
    {
      field: 'spec.notifications.onFailure[1].slack.message',
      message: '${{ steps.b.phase }} reads step b, which does not exist. Did you mean a?',
    },
  ]);
});

/** A step whose message is kept up to date, and one after it. */
const kept = (more: object = {}) => ({
  steps: [{ name: 'tell', slack: { channel: '#deploy', update: true }, ...more }, step('a')],
});
const posted = succeeded({ outputs: { ts: '1', channel: 'C' } });

test('a message that is kept up to date shows the end of the run, once', () => {
  const run = takeOn({ ...kept(), notifications: { onStart: [{ slack: { channel: '#x', update: true } }] } });
  run.at(0);
  run.at(1, { tell: posted, 'onStart[0]': posted });
  assert.equal(run.effects(), 'Start a-1');
  const { effects } = run.at(2, { a: failed() });
  assert.equal(run.effects(), 'Start update[tell]-1 Start update[onStart[0]]-1');
  assert.deepEqual(
    effects.map((effect) => effect.type === 'Start' && effect.posted),
    Array.from({ length: 2 }, () => ({ ts: '1', channel: 'C' })),
  );
  run.at(3, { 'update[tell]': failed('NoAnswer'), 'update[onStart[0]]': succeeded() });
  assert.equal(
    run.notifications(),
    'onStart[0]:Succeeded/Completed update[tell]:Failed/NoAnswer update[onStart[0]]:Succeeded/Completed',
  );
  assert.deepEqual(run.at(HOUR), { status: run.status, effects: [] });
  assert.equal(run.status.message, 'Step a failed: It failed.');
});

test('a message that was not sent is not brought up to date', () => {
  const run = runThrough(kept({ continueOnError: true }), { tell: failed('ChannelNotFound') });
  assert.equal(run.notifications(), '');
});

test('the messages of instances are brought up to date, whatever their names', () => {
  const name = 'x'.repeat(63);
  const run = runThrough(kept({ name, forEach: { items: [name] } }), { [`${name}[${name}]`]: posted });
  assert.equal(run.notifications(), `update[${name}[${name}]]:Running`);
  workflowRunStatus.parse(run.status);
});

test('each approval is told of when it waits, and what people decided', () => {
  const run = takeOn({
    notifications: {
      onWaiting: [tell('wait')],
      onApproved: [tell('yes')],
      onRejected: [tell('no')],
      onExpired: [tell('late')],
    },
    steps: [
      approvalOf('one'),
      approvalOf('two'),
      approvalOf('three', { timeout: '10m' }, { runIf: 'Always' }),
    ],
  });
  assert.deepEqual(sent(run.at(0)), ['wait']);
  assert.equal(run.notifications(), 'onWaiting[0]/one:Running');
  run.at(SECOND, { 'onWaiting[0]/one': succeeded(), one: voted(voteOn(run.step('one'), 'jane')) });
  assert.deepEqual(run.sent(), ['wait', 'wait', 'yes']);
  run.at(2 * SECOND, { two: voted(voteOn(run.step('two'), 'jane', { decision: 'Reject' })) });
  assert.deepEqual(run.sent(), ['wait', 'wait', 'yes', 'wait', 'no']);
  run.at(HOUR);
  assert.deepEqual(run.sent(), ['wait', 'wait', 'yes', 'wait', 'no', 'late']);
  assert.equal(
    (run.status.notifications ?? []).map(({ name }) => name).join(' '),
    'onWaiting[0]/one onWaiting[0]/two onWaiting[0]/three onApproved[0]/one onRejected[0]/two onExpired[0]/three',
  );
  workflowRunStatus.parse(run.status);
});
