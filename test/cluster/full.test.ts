import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type { Pod } from 'kubernetes-types/core/v1.d.ts';
import { baseImages, buildBases } from './base-images.ts';
import { type Cluster, down, up } from './cluster.ts';
import { run } from './command.ts';
import { components, processOf } from './components.ts';
import { build, load } from './images.ts';
import { end } from './process.ts';
import { linkPrefix, slotOwners } from './settings.ts';
import { tracesOf } from './traces.ts';
import { waitFor } from './wait.ts';

const options = { name: 'test-full' };
const other = { name: 'test-beside' };
let cluster: Cluster;

before(async () => {
  // What an interrupted test left behind does not count.
  await Promise.all([down(options.name), down(other.name)]);
  await buildBases();
  [cluster] = await Promise.all([up(options), up(other)]);
  await load(cluster, baseImages.debian);
});

after(() => down(options.name));
after(() => down(other.name));

async function kubectl(args: readonly string[], input = ''): Promise<string> {
  return run([cluster.kubectl, '--kubeconfig', cluster.kubeconfig, ...args], { input });
}

/** A Job that the restricted Pod Security Standard lets through. */
function restrictedJob(name: string, image: string, script: string) {
  const securityContext = {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    runAsNonRoot: true,
    runAsUser: 65_532,
    capabilities: { drop: ['ALL'] },
    seccompProfile: { type: 'RuntimeDefault' },
  };
  const container = { name: 'main', image, command: ['bash', '-ec', script], securityContext };
  const template = { spec: { restartPolicy: 'Never', containers: [container] } };
  return { apiVersion: 'batch/v1', kind: 'Job', metadata: { name }, spec: { backoffLimit: 0, template } };
}

/** Runs a script in a pod to its end, and gives what it wrote to its termination message. */
async function inPod(name: string, script: string, image: string = baseImages.debian): Promise<string> {
  await kubectl(
    ['create', '--namespace', 'restricted', '--filename', '-'],
    JSON.stringify(restrictedJob(name, image, script)),
  );
  const select = [
    'get',
    'pods',
    '--namespace',
    'restricted',
    '--selector',
    `job-name=${name}`,
    '--output',
    'json',
  ];
  return waitFor(`the pod of job ${name} to end`, 60_000, async () => {
    const { items }: { items: Pod[] } = JSON.parse(await kubectl(select));
    const terminated = items[0]?.status?.containerStatuses?.[0]?.state?.terminated;
    return terminated && `${terminated.exitCode} ${terminated.message ?? ''}`;
  });
}

const look = `
  getent hosts kubernetes.default > /dev/termination-log
  exec 3<> /dev/tcp/kubernetes.default/443
  echo reached >> /dev/termination-log`;

test('a restricted Job runs in a real container, finds the cluster DNS and reaches a service', async () => {
  const namespace = {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'restricted', labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
  };
  await kubectl(['create', '--filename', '-'], JSON.stringify(namespace));
  await kubectl(['create', 'serviceaccount', 'ready', '--namespace', 'restricted']);
  assert.match(
    await inPod('look', look),
    /^0 10\.96\.\d+\.1 +kubernetes\.default\.svc\.cluster\.local\nreached\n$/,
  );
});

test('an image is built once for the same content, and runs', async () => {
  const context = await mkdtemp(path.join(os.tmpdir(), 'signalbox-test-'));
  try {
    const files = {
      Dockerfile: 'ARG BASE\nFROM ${BASE}\nRUN echo built > /told\nCOPY said /said\n',
      '.dockerignore': 'left-out\n',
      said: 'one',
      'left-out': '1',
    };
    for (const [name, text] of Object.entries(files)) await writeFile(path.join(context, name), text);
    const source = {
      tag: 'localhost/signalbox-test/said:1',
      dockerfile: path.join(context, 'Dockerfile'),
      context,
      args: { BASE: baseImages.debian },
    };
    const first = await build(source);
    await writeFile(path.join(context, 'left-out'), '2');
    assert.deepEqual(await build(source), first);
    await writeFile(path.join(context, 'said'), 'two');
    const second = await build(source);
    assert.notEqual(second.archive, first.archive);
    await load(cluster, second);
    assert.equal(await inPod('said', 'cat /told /said > /dev/termination-log', source.tag), '0 built\ntwo');
  } finally {
    await rm(context, { recursive: true });
  }
});

test('everything is killed, and `up` brings the same cluster back', async () => {
  for (const part of ['machine', ...components] as const) {
    const running = await processOf(cluster.folder, part);
    if (running) await end(running, 'SIGKILL');
  }
  assert.deepEqual(await up(options), cluster);
  assert.match(await kubectl(['get', 'job', 'look', '--namespace', 'restricted']), /Complete/);
  assert.match(await inPod('look-again', look), /reached/);
});

/** What this machine's network shows of a cluster. */
async function networkTraces(slot: number): Promise<string[]> {
  const tables = await run(['nft', 'list', 'tables']);
  const routes = await readFile('/proc/net/route', 'utf8');
  const link = `${linkPrefix}${slot}`;
  const namespaces = existsSync('/run/netns') ? await readdir('/run/netns') : [];
  return [
    ...tables.split('\n').filter((line) => line.endsWith(` ${link}`)),
    ...routes.split('\n').filter((line) => line.startsWith(`${link}\t`)),
    ...(await readdir('/sys/class/net')).filter((name) => name === link),
    ...namespaces.filter((name) => name.startsWith('cni-')),
  ];
}

test('`down` leaves nothing, and the cluster beside it in peace', async () => {
  const slot = [...(await slotOwners())].find(([, name]) => name === options.name)?.[0];
  assert.ok(slot !== undefined);
  assert.ok((await tracesOf(options.name)).some((trace) => trace.includes('kubepods')));
  assert.equal((await networkTraces(slot)).length, 5); // a table, three routes, a link
  await down(options.name);
  assert.deepEqual(await tracesOf(options.name), []);
  assert.deepEqual(await networkTraces(slot), []);
  const beside = await up(other);
  assert.match(await run([beside.kubectl, '--kubeconfig', beside.kubeconfig, 'get', 'nodes']), / Ready /);
});
