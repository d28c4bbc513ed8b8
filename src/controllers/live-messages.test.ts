import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WorkflowRunStatus } from '../api/workflow-run.ts';
import { fakeClock, settled } from '../kube/fake-clock.ts';
import { stepTypes } from '../steps/index.ts';
import type { CallContext, CallStepType } from '../steps/step-type.ts';
import { revisionOf, runOf } from './fake-run.ts';
import { createLiveMessages } from './live-messages.ts';

const revision = revisionOf({
  steps: [
    { name: 'announce', slack: { channel: '#a', update: true } },
    { name: 'work', script: { bash: 'true' } },
  ],
});
const announced = {
  name: 'announce',
  type: 'slack',
  phase: 'Succeeded',
  outputs: { ts: '1.2', channel: 'C1' },
} as const;
const at = (progress: string, more: WorkflowRunStatus = {}) =>
  runOf({ phase: 'Running', progress, steps: [announced], ...more });

/** Messages whose updates are noted down as what the run showed then; each waits until it is let through. */
function watched() {
  const clock = fakeClock();
  const sent: (string | undefined)[] = [];
  const waiting: (() => void)[] = [];
  const slack: CallStepType = {
    ...(stepTypes.slack as CallStepType),
    async update(_spec, posted, context) {
      assert.deepEqual(posted, announced.outputs);
      sent.push(context.idempotencyKey);
      await new Promise<void>((resolve) => waiting.push(resolve));
      return { outcome: 'Succeeded', reason: 'Sent', finishedAt: 0 };
    },
  };
  const live = createLiveMessages({
    stepTypes: { ...stepTypes, slack },
    // What the message would show stands in for the key.
    contextOf: (run) => ({ idempotencyKey: run.status.progress ?? '' }) as CallContext,
    isLeader: () => true,
    clock,
  });
  const letThrough = async () => {
    waiting.shift()?.();
    await settled();
  };
  return { live, clock, sent, letThrough };
}

test('what happens within an interval is one update, which shows the last of it', async () => {
  const { live, clock, sent } = watched();
  live.refresh(at('1/9'), revision);
  live.refresh(at('2/9'), revision);
  await clock.advance(2999);
  live.refresh(at('3/9'), revision);
  assert.deepEqual(sent, []);
  await clock.advance(1);
  assert.deepEqual(sent, ['3/9']);
});

test('updates of a message never overlap, and what happened meanwhile follows', async () => {
  const { live, clock, sent, letThrough } = watched();
  live.refresh(at('1/9'), revision);
  await clock.advance(3000);
  live.refresh(at('2/9'), revision);
  await clock.advance(60_000);
  assert.deepEqual(sent, ['1/9']);
  await letThrough();
  await clock.advance(3000);
  assert.deepEqual(sent, ['1/9', '2/9']);
});

test('nothing is sent while nothing changes, nor for a run that sends no such message', async () => {
  const { live, clock, sent, letThrough } = watched();
  live.refresh(at('1/9'), revision);
  await clock.advance(3000);
  await letThrough();
  live.refresh(at('1/9'), revision);
  live.refresh(at('1/9'), revisionOf());
  await clock.advance(60_000);
  assert.equal(sent.length, 1);
});

test('after the end of the run none follows, and whoever asks learns when the last is through', async () => {
  const { live, clock, sent, letThrough } = watched();
  live.refresh(at('1/9'), revision);
  await clock.advance(3000);
  live.refresh(at('9/9', { phase: 'Succeeded', finishedAt: '2030-01-01T00:00:00Z' }), revision);
  let isThrough = false;
  const through = live.settled('run').then(() => {
    isThrough = true;
  });
  await settled();
  assert.equal(isThrough, false);
  await letThrough();
  await through;
  await clock.advance(60_000);
  assert.deepEqual(sent, ['1/9']);
});
