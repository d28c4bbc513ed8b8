import { cp, mkdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { type Binaries, ensureBinaries } from './binaries.ts';
import { cacheRoot, contentName, makeOnce } from './cache.ts';
import { contained, run } from './command.ts';
import { buildArchive, buildOnce, type Image, imagesFolder } from './images.ts';
import { type Report, silent } from './report.ts';

/** Tags of the images that stand in for the public ones which the project's Dockerfiles start from. */
export const baseImages = {
  /** Debian 13 (trixie), minimal. */
  debian: 'localhost/signalbox-base/debian:trixie',
  /** The above with the Node that this repository pins, and npm. */
  node: 'localhost/signalbox-base/node:26',
  /** kubectl at /bin/kubectl and nothing else. */
  kubectl: 'localhost/signalbox-base/kubectl:1.34',
} as const;

/** Holds the namespaces of a pod. */
export const pauseImage = 'localhost/signalbox-base/pause:1';
/** CoreDNS at /bin/coredns and nothing else. */
export const dnsImage = 'localhost/signalbox-base/coredns:1.13';

/** Builds {@link baseImages} from Debian packages, the Node of this repository and the programs built from Go. */
export async function buildBases(report: Report = silent): Promise<void> {
  const { kubectl } = await ensureBinaries(report);
  const debian = await buildDebian(report);
  const files = { node: path.join(nodePackage, 'bin', 'node'), npm: await npmPackage() };
  const content = [debian.archive, await nodeVersion(), npmVersion].join();
  await buildFrom('node', baseImages.node, files, content, report);
  await buildFrom('kubectl', baseImages.kubectl, { kubectl }, kubectl, report);
}

/** Builds the Debian of {@link baseImages} alone. */
export async function buildDebian(report: Report): Promise<Image> {
  const archive = await debianArchive(report);
  return buildFrom('debian', baseImages.debian, { 'debian.tar': archive }, archive, report);
}

/** Builds the images that a cluster itself runs. */
export async function buildClusterImages({ pause, coredns }: Binaries, report: Report): Promise<Image[]> {
  return [
    await buildFrom('pause', pauseImage, { pause }, pause, report),
    await buildFrom('coredns', dnsImage, { coredns }, coredns, report),
  ];
}

/**
 * Builds one of the Dockerfiles in `images/` with a context of these files, by the name that they get there.
 * @param content changes when the files do. They are large: reading them all at every start would take a second.
 */
export async function buildFrom(
  dockerfile: string,
  tag: string,
  files: Readonly<Record<string, string>>,
  content: string,
  report: Report,
): Promise<Image> {
  const recipe = path.join(import.meta.dirname, 'images', `${dockerfile}.Dockerfile`);
  return buildOnce(tag, contentName([await readFile(recipe), content]), async (archive) => {
    const context = path.join(imagesFolder, '.context');
    await rm(context, { recursive: true, force: true }); // of a build that was killed
    await mkdir(context, { recursive: true });
    for (const [name, file] of Object.entries(files))
      await cp(file, path.join(context, name), { recursive: true });
    await buildArchive({ tag, dockerfile: recipe, context }, archive, report);
    await rm(context, { recursive: true });
  });
}

const nodePackage = path.resolve(import.meta.dirname, '../../node_modules/node');

async function nodeVersion(): Promise<string> {
  const { version }: { version: string } = JSON.parse(
    await readFile(path.join(nodePackage, 'package.json'), 'utf8'),
  );
  return version;
}

const npmVersion = '11.21.2';

/** The folder of the npm that belongs to Node 26. */
async function npmPackage(): Promise<string> {
  const place = await makeOnce(path.join(cacheRoot, 'npm', npmVersion), async (folder) => {
    await run(['npm', 'install', '--no-save', '--prefix', folder, `npm@${npmVersion}`], {
      limit: 5 * 60_000,
    });
  });
  return path.join(place, 'node_modules', 'npm');
}

const release = 'trixie';

/** A root file system of Debian, from the mirror that this machine's own packages come from. */
async function debianArchive(report: Report): Promise<string> {
  const excluded = ['/usr/share/doc/*', '/usr/share/man/*', '/usr/share/locale/*'];
  const recipe = [
    '--variant=minbase',
    ...excluded.map((files) => `--dpkgopt=path-exclude=${files}`),
    release,
  ];
  const place = path.join(cacheRoot, 'debian', contentName(recipe));
  await makeOnce(place, async (folder) => {
    const done = report('fetching the Debian packages of the base image');
    await mkdir(folder, { recursive: true });
    const argv = ['mmdebstrap', ...recipe, path.join(folder, 'debian.tar'), ...(await debianSources())];
    await run(contained(argv), { limit: 15 * 60_000, env: { TMPDIR: folder } });
    done();
  });
  return path.join(place, 'debian.tar');
}

/** Lines of a sources.list. Without any, mmdebstrap asks Debian's own servers. */
async function debianSources(): Promise<string[]> {
  const format = ['--format', '$(ORIGIN) $(LABEL) $(REPO_URI)', 'Created-By: Packages'];
  const targets = (await run(['apt-get', 'indextargets', ...format])).split('\n');
  return [...new Set(targets.flatMap(toSources))];
}

function toSources(target: string): string[] {
  const [, label, uri] = /^Debian (Debian|Debian-Security) (\S+)$/.exec(target) ?? [];
  if (label === 'Debian') return [`deb ${uri} ${release} main`, `deb ${uri} ${release}-updates main`];
  if (label === 'Debian-Security') return [`deb ${uri} ${release}-security main`];
  return [];
}
