import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { RUNNER_LABEL } from './labels.ts';
import { observePod } from './pod-outcome.ts';

const NOW = Date.UTC(2030, 0, 1);
const counts = { add: 1, change: 0, destroy: 0, import: 0, replace: 0, outputs: 0 };
const report = {
  reason: 'Interrupted',
  message: '1 added, then it was stopped.',
  summary: '1 added',
  terraform: counts,
};

const podOf = (exitCode: number, message: string, status: object = {}) => ({
  metadata: { labels: { [RUNNER_LABEL]: 'true' } },
  status: {
    containerStatuses: [
      {
        name: 'main',
        image: '',
        imageID: '',
        ready: false,
        restartCount: 0,
        state: { terminated: { exitCode, message, startedAt: '2030-01-01T00:00:00Z' } },
      },
    ],
    ...status,
  },
});

function resultOf(...args: Parameters<typeof podOf>) {
  const seen = observePod(podOf(...args), NOW);
  assert.equal(seen.state, 'Ended');
  return seen.state === 'Ended' ? seen.result : undefined;
}

suite('the report of a runner', () => {
  test('says what came of the step, and the exit code whether it succeeded', () => {
    const done = { ...report, reason: 'Completed', outputs: { url: 'x' } };
    assert.deepEqual(resultOf(0, JSON.stringify(done)), {
      outcome: 'Succeeded',
      finishedAt: NOW,
      exitCode: 0,
      reason: 'Completed',
      message: report.message,
      summary: '1 added',
      outputs: { url: 'x' },
      details: { terraform: counts },
    });
    assert.equal(resultOf(1, JSON.stringify(done))?.outcome, 'Failed');
  });

  test('is needed for success', () => {
    assert.partialDeepStrictEqual(resultOf(0, '{"reason": 1}'), {
      outcome: 'Failed',
      reason: 'InvalidReport',
    });
    assert.partialDeepStrictEqual(resultOf(0, ''), { outcome: 'Failed', reason: 'InvalidReport' });
    assert.partialDeepStrictEqual(resultOf(137, ''), { outcome: 'Failed', reason: 'ExitCode' });
  });

  test('of a pod that was ended from outside goes behind the reason for that', () => {
    const ended = resultOf(1, JSON.stringify(report), {
      phase: 'Failed',
      reason: 'Evicted',
      message: 'low on memory',
    });
    assert.partialDeepStrictEqual(ended, {
      reason: 'Evicted',
      infrastructure: true,
      summary: '1 added',
      note: report.message,
      message: `The node ended the pod: low on memory ${report.message}`,
      details: { terraform: counts },
    });
  });
});
