import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { Lease } from 'kubernetes-types/coordination/v1.d.ts';
import type { Node, Pod } from 'kubernetes-types/core/v1.d.ts';
import { isConflict, isNotFound } from '../../src/kube/errors.ts';
import { createInformer } from '../../src/kube/informer.ts';
import { type ResourceType, resourceClient } from '../../src/kube/resource.ts';
import { createTransport, type Transport } from '../../src/kube/transport.ts';
import {
  endedStatus,
  evictedStatus,
  runningStatus,
  secondsToRun,
  type SimulatedPod,
  simulatedPod,
} from './simulated-pod.ts';

/**
 * A process that is the kubelet of many nodes at once: pods that the scheduler gives to them start at once and end after
 * a set time, without any container. One watch, and two writes for each pod, as many as a kubelet makes for a short one.
 */

const pods: ResourceType = { group: '', version: 'v1', plural: 'pods', kind: 'Pod', namespaced: true };
const nodes: ResourceType = { group: '', version: 'v1', plural: 'nodes', kind: 'Node', namespaced: false };
const leases: ResourceType = {
  group: 'coordination.k8s.io',
  version: 'v1',
  plural: 'leases',
  kind: 'Lease',
  namespaced: true,
};

const { values } = parseArgs({
  options: {
    server: { type: 'string', default: '' },
    certificates: { type: 'string', default: '' },
    nodes: { type: 'string', default: '1' },
    duration: { type: 'string', default: '0' },
    message: { type: 'string', default: '' },
  },
});
const defaults = { duration: Number(values.duration), exitCode: 0, message: values.message };

async function connect(): Promise<Transport> {
  const file = (name: string) => readFile(path.join(values.certificates, name));
  const [ca, cert, key] = await Promise.all(
    ['ca.crt', 'simulated-kubelet.crt', 'simulated-kubelet.key'].map(file),
  );
  if (!ca || !cert || !key) throw new Error('unreachable: three files were read');
  return createTransport(
    { server: values.server, ca, cert, key, insecure: false },
    { userAgent: 'simulated-kubelet' },
  );
}

async function register(transport: Transport, name: string): Promise<void> {
  const size = { cpu: '1000', memory: '1Ti', pods: '10000' };
  const conditions = [{ type: 'Ready', status: 'True', reason: 'Simulated', message: 'Runs no containers.' }];
  const metadata = { name, labels: { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux' } };
  const status = { capacity: size, allocatable: size, conditions };
  await resourceClient<Node>(transport, nodes).ensure({ metadata, status });
}

/** Says every ten seconds that the nodes are alive, as kubelets do; after 50 s of silence they would count as lost. */
async function beat(transport: Transport, names: readonly string[]): Promise<never> {
  const client = resourceClient<Lease>(transport, leases);
  for (;;) {
    for (const name of names) {
      const spec = {
        holderIdentity: name,
        leaseDurationSeconds: 40,
        renewTime: new Date().toISOString().replace('Z', '000Z'),
      };
      const metadata = { name, namespace: 'kube-node-lease' };
      await client.apply({ metadata, spec }, { fieldManager: 'simulated-kubelet' }).catch(complain);
    }
    await sleep(10_000);
  }
}

/** Takes each pod on from where it is, whenever it changes. */
function runPods(transport: Transport): Promise<void> {
  const client = resourceClient<Pod>(transport, pods);
  const informer = createInformer<Pod, SimulatedPod, never>({
    client,
    selection: { fieldSelector: 'spec.nodeName!=' },
    project: (pod) => simulatedPod(pod, defaults),
    indexers: {},
    onError: complain,
  });
  const running = new Map<string, { since: number; timer?: NodeJS.Timeout }>();

  const report = async (pod: SimulatedPod, status: object) => {
    informer.store.upsert(await client.patchStatus(pod, status));
  };

  const forget = (uid: string) => {
    clearTimeout(running.get(uid)?.timer);
    running.delete(uid);
  };

  const finish = async (uid: string, key: string) => {
    const pod = informer.store.get(key);
    if (pod?.uid === uid && !pod.isDeleted) await report(pod, endedStatus(pod, now()));
  };

  /** Its deadline may have changed since it was last seen. */
  const awaitEnd = (pod: SimulatedPod, key: string) => {
    const { since, timer } = running.get(pod.uid) ?? { since: performance.now() };
    clearTimeout(timer);
    const left = since + secondsToRun(pod) * 1000 - performance.now();
    const end = () => void finish(pod.uid, key).catch(ignoreOutdated);
    running.set(pod.uid, { since, timer: setTimeout(end, Math.max(0, left)) });
  };

  const takeOn = async (pod: SimulatedPod, key: string) => {
    if (pod.isDeleted) return client.delete(pod, { uid: pod.uid, gracePeriodSeconds: 0 });
    if (pod.phase === 'Pending') {
      return report(pod, pod.outcome.evicted ? evictedStatus(pod) : runningStatus(pod, now()));
    }
    if (pod.phase === 'Running' && pod.ends) awaitEnd(pod, key);
    else forget(pod.uid);
  };

  informer.store.subscribe((change) => {
    if (change.type === 'Deleted') forget(change.previous.uid);
    else takeOn(change.object, change.key).catch(ignoreOutdated);
  });
  return informer.run(new AbortController().signal);
}

// A pod that has changed or gone since is seen again by the watch.
function ignoreOutdated(error: unknown): void {
  if (!isConflict(error) && !isNotFound(error)) complain(error);
}

function complain(error: unknown): void {
  console.error(new Date().toISOString(), error);
}

function now(): string {
  return new Date().toISOString().replace(/\.\d+/, '');
}

const transport = await connect();
const names = Array.from({ length: Number(values.nodes) }, (_, index) => `simulated-${index + 1}`);
for (const name of names) await register(transport, name);
await Promise.all([beat(transport, names), runPods(transport)]);
