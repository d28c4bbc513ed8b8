import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { ContainerStatus, PodStatus } from 'kubernetes-types/core/v1.d.ts';
import { observePod } from './pod-outcome.ts';

const NOW = Date.parse('2026-01-01T00:01:00Z');
const END = '2026-01-01T00:00:30Z';

const observe = (status: PodStatus) => observePod({ status }, NOW);
const container = (state: object) => ({ containerStatuses: [{ name: 'main', state } as ContainerStatus] });
const exit = (exitCode: number, more = {}) =>
  container({ terminated: { exitCode, finishedAt: END, startedAt: END, ...more } });

suite('a pod that has ended', () => {
  test('with code 0 has succeeded, with the outputs that it wrote, at the time that the kubelet gives', () =>
    assert.deepEqual(observe({ phase: 'Succeeded', ...exit(0, { message: 'a=1\n' }) }), {
      state: 'Ended',
      result: { outcome: 'Succeeded', reason: 'Completed', finishedAt: Date.parse(END), outputs: { a: '1' } },
    }));

  test('says in a few words what came of it by an output of that name', () => {
    const seen = observe({ phase: 'Succeeded', ...exit(0, { message: 'summary=5 nodes' }) });
    assert.ok(seen.state === 'Ended');
    assert.equal(seen.result.summary, '5 nodes');
  });

  test('has ended as soon as its container has, also before its phase says so', () =>
    assert.equal(observe({ phase: 'Running', ...exit(0) }).state, 'Ended'));

  const failures: [string, PodStatus, string, RegExp][] = [
    ['another code', { phase: 'Failed', ...exit(3) }, 'ExitCode', /exit code 3\.$/],
    ['a signal', { phase: 'Failed', ...exit(143, { reason: 'Error' }) }, 'ExitCode', /143 \(signal 15\)/],
    ['too much memory', { phase: 'Failed', ...exit(137, { reason: 'OOMKilled' }) }, 'OOMKilled', /memory/],
    [
      'no interpreter',
      { phase: 'Failed', ...exit(128, { reason: 'StartError', message: 'no bash' }) },
      'StartError',
      /no bash/,
    ],
    [
      'outputs that are none',
      { phase: 'Succeeded', ...exit(0, { message: 'hello' }) },
      'InvalidOutput',
      /hello/,
    ],
    [
      'a lost container',
      { phase: 'Failed', ...exit(137, { reason: 'ContainerStatusUnknown' }) },
      'ContainerStatusUnknown',
      /lost sight/,
    ],
    [
      'the deadline',
      { phase: 'Failed', reason: 'DeadlineExceeded', ...exit(143) },
      'DeadlineExceeded',
      /timeout/,
    ],
    [
      'an eviction',
      { phase: 'Failed', reason: 'Evicted', message: 'low on memory', ...exit(137) },
      'Evicted',
      /low on memory/,
    ],
  ];
  for (const [title, status, reason, message] of failures) {
    test(`by ${title} has failed`, () => {
      const seen = observe(status);
      assert.ok(seen.state === 'Ended');
      assert.equal(seen.result.outcome, 'Failed');
      assert.equal(seen.result.reason, reason);
      assert.match(seen.result.message ?? '', message);
      assert.equal(seen.result.infrastructure, undefined);
    });
  }

  test('before its container ran is no fault of the step', () => {
    const seen = observe({
      phase: 'Failed',
      reason: 'Evicted',
      ...container({ waiting: { reason: 'ContainerCreating' } }),
    });
    assert.ok(seen.state === 'Ended');
    assert.equal(seen.result.infrastructure, true);
    assert.equal(seen.result.finishedAt, NOW);
  });
});

suite('a pod that has not ended', () => {
  const waiting = (reason: string, message = 'why') => container({ waiting: { reason, message } });

  test('runs when its container does', () =>
    assert.deepEqual(observe(container({ running: {} })), { state: 'Running' }));

  test('is starting while the kubelet is at work', () => {
    for (const status of [
      {},
      { phase: 'Pending' },
      waiting('ContainerCreating'),
      waiting('PodInitializing'),
    ]) {
      assert.deepEqual(observe(status), { state: 'Starting' });
    }
  });

  test('waits for what the kubelet names', () =>
    assert.deepEqual(observe(waiting('CreateContainerConfigError', 'secret "x" not found')), {
      state: 'Waiting',
      reason: 'CreateContainerConfigError',
      message: 'secret "x" not found',
    }));

  test('shows one reason for a pull that fails and backs off in turn', () =>
    assert.deepEqual(observe(waiting('ErrImagePull')), observe(waiting('ImagePullBackOff'))));

  test('waits for a node', () => {
    const conditions = [
      { type: 'PodScheduled', status: 'False' as const, reason: 'Unschedulable', message: '0/1 nodes' },
    ];
    assert.deepEqual(observe({ phase: 'Pending', conditions }), {
      state: 'Waiting',
      reason: 'Unschedulable',
      message: '0/1 nodes',
    });
  });
});
