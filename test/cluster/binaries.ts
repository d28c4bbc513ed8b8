import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { cacheRoot, contentName, filesUnder, makeOnce } from './cache.ts';
import { buildLimit, goBuild } from './go-build.ts';
import { withLock } from './lock.ts';
import type { Report } from './report.ts';

/** Kubernetes release that the modules in `go/go.mod` are of. */
const version = { major: '1', minor: '34', release: 'v1.34.4' };
const programs = ['kube', 'kubectl', 'helm', 'coredns', 'pause'] as const;
const source = path.join(import.meta.dirname, 'go');

/** Paths of the programs built from Go. */
export type Binaries = Readonly<Record<(typeof programs)[number], string>>;

/** Where the programs of this source are, or will be once they are built. */
async function placeOfBinaries(): Promise<string> {
  return path.join(cacheRoot, 'bin', contentName([process.arch, ...(await filesUnder(source))]));
}

/** Whether a start would have to build the programs first. */
export async function binariesAreBuilt(): Promise<boolean> {
  return existsSync(await placeOfBinaries());
}

/** Builds the programs from Go unless that has been done before: minutes the first time, milliseconds after. */
export async function ensureBinaries(report: Report): Promise<Binaries> {
  const place = await placeOfBinaries();
  if (!existsSync(place)) {
    await withLock(`${place}.lock`, buildLimit, () => makeOnce(place, (folder) => build(folder, report)));
  }
  const paths = programs.map((program) => [program, path.join(place, program)] as const);
  // Object.fromEntries forgets which keys it was given.
  return Object.fromEntries(paths) as unknown as Binaries;
}

async function build(folder: string, report: Report): Promise<void> {
  await mkdir(folder, { recursive: true });
  const component = 'k8s.io/component-base/version';
  const stamps = {
    [`${component}.gitVersion`]: version.release,
    [`${component}.gitMajor`]: version.major,
    [`${component}.gitMinor`]: version.minor,
  };
  for (const program of programs) {
    const done = report(`building ${program} from Go modules`);
    await goBuild(source, { target: `./${program}`, stamps }, path.join(folder, program));
    done();
  }
}
