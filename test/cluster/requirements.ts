import { existsSync } from 'node:fs';
import path from 'node:path';
import { binariesAreBuilt, ensureBinaries } from './binaries.ts';
import { contained, run } from './command.ts';
import type { Report } from './report.ts';

interface Requirement {
  /** Absolute path, or name of a program to be found on the PATH. */
  readonly program: string;
  /** The Debian package that has it. */
  readonly package: string;
}

const always: readonly Requirement[] = [
  { program: 'openssl', package: 'openssl' },
  { program: 'flock', package: 'util-linux' },
  { program: 'setpriv', package: 'util-linux' },
];

const forNodes: readonly Requirement[] = [
  { program: 'containerd', package: 'containerd' },
  { program: 'runc', package: 'runc' },
  { program: '/usr/lib/cni/ptp', package: 'containernetworking-plugins' },
  { program: 'nft', package: 'nftables' },
  { program: 'ip', package: 'iproute2' },
  { program: 'mount', package: 'mount' },
  { program: 'buildah', package: 'buildah' },
  { program: 'mmdebstrap', package: 'mmdebstrap' },
];

/** What single tests and the tools that they build need, on top of a cluster with nodes. */
const forTests: readonly Requirement[] = [
  { program: 'gcc', package: 'gcc' },
  { program: '/usr/include/stdlib.h', package: 'libc6-dev' },
  { program: 'git', package: 'git' },
  { program: 'ssh-keygen', package: 'openssh-client' },
];

/** @throws Error that says all that is missing on this machine for such a cluster, and how to get it. */
export async function assertPossible(controlPlane: boolean): Promise<void> {
  const problems = [
    ...missingPackages(controlPlane),
    ...(await missingRights(controlPlane)),
    ...(await missingGo()),
  ];
  if (problems.length === 0) return;
  const ownCluster =
    'Or use a cluster that you have: set KUBECONFIG to its kubeconfig and install the chart there.';
  throw new Error(['The local cluster can not start.', ...problems, ownCluster].join('\n  '));
}

function missingPackages(controlPlane: boolean): string[] {
  const packages = missingOf(controlPlane ? always : [...always, ...forNodes]);
  if (packages.length === 0) return [];
  return [
    `Missing programs. As root: apt-get install ${packages.join(' ')}, or let the \`prepare\` command do it.`,
  ];
}

async function missingRights(controlPlane: boolean): Promise<string[]> {
  if (controlPlane) return [];
  if (!findProgram('setpriv')) return []; // reported as missing
  if (!isRoot()) return ['A node that runs containers needs root. Run this as root, or use --control-plane.'];
  try {
    await run(contained(['true']));
    return [];
  } catch (error) {
    return [
      `Root may not make mounts and processes of its own here, as in an unprivileged container. ${String(error)}`,
    ];
  }
}

async function missingGo(): Promise<string[]> {
  if (findProgram('go') || (await binariesAreBuilt())) return [];
  return [
    'Go is missing, which Kubernetes is built with. Get the version that test/cluster/go/go.mod names from go.dev.',
  ];
}

/** Installs what can be installed and builds the programs, so that `up` only has to start them. */
export async function prepare(report: Report): Promise<void> {
  if (isRoot()) await installMissing([...always, ...forNodes], report);
  await assertPossible(!isRoot());
  await ensureBinaries(report);
}

/** Does what {@link prepare} does for all tests, of which some need more than a cluster does. */
export async function prepareTests(report: Report): Promise<void> {
  if (isRoot()) await installMissing([...always, ...forNodes, ...forTests], report);
  await prepare(report);
}

async function installMissing(needed: readonly Requirement[], report: Report): Promise<void> {
  const packages = missingOf(needed);
  if (packages.length > 0) await install(packages, report);
}

async function install(packages: readonly string[], report: Report): Promise<void> {
  const done = report(`installing ${packages.join(', ')}`);
  const options = { limit: 15 * 60_000, env: { DEBIAN_FRONTEND: 'noninteractive' } };
  await run(['apt-get', 'update', '--quiet'], options);
  await run(['apt-get', 'install', '--yes', '--quiet', '--no-install-recommends', ...packages], options);
  done();
}

function missingOf(needed: readonly Requirement[]): string[] {
  const missing = needed.filter(({ program }) => !findProgram(program));
  return [...new Set(missing.map((requirement) => requirement.package))];
}

function findProgram(program: string): boolean {
  if (path.isAbsolute(program)) return existsSync(program);
  const folders = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/sbin'];
  return folders.some((folder) => existsSync(path.join(folder, program)));
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}
