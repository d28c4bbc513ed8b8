import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { cacheRoot, contentName, filesUnder, makeOnce } from './cache.ts';
import { run } from './command.ts';
import { withLock } from './lock.ts';
import type { Report } from './report.ts';

/** Kubernetes release that the modules in `go/go.mod` are of. */
const version = { major: '1', minor: '34', release: 'v1.34.4' };
const programs = ['kube', 'kubectl', 'helm', 'coredns', 'pause'] as const;
const source = path.join(import.meta.dirname, 'go');
/** Programs of other projects that single tests need; each has a module of its own that pins it, in `go-tools/`. */
const tools = { versitygw: 'github.com/versity/versitygw/cmd/versitygw' } as const;
const buildLimit = 40 * 60_000;

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

/** Gives the path of a program that only some tests need, built from Go unless that has been done before. */
export async function ensureTool(tool: keyof typeof tools, report: Report): Promise<string> {
  const module = path.join(import.meta.dirname, 'go-tools', tool);
  const place = path.join(
    cacheRoot,
    'bin',
    `${tool}-${contentName([process.arch, ...(await filesUnder(module))])}`,
  );
  if (existsSync(place)) return place;
  const make = async (output: string) => {
    const done = report(`building ${tool} from Go modules`);
    await goBuild(module, tools[tool], output, '-s -w');
    done();
  };
  return withLock(`${place}.lock`, buildLimit, () => makeOnce(place, make));
}

async function build(folder: string, report: Report): Promise<void> {
  await mkdir(folder, { recursive: true });
  const stamp = 'k8s.io/component-base/version';
  const flags = [
    '-s -w',
    `-X ${stamp}.gitVersion=${version.release}`,
    `-X ${stamp}.gitMajor=${version.major}`,
    `-X ${stamp}.gitMinor=${version.minor}`,
  ].join(' ');
  for (const program of programs) {
    const done = report(`building ${program} from Go modules`);
    await goBuild(source, `./${program}`, path.join(folder, program), flags);
    done();
  }
}

/** @param target the package to build, as seen from the module */
async function goBuild(module: string, target: string, output: string, linkerFlags: string): Promise<void> {
  const options = ['-trimpath', '-buildvcs=false', '-ldflags', linkerFlags, '-o', output];
  await run(['go', '-C', module, 'build', ...options, target], {
    limit: buildLimit,
    env: { CGO_ENABLED: '0' },
  });
}
