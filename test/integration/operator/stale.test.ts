import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { loadConnection } from '../../../src/kube/config.ts';
import type { Faults } from '../../faults/faults.ts';
import { startFaultProxy } from '../../faults/proxy.ts';
import { kubeconfigOf } from '../../faults/replica.ts';
import { createHands } from '../../kit/hands.ts';
import { inNamespace } from '../../kit/kit.ts';
import { startOperator } from '../../kit/operator-process.ts';
import { bootControlPlane } from './setup.ts';

/** By then the operator has read what there is. */
const AFTER_MS = 3000;
/** Longer than the test takes. */
const STALL_MS = 600_000;

/** Holds back all that the watch of workflows tells, from a moment on. */
function stallWorkflows(onStalled: () => void): Faults {
  return {
    active: true,
    call: () => undefined,
    opening: () => undefined,
    stream: ({ resource }) => ({
      draw: () =>
        resource === 'workflows' ? { kind: 'Stall', afterMs: AFTER_MS, forMs: STALL_MS } : undefined,
      struck: onStalled,
    }),
    killAtWrite: () => () => undefined,
  };
}

test('a run executes the workflow as it was applied before it, however late the watch tells of that', async () => {
  await using stack = new AsyncDisposableStack();
  const { cluster } = stack.use(await bootControlPlane('stale'));
  const folder = await mkdtemp(path.join(tmpdir(), 'signalbox-stale-'));
  stack.defer(() => rm(folder, { recursive: true }));
  const { promise: stalled, resolve: onStalled } = Promise.withResolvers<void>();
  const proxy = stack.use(
    await startFaultProxy({
      target: await loadConnection({ kubeconfig: cluster.kubeconfig }),
      client: 'signalbox',
      faults: stallWorkflows(onStalled),
      onForgotten: () => undefined,
    }),
  );
  const kubeconfig = path.join(folder, 'kubeconfig');
  await writeFile(kubeconfig, JSON.stringify(kubeconfigOf(proxy.url)));
  const { namespace } = await inNamespace(cluster, 'stale');
  const hands = stack.use(await createHands(cluster, namespace));
  await hands.apply('changed', { steps: [{ name: 'old', script: { bash: 'true' } }] });
  const operator = startOperator({ kubeconfig }, ['--identity=stale']);
  stack.defer(() => operator.stop());
  await operator.ready;
  await stalled;

  await hands.apply('changed', { steps: [{ name: 'new', script: { bash: 'true' } }] });
  await hands.apply('created', { steps: [{ name: 'only', script: { bash: 'true' } }] });
  const names = [await hands.start('changed'), await hands.start('created')];
  const runs = await Promise.all(
    names.map((name) => hands.runIs(name, ({ status }) => status?.steps?.[0]?.job !== undefined)),
  );
  assert.deepEqual(
    runs.map(({ status }) => status?.steps?.map(({ name }) => name)),
    [['new'], ['only']],
  );
});
