import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endedStatus, outcomeAnnotations, runningStatus, simulatedPod } from './simulated-pod.ts';

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

test('a pod that is always started again has no end', () => {
  assert.equal(pod({}, 'Always').ends, false);
  assert.equal(pod({}, 'OnFailure').ends, true);
});
