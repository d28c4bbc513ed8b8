import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { cacheRoot } from './cache.ts';
import { makeCgroup, removeCgroup } from './cgroups.ts';
import { run } from './command.ts';
import type { Site } from './control-plane.ts';
import type { ProcessIdentity } from './process.ts';
import { type Addresses, linkPrefix } from './settings.ts';
import { waitFor } from './wait.ts';

/**
 * A full cluster runs in a machine of its own that is made of kernel namespaces: processes, mounts and network.
 *
 *     this machine                              the cluster's machine
 *     ────────────                              ─────────────────────
 *     link 10.200.S.1 ── a pair of links ────── eth0 10.200.S.2: API server, kubelet, kube-proxy's rules
 *     masquerades what leaves                    └─ one link for each pod, 10.244.S.x
 *
 * All that the cluster makes there (containers, mounts, links, rules) ends with the machine's first process, whoever
 * kills it, because the kernel ends a namespace with its processes. So there is little to clean up and nothing to lose
 * track of: the masquerading, and the control groups.
 */

/** How far into the machine a component runs. Only what starts containers or mounts must be in it altogether. */
export type Place = 'network' | 'inside';

/** Command line to run a command in the machine. `inside` forks: the command is the child of what this starts. */
export function enter(machine: ProcessIdentity, place: Place): string[] {
  const all = place === 'inside' ? ['--mount', '--pid'] : [];
  return ['nsenter', '--target', String(machine.pid), '--net', ...all, '--'];
}

/** Command line of the machine's first process, which keeps the namespaces. Not usable before {@link furnish}. */
export function machineCommand(pause: string): string[] {
  return ['unshare', '--fork', '--kill-child', '--pid', '--mount', '--net', '--mount-proc', pause];
}

/** Whether {@link furnish} came to its end in this machine. */
export function isFurnished(machine: ProcessIdentity): boolean {
  return existsSync(`/proc/${machine.pid}/root${furnished}`);
}

const furnished = '/run/furnished';

/** Gives the machine its folders for data, its control group and its network. */
export async function furnish(
  machine: ProcessIdentity,
  { folder, settings, addresses }: Site,
): Promise<void> {
  const own = path.join(folder, 'var');
  for (const name of ['lib', 'log']) await mkdir(path.join(own, name), { recursive: true });
  await makeCgroup(settings.name);
  await connect(machine, addresses);
  const script = [
    'mount -t tmpfs tmpfs /run',
    `mount --bind '${own}/lib' /var/lib`,
    `mount --bind '${own}/log' /var/log`,
    'mount --make-rshared /', // pods may ask for mounts that propagate
    'ip link set lo up',
    `ip address add ${addresses.host}/30 dev eth0`,
    `ip link set eth0 up mtu ${mtu}`,
    `ip route add default via ${addresses.gateway}`,
    'echo 1 > /proc/sys/net/ipv4/ip_forward',
    `touch ${furnished}`,
  ];
  await run([...enter(machine, 'inside'), 'sh', '-ec', script.join('\n')]);
}

/** Fits through the tunnels that networks often consist of. */
export const mtu = 1400;

async function connect(machine: ProcessIdentity, addresses: Addresses): Promise<void> {
  const { link, gateway, host, podRange, serviceRange } = addresses;
  await disconnect(addresses);
  await ip(`link add ${link} mtu ${mtu} type veth peer eth0 netns ${machine.pid}`);
  await ip(`address add ${gateway}/30 dev ${link}`);
  await ip(`link set ${link} up`);
  for (const range of [podRange, serviceRange]) await ip(`route add ${range} via ${host}`);
  await run(['nft', '-f', '-'], { input: masquerade(addresses) });
  await forwardPackets();
}

async function ip(words: string): Promise<void> {
  await run(['ip', ...words.split(' ')]);
}

async function disconnect(addresses: Addresses): Promise<void> {
  const { link } = addresses;
  // The kernel is about to remove the link of a machine that has just ended, and may be the first to do so.
  await waitFor(`the link ${link} to be gone`, 10_000, async () => {
    if (!existsSync(`/sys/class/net/${link}`)) return true;
    await ip(`link delete ${link}`);
    return undefined;
  });
  await run(['nft', '-f', '-'], { input: dropTable(addresses) });
}

// Deleting a table that is not there is an error, so it is made first.
function dropTable({ link }: Addresses): string {
  return `table ip ${link} {}\ndelete table ip ${link}\n`;
}

function masquerade(addresses: Addresses): string {
  const { link, podRange, machineRange } = addresses;
  return `table ip ${link} {
  chain postrouting {
    type nat hook postrouting priority srcnat
    ip saddr { ${podRange}, ${machineRange} } oifname != "${link}" masquerade
  }
}
`;
}

const forwarding = '/proc/sys/net/ipv4/ip_forward';
/** There while this machine forwards packets only because a cluster made it. */
const forwardingMark = path.join(cacheRoot, 'forwarding');

async function forwardPackets(): Promise<void> {
  if ((await readFile(forwarding, 'utf8')).trim() === '1') return;
  await writeFile(forwardingMark, '');
  await writeFile(forwarding, '1');
}

/** Puts back what {@link forwardPackets} changed once no cluster needs it. */
async function stopForwarding(): Promise<void> {
  const links = (await readdir('/sys/class/net')).filter((link) => link.startsWith(linkPrefix));
  if (links.length > 0 || !existsSync(forwardingMark)) return;
  await writeFile(forwarding, '0');
  await rm(forwardingMark);
}

/** Removes what the kernel does not when a machine ends. Call it when it has. */
export async function clearAway(cluster: string, addresses: Addresses): Promise<void> {
  await disconnect(addresses);
  await stopForwarding();
  await removeCgroup(cluster);
}
