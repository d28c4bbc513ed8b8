import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, readdir, readFile, rm, stat, utimes } from 'node:fs/promises';
import path from 'node:path';
import { cacheRoot, contentName, makeOnce } from '../cluster/cache.ts';
import { run } from '../cluster/command.ts';
import type { Image } from '../cluster/images.ts';
import { withLock } from '../cluster/lock.ts';

/** A built image, laid out as a root file system. */
export interface UnpackedImage {
  root: string;
  /** What the Dockerfile says of how it is run. */
  config: { Entrypoint: string[]; Env: string[]; WorkingDir: string; User: string };
}

export interface ContainerOptions {
  /** Instead of the program of the image. */
  command?: readonly string[];
  env: Readonly<Record<string, string>>;
  /** A folder of this machine for each path in {@link MOUNTS}. */
  mounts: Readonly<Partial<Record<(typeof MOUNTS)[number], string>>>;
}

/** Where a container can have folders of this machine: the first can be read, the other written. */
const MOUNTS = ['/signalbox', '/output'] as const;
/** What a pod can write to. */
const WRITABLE = ['/tmp', '/home/signalbox', '/workspace'];

const roots = path.join(cacheRoot, 'roots');
const UNPACK_LIMIT_MS = 5 * 60_000;
/** Roots that nobody used for so long are removed when another one is made. */
const KEPT_MS = 60 * 60_000;

/** Unpacks an image, unless it was before. As root. */
export async function unpack({ tag, archive }: Image): Promise<UnpackedImage> {
  const place = path.join(roots, contentName([tag, path.basename(archive)]));
  await withLock(path.join(roots, '.lock'), UNPACK_LIMIT_MS, async () => {
    if (!existsSync(place)) await removeUnused();
    await layOut(archive, place);
    await utimes(place, new Date(), new Date());
  });
  const { Config } = await manifestOf(place);
  const { config }: { config: UnpackedImage['config'] } = JSON.parse(
    await readFile(path.join(place, Config), 'utf8'),
  );
  return { root: path.join(place, 'root'), config };
}

async function removeUnused(): Promise<void> {
  const folders = await readdir(roots, { withFileTypes: true });
  for (const folder of folders.filter((entry) => entry.isDirectory())) {
    const place = path.join(roots, folder.name);
    if (Date.now() - (await stat(place)).mtimeMs > KEPT_MS) await rm(place, { recursive: true });
  }
}

async function layOut(archive: string, place: string): Promise<void> {
  await makeOnce(place, async (folder) => {
    await mkdir(path.join(folder, 'root'), { recursive: true });
    await run(['tar', '-xf', archive, '-C', folder], { limit: UNPACK_LIMIT_MS });
    const { Layers } = await manifestOf(folder);
    for (const layer of Layers) await addLayer(path.join(folder, layer), path.join(folder, 'root'));
    for (const mount of [...MOUNTS, ...WRITABLE]) {
      await mkdir(path.join(folder, 'root', mount), { recursive: true });
    }
  });
}

async function manifestOf(folder: string): Promise<{ Layers: string[]; Config: string }> {
  const [manifest]: [{ Layers: string[]; Config: string }] = JSON.parse(
    await readFile(path.join(folder, 'manifest.json'), 'utf8'),
  );
  return manifest;
}

/** A file `.wh.NAME` of a layer says that NAME of those below is gone. */
async function addLayer(layer: string, root: string): Promise<void> {
  await run(['tar', '-xf', layer, '-C', root], { limit: UNPACK_LIMIT_MS });
  const names = (await run(['tar', '-tf', layer], { limit: UNPACK_LIMIT_MS })).split('\n');
  for (const mark of names.filter((name) => path.basename(name).startsWith('.wh.'))) {
    const removed = path.join(path.dirname(mark), path.basename(mark).slice('.wh.'.length));
    for (const gone of [mark, removed]) await rm(path.join(root, gone), { recursive: true, force: true });
  }
  await rm(layer);
}

/**
 * Starts an image as the kubelet would in the restricted profile: its program is the first process, the root can only be
 * read, and nothing can make it root. It has the network of this machine. As root.
 */
export async function startContainer(
  { root, config }: UnpackedImage,
  { env, mounts, command = config.Entrypoint }: ContainerOptions,
): Promise<ChildProcess> {
  const { '/output': output } = mounts;
  if (output !== undefined) await chown(output, 65_532, 65_532).then(() => chmod(output, 0o755));
  const binds = Object.entries(mounts).map(([inside, outside]) => `mount --bind '${outside}' "$0${inside}"`);
  const script = [
    'set -e',
    'mount --bind "$0" "$0"',
    ...WRITABLE.map((folder) => `mount -t tmpfs -o mode=1777 tmpfs "$0${folder}"`),
    ...binds,
    'mount --rbind /dev "$0/dev"',
    'mount -t proc proc "$0/proc"',
    'mount -o remount,bind,ro "$0"',
    `exec setpriv --no-new-privs chroot --userspec=${config.User} "$0" env -i -C ${config.WorkingDir} "$@"`,
  ].join('\n');
  const variables = [...config.Env, ...Object.entries(env).map(([name, value]) => `${name}=${value}`)];
  const isolated = ['--mount', '--pid', '--fork', '--kill-child', 'sh', '-c', script];
  return spawn('unshare', [...isolated, root, ...variables, ...command], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** Sends a signal to the first process of a container. */
export async function signalContainer(container: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const children = `/proc/${container.pid}/task/${container.pid}/children`;
  if (!existsSync(children)) throw new Error('the container has ended');
  for (const pid of (await readFile(children, 'utf8')).trim().split(' ')) process.kill(Number(pid), signal);
}
