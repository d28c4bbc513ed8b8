import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { buildClusterImages } from './base-images.ts';
import { type Binaries, ensureBinaries } from './binaries.ts';
import { cacheRoot, makeOnce } from './cache.ts';
import { adminKubeconfig, makeCertificates, serverUrl } from './certificates.ts';
import { run } from './command.ts';
import {
  type Component,
  components,
  componentsOf,
  logOf,
  processOf,
  startComponent,
  startPart,
  stopPart,
} from './components.ts';
import { auditLog, certificate, type Site, writeControlPlaneFiles } from './control-plane.ts';
import { dnsManifest } from './dns.ts';
import { load } from './images.ts';
import { withLock } from './lock.ts';
import { clearAway, enter, furnish, isFurnished, machineCommand } from './machine.ts';
import { writeNodeFiles } from './node.ts';
import { apiServerReady, containerdReady, controllersReady, dnsReady, nodeReady } from './ready.ts';
import { type Report, silent } from './report.ts';
import { assertPossible } from './requirements.ts';
import {
  type Addresses,
  addressesOf,
  type ClusterOptions,
  type ClusterSettings,
  claimSlot,
  clusterFolder,
  releaseSlot,
  toSettings,
} from './settings.ts';

/** A cluster that is up, and how to reach it. */
export interface Cluster {
  readonly name: string;
  /** Settings, certificates, data, logs (in `log/`). */
  readonly folder: string;
  /** Path of the admin's kubeconfig; `<folder>/certificates` also has ca.crt, admin.crt and admin.key. */
  readonly kubeconfig: string;
  /** URL of the API server. */
  readonly server: string;
  /** Paths of the programs that people use. */
  readonly kubectl: string;
  readonly helm: string;
  /** One JSON object (audit.k8s.io/v1 Event) a line, when the cluster was made with `audit`. */
  readonly auditLog: string;
}

/** What is kept of a cluster: enough to start it again. */
interface ClusterRecord {
  readonly slot: number;
  readonly settings: ClusterSettings;
}

const lockLimit = 5 * 60_000;

/** Makes a cluster, or completes one that lost some or all of its processes; one that is whole is left as it is. */
export async function up(options: ClusterOptions = {}, report: Report = silent): Promise<Cluster> {
  const settings = toSettings(options);
  await assertPossible(settings.controlPlane);
  const programs = await ensureBinaries(report);
  if (!settings.controlPlane) await buildClusterImages(programs, report);
  return underLock(settings.name, async () => {
    const done = report(`starting cluster "${settings.name}"`);
    const site = await settle(settings, programs);
    if (settings.controlPlane) await startControlPlane(site);
    else await startMachine(site);
    done();
    return describe(site);
  });
}

async function startControlPlane(site: Site): Promise<void> {
  for (const component of ['etcd', 'kube-apiserver'] as const) await startComponent(site, component);
  await apiServerReady(site);
  for (const component of componentsOf(site.settings)) await startComponent(site, component);
  await controllersReady(site);
}

/** The machine, its containerd and the control plane in it; containerd loads images while the API server starts. */
async function startMachine(site: Site): Promise<void> {
  await ensureMachine(site);
  for (const component of ['etcd', 'kube-apiserver', 'containerd'] as const)
    await startComponent(site, component);
  await containerdReady(site);
  for (const image of await buildClusterImages(site.programs, silent)) await load(site, image);
  await startControlPlane(site);
  await applyDns(site);
  await nodeReady(site);
  await dnsReady(site);
}

/** Ends a cluster and removes all that it left on this machine. One that isn't there is fine. */
export async function down(name = 'signalbox'): Promise<void> {
  await underLock(name, async () => {
    const folder = clusterFolder(name);
    const record = await readRecord(folder);
    for (const component of components.toReversed()) await stopPart(folder, component, 'SIGKILL');
    await stopPart(folder, 'machine', 'SIGKILL'); // and with it all that it ran
    if (record && !record.settings.controlPlane) await clearAway(name, addressesOf(record.slot, false));
    await rm(folder, { recursive: true, force: true });
    if (record) await releaseSlot(record.slot);
  });
}

/** A table for people: each part, its process, and its log. */
export async function status(name = 'signalbox'): Promise<string> {
  const folder = clusterFolder(name);
  const record = await readRecord(folder);
  if (!record) return `There is no cluster "${name}".\n`;
  const parts = componentsOf(record.settings);
  const lines = parts.map(async (component) => {
    const running = await processOf(folder, component);
    return `${component.padEnd(26)}${(running ? `process ${running.pid}` : 'stopped').padEnd(18)}${logOf(folder, component)}\n`;
  });
  return (await Promise.all(lines)).join('');
}

/** Stops one part of a running cluster, so that a test sees what happens without it. */
export async function stop(
  cluster: Cluster,
  component: Component,
  signal: NodeJS.Signals = 'SIGTERM',
): Promise<void> {
  await stopPart(cluster.folder, component, signal);
}

/** Starts a stopped part again, with the data and on the port that it had; the API server is ready when this returns. */
export async function start(cluster: Cluster, component: Component): Promise<void> {
  const record = await readRecord(cluster.folder);
  if (!record) throw new Error(`There is no cluster "${cluster.name}".`);
  const site = siteOf(record, await ensureBinaries(silent));
  await startComponent(site, component);
  if (component === 'kube-apiserver') await apiServerReady(site);
}

/** How to get into the machine that a full cluster lives in, and the addresses of what runs there. */
export async function reach({
  folder,
  name,
}: Cluster): Promise<{ entrance: string[]; addresses: Addresses }> {
  const record = await readRecord(folder);
  const machine = await processOf(folder, 'machine');
  if (!record || !machine) throw new Error(`Cluster "${name}" has no machine that runs.`);
  return { entrance: enter(machine, 'network'), addresses: addressesOf(record.slot, false) };
}

async function underLock<T>(name: string, work: () => Promise<T>): Promise<T> {
  return withLock(path.join(cacheRoot, 'clusters', `${name}.lock`), lockLimit, work);
}

/** Gives the cluster its folder with all files that its parts read. */
async function settle(settings: ClusterSettings, programs: Binaries): Promise<Site> {
  const folder = clusterFolder(settings.name);
  const record = (await readRecord(folder)) ?? (await newRecord(folder, settings));
  if (!isDeepStrictEqual(record.settings, settings)) {
    const text = JSON.stringify(record.settings);
    throw new Error(`Cluster "${settings.name}" exists with other settings: ${text}. \`down\` it first.`);
  }
  const site = siteOf(record, programs);
  await makeOnce(certificate(site, ''), (path) => makeCertificates(path, settings.name, site.addresses));
  await writeControlPlaneFiles(site);
  if (!settings.controlPlane) await writeNodeFiles(site);
  return site;
}

async function newRecord(folder: string, settings: ClusterSettings): Promise<ClusterRecord> {
  return withLock(path.join(cacheRoot, 'slots.lock'), lockLimit, async () => {
    await rm(folder, { recursive: true, force: true });
    await mkdir(path.join(folder, 'log'), { recursive: true });
    const record: ClusterRecord = { slot: await claimSlot(settings.name), settings };
    await makeOnce(recordOf(folder), (file) => writeFile(file, JSON.stringify(record)));
    return record;
  });
}

async function readRecord(folder: string): Promise<ClusterRecord | undefined> {
  const file = recordOf(folder);
  return existsSync(file) ? JSON.parse(await readFile(file, 'utf8')) : undefined;
}

function recordOf(folder: string): string {
  return path.join(folder, 'cluster.json');
}

function siteOf({ slot, settings }: ClusterRecord, programs: Binaries): Site {
  return {
    folder: clusterFolder(settings.name),
    settings,
    addresses: addressesOf(slot, settings.controlPlane),
    programs,
  };
}

function describe(site: Site): Cluster {
  return {
    name: site.settings.name,
    folder: site.folder,
    kubeconfig: adminKubeconfig(site.folder),
    server: serverUrl(site.addresses),
    kubectl: site.programs.kubectl,
    helm: site.programs.helm,
    auditLog: auditLog(site),
  };
}

/**
 * Makes the machine that a full cluster runs in, unless it runs. One that was left half made is made again, and so are
 * components which still run in one that is gone.
 */
async function ensureMachine(site: Site): Promise<void> {
  const running = await processOf(site.folder, 'machine');
  if (running && isFurnished(running)) return;
  for (const part of [...components, 'machine'] as const) await stopPart(site.folder, part, 'SIGKILL');
  await startPart(site.folder, 'machine', machineCommand(site.programs.pause));
  const machine = await processOf(site.folder, 'machine');
  if (!machine) throw new Error(`The cluster's machine does not start: see ${logOf(site.folder, 'machine')}`);
  await furnish(machine, site);
}

async function applyDns(site: Site): Promise<void> {
  const kubectl = [site.programs.kubectl, '--kubeconfig', adminKubeconfig(site.folder)];
  const apply = ['apply', '--server-side', '--force-conflicts', '--filename', '-'];
  await run([...kubectl, ...apply], { input: await dnsManifest(site.addresses.dnsService) });
}
