import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  endedStatus,
  evictedStatus,
  OUTCOMES_VARIABLE,
  outcomeAnnotations,
  runningStatus,
  secondsToRun,
  simulatedPod,
} from './simulated-pod.ts';

const defaults = { duration: 0.2, exitCode: 0, message: 'count=3' };
const scheduled = { type: 'PodScheduled', status: 'True' };

function pod(annotations: Record<string, string> = {}, restartPolicy = 'Never') {
  const metadata = { namespace: 'a', name: 'b', uid: 'u', resourceVersion: '7', annotations };
  const spec = { restartPolicy, containers: [{ name: 'main', image: 'bash' }] };
  return simulatedPod({ metadata, spec, status: { phase: 'Pending', conditions: [scheduled] } }, defaults);
}

test('a pod runs, and keeps what the scheduler said of it', () => {
  const status = runningStatus(pod(), '2030-01-01T00:00:00Z');
  assert.equal(status.phase, 'Running');
  assert.deepEqual(status.conditions?.[0], scheduled);
  assert.equal(status.conditions?.find(({ type }) => type === 'Ready')?.status, 'True');
  assert.equal(status.containerStatuses?.[0]?.state?.running?.startedAt, '2030-01-01T00:00:00Z');
});

test('a pod ends as the defaults say', () => {
  const started = { ...pod(), startTime: '2030-01-01T00:00:00Z' };
  const status = endedStatus(started, '2030-01-01T00:00:01Z');
  assert.equal(status.phase, 'Succeeded');
  assert.deepEqual(status.containerStatuses?.[0]?.state?.terminated, {
    exitCode: 0,
    reason: 'Completed',
    message: 'count=3',
    startedAt: '2030-01-01T00:00:00Z',
    finishedAt: '2030-01-01T00:00:01Z',
  });
});

test('a pod may choose its own end by annotations', () => {
  const { duration, exitCode, message } = outcomeAnnotations;
  const failing = pod({ [duration]: '1.5', [exitCode]: '3', [message]: 'disk full' });
  assert.equal(failing.outcome.duration, 1.5);
  const status = endedStatus(failing, '2030-01-01T00:00:01Z');
  assert.equal(status.phase, 'Failed');
  const terminated = status.containerStatuses?.[0]?.state?.terminated;
  assert.deepEqual(
    [terminated?.exitCode, terminated?.reason, terminated?.message],
    [3, 'Error', 'disk full'],
  );
});

/** A pod of an attempt of a step that chooses its outcomes. */
function attempt(number: number, outcomes: object[], spec: object = {}) {
  const labels = { 'signalbox.dev/attempt': String(number) };
  const env = [{ name: OUTCOMES_VARIABLE, value: JSON.stringify(outcomes) }];
  const containers = [{ name: 'main', image: 'bash', env }];
  return simulatedPod({ metadata: { labels }, spec: { containers, ...spec }, status: {} }, defaults);
}

test('a step may choose the end of each of its attempts by a variable', () => {
  const outcomes = [{ exitCode: 3 }, { duration: 7 }];
  assert.deepEqual(attempt(1, outcomes).outcome, { ...defaults, exitCode: 3 });
  assert.deepEqual(attempt(2, outcomes).outcome, { ...defaults, duration: 7 });
  assert.deepEqual(attempt(9, outcomes).outcome, { ...defaults, duration: 7 });
});

test('a pod is ended at its deadline', () => {
  const pod = attempt(1, [{ duration: 60 }], { activeDeadlineSeconds: 5 });
  assert.equal(secondsToRun(pod), 5);
  const status = endedStatus(pod, '2030-01-01T00:00:05Z');
  assert.deepEqual([status.phase, status.reason], ['Failed', 'DeadlineExceeded']);
  const early = attempt(1, [{ duration: 2 }], { activeDeadlineSeconds: 5 });
  assert.equal(secondsToRun(early), 2);
  assert.equal(endedStatus(early, '2030-01-01T00:00:02Z').phase, 'Succeeded');
});

test('a pod that is evicted never had a container', () => {
  const status = evictedStatus(attempt(1, [{ evicted: true }]));
  assert.deepEqual([status.phase, status.reason, status.containerStatuses], ['Failed', 'Evicted', undefined]);
});

test('a pod that is always started again has no end', () => {
  assert.equal(pod({}, 'Always').ends, false);
  assert.equal(pod({}, 'OnFailure').ends, true);
});
