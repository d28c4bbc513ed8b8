import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import type { Job } from 'kubernetes-types/batch/v1.d.ts';
import type { PodList } from 'kubernetes-types/core/v1.d.ts';
import { type Cluster, down, start, status, stop, up } from './cluster.ts';
import { run } from './command.ts';
import { processOf } from './components.ts';
import { outcomeAnnotations } from './simulated-pod.ts';
import { tracesOf } from './traces.ts';
import { waitFor } from './wait.ts';

const bare = { name: 'test-bare', controlPlane: true, audit: true };
const simulated = { name: 'test-simulated', simulatedNodes: 2, podDuration: 0.1, podMessage: 'count=3' };
const clusters = new Map<string, Cluster>();

function clusterNamed(name: string): Cluster {
  const cluster = clusters.get(name);
  assert.ok(cluster);
  return cluster;
}

async function kubectl(name: string, args: readonly string[], input = ''): Promise<string> {
  const { kubectl: program, kubeconfig } = clusterNamed(name);
  return run([program, '--kubeconfig', kubeconfig, ...args], { input });
}

before(async () => {
  // What an interrupted test left behind does not count.
  await Promise.all([down(bare.name), down(simulated.name)]);
  // All at once, one of them twice: clusters must not get into each other's way.
  const started = await Promise.all([up(bare), up(simulated), up(bare)]);
  for (const cluster of started) clusters.set(cluster.name, cluster);
  assert.deepEqual(started[0], started[2]);
});

after(() => down(bare.name));
after(() => down(simulated.name));

test('a cluster that is up is left as it is, and not turned into another', async () => {
  const processes = await status(bare.name);
  assert.deepEqual(await up(bare), clusterNamed(bare.name));
  assert.equal(await status(bare.name), processes);
  await assert.rejects(
    up({ ...bare, audit: false }),
    /"test-bare" exists with other settings.*`down` it first/,
  );
});

test('the API server that is killed comes back with its data, on its port', async () => {
  const cluster = clusterNamed(bare.name);
  await kubectl(bare.name, ['create', 'configmap', 'kept', '--from-literal=a=b']);
  await stop(cluster, 'kube-apiserver', 'SIGKILL');
  await assert.rejects(kubectl(bare.name, ['get', 'configmap', 'kept']), /refused/);
  await start(cluster, 'kube-apiserver');
  assert.match(await kubectl(bare.name, ['get', 'configmap', 'kept']), /kept/);
});

test('the audit log tells who wrote what', async () => {
  await kubectl(bare.name, ['create', 'namespace', 'audited', '--as=jane', '--as-group=system:masters']);
  const events = (await readFile(clusterNamed(bare.name).auditLog, 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const found = events.filter((event) => event.objectRef?.name === 'audited' && event.verb === 'create');
  assert.deepEqual(
    found.map((event) => [event.stage, event.impersonatedUser.username, event.responseStatus.code]),
    [['ResponseComplete', 'jane', 201]],
  );
});

function job(name: string, annotations: Record<string, string>): Job {
  const spec = { restartPolicy: 'Never', containers: [{ name: 'main', image: 'none' }] };
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name },
    spec: { backoffLimit: 0, template: { metadata: { annotations }, spec } },
  };
}

/** The phase of the job's pod, and how its container ended. */
async function endOf(name: string) {
  const { items }: PodList = JSON.parse(
    await kubectl(simulated.name, ['get', 'pods', '--selector', `job-name=${name}`, '--output', 'json']),
  );
  const terminated = items[0]?.status?.containerStatuses?.[0]?.state?.terminated;
  return (
    terminated && { phase: items[0]?.status?.phase, code: terminated.exitCode, message: terminated.message }
  );
}

test('simulated pods of jobs end as they are told to', async () => {
  const failing = { [outcomeAnnotations.exitCode]: '3', [outcomeAnnotations.message]: 'disk full' };
  const items = [job('good', {}), job('bad', failing)];
  await kubectl(
    simulated.name,
    ['apply', '--filename', '-'],
    JSON.stringify({ apiVersion: 'v1', kind: 'List', items }),
  );
  const good = await waitFor('the good pod to end', 20_000, () => endOf('good'));
  assert.deepEqual(good, { phase: 'Succeeded', code: 0, message: 'count=3' });
  const bad = await waitFor('the bad pod to end', 20_000, () => endOf('bad'));
  assert.deepEqual(bad, { phase: 'Failed', code: 3, message: 'disk full' });
});

test('a part that is gone is started again by `up`, the others stay', async () => {
  const { folder } = clusterNamed(simulated.name);
  const etcd = await processOf(folder, 'etcd');
  await stop(clusterNamed(simulated.name), 'simulated-kubelet', 'SIGKILL');
  assert.equal(await processOf(folder, 'simulated-kubelet'), undefined);
  await up(simulated);
  assert.ok(await processOf(folder, 'simulated-kubelet'));
  assert.deepEqual(await processOf(folder, 'etcd'), etcd);
});

test('`down` leaves nothing', async () => {
  const { folder } = clusterNamed(bare.name);
  assert.notDeepEqual(await tracesOf(bare.name), []);
  await down(bare.name);
  assert.deepEqual(await tracesOf(bare.name), []);
  assert.equal(existsSync(folder), false);
  await down(bare.name); // and once more is fine
});
