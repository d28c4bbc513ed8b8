import { readFile } from 'node:fs/promises';
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
import { commandOf, end, type ProcessIdentity, recordedProcess, startRecorded } from './process.ts';
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

/** A component, or the first process of the machine that a full cluster lives in. */
export type Part = Component | 'machine';

/** Those whose command runs as the child of `unshare` or `nsenter`: only so can it have processes of its own. */
const wrapped = new Set<Part>(['machine', 'containerd', 'kubelet']);

/** Starts a component unless it runs: in the cluster's machine, when it has one. */
export async function startComponent(site: Site, component: Component): Promise<void> {
  const machine = await processOf(site.folder, 'machine');
  const place = wrapped.has(component) ? 'inside' : 'network';
  const entrance = machine ? enter(machine, place) : [];
  await startPart(site.folder, component, [...entrance, ...commands[component](site)]);
}

/** Starts a part of a cluster with this command line unless it runs. */
export async function startPart(folder: string, part: Part, argv: readonly string[]): Promise<void> {
  if (await processOf(folder, part)) return;
  await startRecorded(argv, recordOf(folder, part), logOf(folder, part));
}

/** Ends the process of a part, if it runs. */
export async function stopPart(folder: string, part: Part, signal: NodeJS.Signals): Promise<void> {
  const running = await processOf(folder, part);
  if (running) await end(running, signal);
}

/** The process that runs a part now. */
export async function processOf(folder: string, part: Part): Promise<ProcessIdentity | undefined> {
  const recorded = recordedProcess(recordOf(folder, part));
  return recorded && wrapped.has(part) ? commandOf(recorded) : recorded;
}

/** @throws Hopeless with the end of its log when the component does not run. */
export async function assertRunning(folder: string, component: Component): Promise<void> {
  if (await processOf(folder, component)) return;
  const log = logOf(folder, component);
  const lines = (await readFile(log, 'utf8')).trim().split('\n').slice(-10).join('\n');
  throw new Hopeless(`${component} ended while it started. The end of ${log}:\n${lines}`);
}

export function logOf(folder: string, part: Part): string {
  return path.join(folder, 'log', `${part}.log`);
}

function recordOf(folder: string, part: Part): string {
  return path.join(folder, 'process', part);
}
