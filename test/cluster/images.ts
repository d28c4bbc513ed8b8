import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { cacheRoot, contentName, filesUnder, makeOnce } from './cache.ts';
import { contained, run } from './command.ts';
import { contextFilter } from './ignore-file.ts';
import { withLock } from './lock.ts';
import { type Report, silent } from './report.ts';

/** What an image is built from. */
export interface ImageSource {
  /** Name and tag, such as `localhost/signalbox/operator:dev`. */
  readonly tag: string;
  readonly dockerfile: string;
  /** Folder that the Dockerfile copies from. Its .dockerignore is heeded, or one of the Dockerfile's own beside that. */
  readonly context: string;
  /** Build arguments. One that is the tag of an image built here makes that image a part of what this one depends on. */
  readonly args?: Readonly<Record<string, string>>;
}

/** A built image: a docker-archive that containerd can import. */
export interface Image {
  readonly tag: string;
  readonly archive: string;
}

export const imagesFolder = path.join(cacheRoot, 'images');
const storage = path.join(cacheRoot, 'buildah');
const limit = 30 * 60_000;

/**
 * Builds an image with buildah, unless it was built before from the same files, arguments and base images. As root.
 * A Dockerfile that starts from one of the base images needs `buildBases` first.
 */
export async function build(source: ImageSource, report: Report = silent): Promise<Image> {
  return buildOnce(source.tag, await nameOfContent(source), (archive) =>
    buildArchive(source, archive, report),
  );
}

/** Gives the image that `write` made under this tag from content of this name, now or before. */
export async function buildOnce(
  tag: string,
  content: string,
  write: (archive: string) => Promise<void>,
): Promise<Image> {
  const archive = path.join(folderOf(tag), `${content}.tar`);
  if (!existsSync(archive)) {
    await withLock(path.join(imagesFolder, '.lock'), limit, async () => {
      await makeOnce(archive, write);
      await removeOthers(archive);
    });
  }
  return { tag, archive };
}

/** Imports a built image into a cluster's containerd, unless it is there already. */
export async function load(cluster: { readonly folder: string }, image: Image | string): Promise<void> {
  const { tag, archive } = typeof image === 'string' ? await builtImage(image) : image;
  const marker = path.join(cluster.folder, 'images', path.basename(folderOf(tag)));
  if (existsSync(marker) && (await readFile(marker, 'utf8')) === archive) return;
  const socket = containerdSocket(cluster.folder);
  await run(['ctr', '--address', socket, '--namespace', 'k8s.io', 'images', 'import', archive], { limit });
  await mkdir(path.dirname(marker), { recursive: true });
  await writeFile(marker, archive);
}

/** Where a cluster's containerd answers. */
export function containerdSocket(clusterFolder: string): string {
  return path.join(clusterFolder, 'containerd.sock');
}

/** @throws Error when no image of this tag was built on this machine. */
async function builtImage(tag: string): Promise<Image> {
  const folder = folderOf(tag);
  const names = existsSync(folder) ? await readdir(folder) : [];
  const archive = names.find((name) => /^[0-9a-f]+\.tar$/.test(name));
  if (!archive) throw new Error(`No image ${tag} was built on this machine; build it first.`);
  return { tag, archive: path.join(folder, archive) };
}

function folderOf(tag: string): string {
  return path.join(imagesFolder, tag.replaceAll(/[/:]/g, '_'));
}

async function nameOfContent({ tag, dockerfile, context, args = {} }: ImageSource): Promise<string> {
  const ignoreFile = ignoreFileOf({ dockerfile, context });
  const isPart = contextFilter(ignoreFile === undefined ? '' : await readFile(ignoreFile, 'utf8'));
  const bases = Object.values(args).filter((value) => existsSync(folderOf(value)));
  const archives = await Promise.all(bases.map(async (base) => (await builtImage(base)).archive));
  const text = JSON.stringify([tag, args, archives]);
  return contentName([text, await readFile(dockerfile), ...(await filesUnder(context, isPart))]);
}

/** As BuildKit finds it: https://docs.docker.com/build/concepts/context/#filename-and-location */
function ignoreFileOf({
  dockerfile,
  context,
}: Pick<ImageSource, 'dockerfile' | 'context'>): string | undefined {
  const places = [`${dockerfile}.dockerignore`, path.join(context, '.dockerignore')];
  return places.find((place) => existsSync(place));
}

/** Builds an image and writes it as a docker-archive. */
export async function buildArchive(source: ImageSource, archive: string, report: Report): Promise<void> {
  const { tag, dockerfile, context, args = {} } = source;
  const done = report(`building image ${tag}`);
  await mkdir(storage, { recursive: true });
  const buildArguments = Object.entries(args).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]);
  const options = ['--isolation', 'chroot', '--layers', '--pull=never', '--tag', tag, '--file', dockerfile];
  const ignoreFile = ignoreFileOf(source);
  if (ignoreFile !== undefined) options.push('--ignorefile', ignoreFile);
  await buildah(['bud', ...options, ...(await npmSettings(storage)), ...buildArguments, context]);
  await buildah(['push', '--disable-compression', tag, `docker-archive:${archive}:${tag}`]);
  done();
}

/**
 * Runs buildah, contained. Its notes on what it has mounted lie on a mount of its own too, so that the next run does
 * not believe in the mounts of one that was killed.
 */
async function buildah(args: readonly string[]): Promise<void> {
  const [notes, temporary] = [`${storage}-notes`, `${storage}-temporary`];
  await rm(temporary, { recursive: true, force: true });
  for (const folder of [notes, temporary]) await mkdir(folder, { recursive: true });
  const script = 'mount -t tmpfs tmpfs "$0" && exec buildah --runroot "$0" "$@"';
  const argv = ['sh', '-c', script, notes, '--root', storage, '--storage-driver', 'overlay', ...args];
  await run(contained(argv), { limit, env: { TMPDIR: temporary } });
}

/**
 * Lets npm in a Dockerfile reach its registry as npm on this machine does: with the settings of this user, and through
 * a proxy that signs with an authority of its own. It is mounted for the build alone, so no secret gets into the image.
 */
async function npmSettings(folder: string): Promise<string[]> {
  const own = path.join(os.homedir(), '.npmrc');
  const settings = existsSync(own) ? await readFile(own, 'utf8') : '';
  const authorities = process.env['NODE_EXTRA_CA_CERTS'];
  const inside = '/run/build-authorities.crt';
  const file = path.join(folder, 'npmrc');
  await writeFile(file, authorities ? `${settings}\ncafile=${inside}\n` : settings, { mode: 0o600 });
  const volumes = [`${file}:/root/.npmrc:ro`, ...(authorities ? [`${authorities}:${inside}:ro`] : [])];
  return volumes.flatMap((volume) => ['--volume', volume]);
}

async function removeOthers(archive: string): Promise<void> {
  const folder = path.dirname(archive);
  const others = (await readdir(folder)).filter((name) => name !== path.basename(archive));
  for (const name of others) await rm(path.join(folder, name));
}
