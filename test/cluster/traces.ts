import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { cgroupOf } from './cgroups.ts';
import { clusterFolder, slotOwners } from './settings.ts';

/** All that this machine shows of a cluster: processes, mounts, control groups. For tests of what `down` leaves. */
export async function tracesOf(cluster: string): Promise<string[]> {
  const owners = [...(await slotOwners())].filter(([, name]) => name === cluster);
  return [
    ...owners.map(([slot]) => `slot ${slot}`),
    ...(await processes(cluster)),
    ...(await mounts(cluster)),
    ...(await controlGroups(cluster)),
  ];
}

async function processes(cluster: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  const described = pids.map(async (pid) => {
    const text = `${await contentOf(`/proc/${pid}/cmdline`)} ${await contentOf(`/proc/${pid}/cgroup`)}`;
    return isOf(cluster, text) ? [`process ${pid} ${text.replaceAll('\0', ' ').slice(0, 200)}`] : [];
  });
  return (await Promise.all(described)).flat();
}

async function mounts(cluster: string): Promise<string[]> {
  return (await contentOf('/proc/self/mountinfo')).split('\n').filter((line) => isOf(cluster, line));
}

async function controlGroups(cluster: string): Promise<string[]> {
  const root = '/sys/fs/cgroup';
  const folders = existsSync(root) ? await readdir(root) : [];
  return [root, ...folders.map((folder) => `${root}/${folder}`)]
    .map((tree) => `${tree}${cgroupOf(cluster)}`)
    .filter((group) => existsSync(group));
}

function isOf(cluster: string, text: string): boolean {
  return text.includes(`${clusterFolder(cluster)}/`) || text.includes(`${cgroupOf(cluster)}/`);
}

async function contentOf(file: string): Promise<string> {
  return readFile(file, 'utf8').catch(() => '');
}
