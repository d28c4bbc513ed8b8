import { existsSync } from 'node:fs';
import { mkdir, readdir, rmdir } from 'node:fs/promises';
import path from 'node:path';
import { waitFor } from './wait.ts';

const mountPoint = '/sys/fs/cgroup';

/** The control group under which the kubelet puts the pods of a cluster, as the kernel names it. */
export function cgroupOf(cluster: string): string {
  return `/signalbox-${cluster}`;
}

/** Version 2 has one tree of groups; version 1 has a tree for each controller. */
async function trees(): Promise<string[]> {
  if (existsSync(path.join(mountPoint, 'cgroup.controllers'))) return [mountPoint];
  const entries = existsSync(mountPoint) ? await readdir(mountPoint, { withFileTypes: true }) : [];
  return entries.filter((entry) => entry.isDirectory()).map((entry) => path.join(mountPoint, entry.name));
}

/** The kubelet wants the group to be there in every tree. */
export async function makeCgroup(cluster: string): Promise<void> {
  for (const tree of await trees()) await mkdir(path.join(tree, cgroupOf(cluster)), { recursive: true });
}

/** Removes the group and all below it. Its processes must have been killed; the kernel may need a moment to notice. */
export async function removeCgroup(cluster: string): Promise<void> {
  for (const tree of await trees()) {
    const group = path.join(tree, cgroupOf(cluster));
    await waitFor(`the control group ${group} to be empty`, 15_000, () => removeTree(group));
  }
}

async function removeTree(group: string): Promise<true> {
  if (!existsSync(group)) return true;
  for (const entry of await readdir(group, { withFileTypes: true })) {
    if (entry.isDirectory()) await removeTree(path.join(group, entry.name));
  }
  await rmdir(group); // its files are not real: only folders can and must be removed
  return true;
}
