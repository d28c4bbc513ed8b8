import { existsSync } from 'node:fs';
import { mkdir, readdir, readlink, rm, symlink } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { cacheRoot } from './cache.ts';

/** What a cluster is asked for. */
export interface ClusterOptions {
  /** Lower-case letters, digits and dashes, at most 30. @default 'signalbox' */
  readonly name?: string;
  /** API server, etcd and controllers only: no node that runs containers, no root needed. @default false */
  readonly controlPlane?: boolean;
  /** Nodes whose pods only pretend to run; implies `controlPlane`. @default 0 */
  readonly simulatedNodes?: number;
  /** Seconds from a simulated pod's start to its end. @default 0.2 */
  readonly podDuration?: number;
  /** Termination message of a simulated pod. @default '' */
  readonly podMessage?: string;
  /** Write an audit log, to count API calls by client. @default false */
  readonly audit?: boolean;
  /**
   * The API server shows a certificate to the webhooks that it calls. Whoever knows the authority in
   * `certificates/webhooks-ca.crt` knows by it who calls. @default false
   */
  readonly webhookCertificate?: boolean;
  /**
   * Requests per second that the built-in controllers may make; their burst is half as much again. Kubernetes ships
   * with 20, at which they take 4 s longer to start. @default 100
   */
  readonly controllerQps?: number;
}

/** Options with every default filled in. */
export type ClusterSettings = Required<ClusterOptions>;

/** Fills in the defaults. @throws Error with what is wrong with an option. */
export function toSettings(options: ClusterOptions): ClusterSettings {
  const settings: ClusterSettings = {
    name: 'signalbox',
    simulatedNodes: 0,
    podDuration: 0.2,
    podMessage: '',
    audit: false,
    webhookCertificate: false,
    controllerQps: 100,
    ...options,
    controlPlane: (options.controlPlane ?? false) || (options.simulatedNodes ?? 0) > 0,
  };
  if (!/^[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?$/.test(settings.name)) {
    throw new Error(`The name "${settings.name}" must be 1 to 30 lower-case letters, digits and dashes.`);
  }
  const numbers = { simulatedNodes: 1000, podDuration: 86_400, controllerQps: 100_000 };
  for (const key of ['simulatedNodes', 'podDuration', 'controllerQps'] as const) {
    if (settings[key] >= 0 && settings[key] <= numbers[key]) continue;
    throw new Error(`${key} is ${settings[key]}; it must be a number from 0 to ${numbers[key]}.`);
  }
  return settings;
}

/** Links of this machine whose names start so lead to clusters. */
export const linkPrefix = 'signalbox';

/** Addresses and ports of one cluster. Each slot has its own, so clusters can run side by side. */
export function addressesOf(slot: number, controlPlane: boolean) {
  const port = firstPort + slot * portsPerSlot;
  return {
    /** Where the control plane listens: this machine's loopback, or the cluster's own network. */
    host: controlPlane ? '127.0.0.1' : `10.200.${slot}.2`,
    gateway: `10.200.${slot}.1`,
    machineRange: `10.200.${slot}.0/30`,
    podRange: `10.244.${slot}.0/24`,
    serviceRange: `10.96.${slot}.0/24`,
    apiService: `10.96.${slot}.1`,
    dnsService: `10.96.${slot}.10`,
    link: `${linkPrefix}${slot}`,
    ports: {
      api: port,
      etcd: port + 1,
      etcdPeer: port + 2,
      kubelet: port + 3,
      proxyHealth: port + 4,
      proxyMetrics: port + 5,
    },
  };
}

export type Addresses = ReturnType<typeof addressesOf>;

// Below the range from which the kernel picks ports for outgoing connections, so a port is free again after a restart.
const firstPort = 21_000;
const portsPerSlot = 10;
const slots = 64;
const slotFolder = path.join(cacheRoot, 'slots');

/** Takes the first slot that no other cluster has. Call it under a lock. */
export async function claimSlot(name: string): Promise<number> {
  await mkdir(slotFolder, { recursive: true });
  const owners = await slotOwners();
  for (let slot = 0; slot < slots; slot++) {
    const owner = owners.get(slot);
    if (owner === name) return slot;
    if (owner !== undefined && existsSync(clusterFolder(owner))) continue;
    if (!(await portsAreFree(slot))) continue;
    await releaseSlot(slot);
    await symlink(name, path.join(slotFolder, String(slot)));
    return slot;
  }
  throw new Error(`All ${slots} places for clusters on this machine are taken; \`down\` one first.`);
}

export async function releaseSlot(slot: number): Promise<void> {
  await rm(path.join(slotFolder, String(slot)), { force: true });
}

/** Names of the clusters that exist, by slot. */
export async function slotOwners(): Promise<Map<number, string>> {
  const entries = existsSync(slotFolder) ? await readdir(slotFolder) : [];
  const owners = entries.map(
    async (slot) => [Number(slot), await readlink(path.join(slotFolder, slot))] as const,
  );
  return new Map(await Promise.all(owners));
}

/** The folder of a cluster: settings, certificates, data, logs. */
export function clusterFolder(name: string): string {
  return path.join(cacheRoot, 'clusters', name);
}

async function portsAreFree(slot: number): Promise<boolean> {
  const { api, proxyMetrics } = addressesOf(slot, true).ports;
  for (let port = api; port <= proxyMetrics; port++) if (!(await portIsFree(port))) return false;
  return true;
}

async function portIsFree(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const server = net.createServer();
  server.once('error', () => resolve(false));
  server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  return promise;
}
