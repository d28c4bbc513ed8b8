import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import type { ConfigMap } from 'kubernetes-types/core/v1.d.ts';
import type { Lease } from 'kubernetes-types/coordination/v1.d.ts';
import { LEASES } from '../../../src/kube/lease.ts';
import { type KubeObject, type ResourceClient, resourceClient } from '../../../src/kube/resource.ts';
import { type Bench, bench, until } from './setup.ts';

let real: Bench;
before(async () => {
  real = await bench('kube-lease');
});
after(() => real[Symbol.asyncDispose]());

interface Candidate {
  process: ChildProcess;
  output: string[];
}

/** Starts a process that competes for the lease of this namespace; ends it with the test. */
function candidate(t: TestContext, namespace: string, identity: string): Candidate {
  const file = path.join(import.meta.dirname, 'elector-process.ts');
  const child = spawn(process.execPath, [file, real.cluster.kubeconfig, namespace, identity]);
  t.after(() => child.kill('SIGKILL'));
  const output: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => output.push(...chunk.toString().trimEnd().split('\n')));
  }
  return { process: child, output };
}

/** Writes down one value of an object each time that it changes, until the test is over. */
async function history<T extends KubeObject>(
  t: TestContext,
  client: ResourceClient<T>,
  namespace: string,
  valueOf: (object: T) => string,
): Promise<string[]> {
  const values: string[] = [];
  const stop = new AbortController();
  const { resourceVersion } = await client.list({ namespace });
  const options = { resourceVersion, timeoutSeconds: 120, idleTimeoutMs: 120_000, signal: stop.signal };
  const watching = client.watch({ namespace }, options, (event) => {
    if (event.type === 'BOOKMARK') return;
    const value = valueOf(event.object);
    if (values.at(-1) !== value) values.push(value);
  });
  watching.catch(() => {});
  t.after(() => stop.abort());
  return values;
}

test('two processes, one frozen: never do both write, and after a graceful end the other takes over at once', async (t) => {
  const namespace = await real.namespace('fight');
  await real.configMaps.create({ metadata: { namespace, name: 'journal' } });
  const leases = resourceClient<Lease>(real.transport, LEASES);
  const holders = await history(t, leases, namespace, ({ spec }) => spec?.holderIdentity ?? '');
  const writers = await history<ConfigMap>(
    t,
    real.configMaps,
    namespace,
    ({ data }) => data?.['writer'] ?? '',
  );

  const a = candidate(t, namespace, 'a');
  await until('a writes', () => writers.includes('a'));
  const b = candidate(t, namespace, 'b');
  await until(
    'b has seen the lease',
    async () => b.process.exitCode === null && (await renewals(leases, namespace)) > 3,
  );

  a.process.kill('SIGSTOP');
  await until('b writes', () => writers.includes('b'));
  a.process.kill('SIGCONT');
  await until('a knows', () => a.output.some((line) => line.startsWith('stopped: LeaseLostError')));
  b.process.kill('SIGTERM');
  await once(b.process, 'exit');
  await until('a writes again', () => writers.filter((writer) => writer === 'a').length > 1);

  assert.deepEqual(writers.filter(Boolean), ['a', 'b', 'a'], 'who wrote, in the order of the server');
  assert.deepEqual(holders, ['a', 'b', '', 'a'], 'the lease was released before a took it again');
  assert.deepEqual(b.output, ['leading', 'stopped: Error: SIGTERM']);
});

/** How often the lease has been renewed, give or take: the tries of the other one fall between. */
async function renewals(leases: ResourceClient<Lease>, namespace: string): Promise<number> {
  renewTimes.add((await leases.get({ namespace, name: 'operator' })).spec?.renewTime);
  return renewTimes.size;
}
const renewTimes = new Set<string | undefined>();
