import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import {
  apiServerCommand,
  controllerManagerCommand,
  etcdCommand,
  schedulerCommand,
  type Site,
  simulatedKubeletCommand,
} from './control-plane.ts';
import { enter } from './machine.ts';
import { containerdCommand, kubeletCommand, proxyCommand } from './node.ts';
import { end, firstChild, isAlive, type ProcessIdentity, startDetached } from './process.ts';
import type { ClusterSettings } from './settings.ts';
import { Hopeless } from './wait.ts';

/** The long-running processes of a cluster, in the order in which they start. */
export const components = [
  'etcd',
  'containerd',
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kubelet',
  'kube-proxy',
  'simulated-kubelet',
] as const;

export type Component = (typeof components)[number];

const commands: Readonly<Record<Component, (site: Site) => string[]>> = {
  etcd: etcdCommand,
  containerd: containerdCommand,
  'kube-apiserver': apiServerCommand,
  'kube-controller-manager': controllerManagerCommand,
  'kube-scheduler': schedulerCommand,
  kubelet: kubeletCommand,
  'kube-proxy': proxyCommand,
  'simulated-kubelet': simulatedKubeletCommand,
};

/** The components that a cluster with these settings has. */
export function componentsOf({ controlPlane, simulatedNodes }: ClusterSettings): Component[] {
  const absent = new Set<Component>(controlPlane ? ['containerd', 'kubelet', 'kube-proxy'] : []);
  if (simulatedNodes === 0) absent.add('simulated-kubelet');
  if (simulatedNodes === 0 && controlPlane) absent.add('kube-scheduler');
  return components.filter((component) => !absent.has(component));
}

/** What must be inside the cluster's machine altogether, because it makes containers and mounts. */
const insiders = new Set<Component>(['containerd', 'kubelet']);

/** Starts a component unless it runs: in the cluster's machine, when it has one. */
export async function startComponent(site: Site, component: Component): Promise<void> {
  if (await processOf(site.folder, component)) return;
  const log = logOf(site.folder, component);
  const command = commands[component](site);
  const machine = await processOf(site.folder, 'machine');
  if (!machine) return remember(site.folder, component, await startDetached(command, log));
  const place = insiders.has(component) ? 'inside' : 'network';
  const started = await startDetached([...enter(machine, place), ...command], log);
  await remember(site.folder, component, place === 'inside' ? await firstChild(started) : started);
}

/** Ends a component's process, if it runs. */
export async function stopComponent(
  folder: string,
  component: string,
  signal: NodeJS.Signals,
): Promise<void> {
  const running = await processOf(folder, component);
  if (running) await end(running, signal);
}

/** The process that runs a component now. */
export async function processOf(folder: string, component: string): Promise<ProcessIdentity | undefined> {
  try {
    const recorded: ProcessIdentity = JSON.parse(await readFile(recordOf(folder, component), 'utf8'));
    return isAlive(recorded) ? recorded : undefined;
  } catch {
    return undefined;
  }
}

/** @throws Hopeless with the end of its log when the component does not run. */
export async function assertRunning(folder: string, component: Component): Promise<void> {
  if (await processOf(folder, component)) return;
  const log = logOf(folder, component);
  const lines = (await readFile(log, 'utf8')).trim().split('\n').slice(-10).join('\n');
  throw new Hopeless(`${component} ended while it started. The end of ${log}:\n${lines}`);
}

export function logOf(folder: string, component: string): string {
  return path.join(folder, 'log', `${component}.log`);
}

export async function remember(folder: string, component: string, process: ProcessIdentity): Promise<void> {
  await mkdir(path.dirname(recordOf(folder, component)), { recursive: true });
  await writeFile(recordOf(folder, component), JSON.stringify(process));
}

function recordOf(folder: string, component: string): string {
  return path.join(folder, 'process', `${component}.json`);
}
