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

  const deleted = { deletionTimestamp: END };
  const target = (reason: string, message: string) => ({
    conditions: [{ type: 'DisruptionTarget', status: 'True' as const, reason, message }],
  });

  /** How it ended, the reason, the message, and whether it is the platform's fault. */
  const failures: [string, Parameters<typeof observePod>[0], string, RegExp, 'step' | 'platform'][] = [
    ['another code', { status: { phase: 'Failed', ...exit(3) } }, 'ExitCode', /exit code 3\.$/, 'step'],
    [
      'a signal',
      { status: { phase: 'Failed', ...exit(143, { reason: 'Error' }) } },
      'ExitCode',
      /143 \(signal 15\)/,
      'step',
    ],
    [
      'too much memory',
      { status: { phase: 'Failed', ...exit(137, { reason: 'OOMKilled' }) } },
      'OOMKilled',
      /memory/,
      'step',
    ],
    [
      'no interpreter',
      { status: { phase: 'Failed', ...exit(128, { reason: 'StartError', message: 'no bash' }) } },
      'StartError',
      /no bash/,
      'step',
    ],
    [
      'outputs that are none',
      { status: { phase: 'Succeeded', ...exit(0, { message: 'hello' }) } },
      'InvalidOutput',
      /hello/,
      'step',
    ],
    [
      'the deadline',
      { status: { phase: 'Failed', reason: 'DeadlineExceeded', ...exit(143) } },
      'DeadlineExceeded',
      /timeout/,
      'step',
    ],
    [
      'a lost container',
      { status: { phase: 'Failed', ...exit(137, { reason: 'ContainerStatusUnknown' }) } },
      'ContainerStatusUnknown',
      /lost sight/,
      'platform',
    ],
    [
      'an eviction',
      { status: { phase: 'Failed', reason: 'Evicted', message: 'low on memory', ...exit(137) } },
      'Evicted',
      /low on memory/,
      'platform',
    ],
    [
      'a drained node',
      {
        metadata: deleted,
        status: {
          phase: 'Failed',
          ...exit(143),
          ...target('EvictionByEvictionAPI', 'Eviction API: evicting'),
        },
      },
      'EvictionByEvictionAPI',
      /evicting/,
      'platform',
    ],
    ['kubectl delete', { metadata: deleted, status: exit(143) }, 'PodDeleted', /deleted the pod/, 'platform'],
    [
      'a lost node',
      { status: { phase: 'Failed', ...target('DeletionByPodGC', 'node not found') } },
      'DeletionByPodGC',
      /node not found/,
      'platform',
    ],
    ['nobody knows what', { status: { phase: 'Failed' } }, 'PodFailed', /no reason/, 'platform'],
  ];
  for (const [title, pod, reason, message, fault] of failures) {
    test(`by ${title} has failed, which is the fault of the ${fault}`, () => {
      const seen = observePod(pod, NOW);
      assert.ok(seen.state === 'Ended');
      assert.equal(seen.result.outcome, 'Failed');
      assert.equal(seen.result.reason, reason);
      assert.match(seen.result.message ?? '', message);
      assert.equal(seen.result.infrastructure, fault === 'platform' ? true : undefined);
    });
  }

  test('says what code the script ended with, and none that the kubelet made up', () => {
    const codeOf = (terminated: PodStatus, metadata = {}) => {
      const seen = observePod({ metadata, status: terminated }, NOW);
      return seen.state === 'Ended' ? seen.result.exitCode : Number.NaN;
    };
    assert.equal(codeOf(exit(75)), 75);
    assert.equal(codeOf(exit(137, { reason: 'OOMKilled' })), 137);
    assert.equal(codeOf(exit(128, { reason: 'StartError' })), undefined);
    assert.equal(codeOf(exit(137, { reason: 'ContainerStatusUnknown' })), undefined);
    assert.equal(codeOf(exit(143), deleted), undefined);
  });

  test('before its container ran never began', () => {
    const status = { phase: 'Failed', reason: 'Evicted' };
    const seen = observe({ ...status, ...container({ waiting: { reason: 'ContainerCreating' } }) });
    assert.ok(seen.state === 'Ended');
    assert.equal(seen.result.notStarted, true);
    assert.equal(seen.result.infrastructure, true);
    assert.equal(seen.result.finishedAt, NOW);
    const begun = observe({ ...status, ...exit(137) });
    assert.ok(begun.state === 'Ended');
    assert.equal(begun.result.notStarted, undefined);
  });

  test('by itself in the time that it had left has succeeded', () => {
    const seen = observePod({ metadata: deleted, status: exit(0) }, NOW);
    assert.equal(seen.state === 'Ended' && seen.result.outcome, 'Succeeded');
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
