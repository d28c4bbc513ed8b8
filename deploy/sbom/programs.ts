import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { type Component, generic } from './bill.ts';

const run = promisify(execFile);
const LIMIT_MS = 30_000;
/** Terraform asks its maker for newer versions otherwise. */
const QUIET = { CHECKPOINT_DISABLE: '1' };

/** What Node counts among its versions and is no software. */
const NUMBERS = new Set(['node', 'modules', 'napi']);

/** Programs that come from no Debian package, and how each tells its version. */
const PROGRAMS: Record<string, (file: string) => Promise<Component>> = {
  node: async (file) => {
    const versions = JSON.parse(await said(file, ['-p', 'JSON.stringify(process.versions)'])) as Record<
      string,
      string
    >;
    const inside = Object.entries(versions).filter(([name, version]) => version !== '' && !NUMBERS.has(name));
    return {
      ...generic('node', versions['node'] ?? '', 'application'),
      components: inside.map(([name, version]) => within('node', generic(name, version))),
    };
  },
  tofu: async (file) => goProgram('github.com/opentofu/opentofu', await engineVersion(file)),
  terraform: async (file) => goProgram('github.com/hashicorp/terraform', await engineVersion(file)),
  kubectl: async (file) => {
    const told = JSON.parse(await said(file, ['version', '--client', '--output=json'])) as {
      clientVersion: { gitVersion: string };
    };
    return goProgram('k8s.io/kubectl', told.clientVersion.gitVersion.replace(/^v/, ''));
  },
};

/**
 * The programs in a folder.
 *
 * @throws Error for one that it does not know: else it would be in the image and not in its bill
 */
export async function programsIn(folder: string): Promise<Component[]> {
  const names = existsSync(folder) ? await readdir(folder) : [];
  // Nothing is asked before it is known that everything can be.
  const known = names.toSorted().map((name) => ({ file: path.join(folder, name), tell: tellerOf(name) }));
  return Promise.all(known.map(({ file, tell }) => tell(file)));
}

function tellerOf(name: string): (file: string) => Promise<Component> {
  const tell = PROGRAMS[name];
  if (tell) return tell;
  throw new Error(`nobody knows how to ask ${name} for its version: add it to deploy/sbom/programs.ts`);
}

async function engineVersion(file: string): Promise<string> {
  const told = JSON.parse(await said(file, ['version', '-json'])) as { terraform_version: string };
  return told.terraform_version;
}

async function said(file: string, args: readonly string[]): Promise<string> {
  return (await run(file, args, { timeout: LIMIT_MS, env: QUIET })).stdout;
}

function goProgram(module: string, version: string): Component {
  const purl = `pkg:golang/${module}@v${version}`;
  return { type: 'application', 'bom-ref': purl, name: path.basename(module), version, purl };
}

/** References must be of one part each: Node and our own bundle may both hold a library of one name and version. */
const within = (whole: string, part: Component): Component => ({
  ...part,
  'bom-ref': `${whole}/${part['bom-ref']}`,
});
