import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { cacheRoot, contentName, filesUnder, makeOnce } from './cache.ts';
import { run } from './command.ts';
import { buildLimit, type GoProgram, goBuild } from './go-build.ts';
import { withLock } from './lock.ts';
import type { Report } from './report.ts';

/** Programs of other projects that single tests need; each has a module of its own that pins it, in `go-tools/`. */
const tools = {
  // Its own programs are modules that are not served: ours puts together what they are made of.
  'cert-manager': { target: '.' },
  gitea: {
    target: 'code.gitea.io/gitea',
    stamps: { 'main.Version': '1.26.4' },
    tags: ['sqlite', 'sqlite_unlock_notify'],
    language: 'Go and C',
  },
  // Without the stamp they call themselves a version of developers.
  opentofu: {
    target: 'github.com/opentofu/opentofu/cmd/tofu',
    stamps: { 'github.com/opentofu/opentofu/version.dev': 'no' },
  },
  terraform: {
    target: 'github.com/hashicorp/terraform',
    stamps: { 'github.com/hashicorp/terraform/version.dev': 'no' },
  },
  'terraform-provider-time': { target: 'github.com/hashicorp/terraform-provider-time' },
  versitygw: { target: 'github.com/versity/versitygw/cmd/versitygw' },
} as const satisfies Readonly<Record<string, GoProgram>>;

export type Tool = keyof typeof tools;

/** Gives the path of a program that only some tests need, built from Go unless that has been done before. */
export async function ensureTool(tool: Tool, report: Report): Promise<string> {
  const module = moduleOf(tool);
  const recipe = [process.arch, JSON.stringify(tools[tool]), ...(await filesUnder(module))];
  const place = path.join(cacheRoot, 'bin', `${tool}-${contentName(recipe)}`);
  if (existsSync(place)) return place;
  const make = async (output: string) => {
    const done = report(`building ${tool} from Go modules`);
    await goBuild(module, tools[tool], output);
    done();
  };
  return withLock(`${place}.lock`, buildLimit, () => makeOnce(place, make));
}

/** Builds all of them that are missing, so that no test has to wait for it. */
export async function ensureTools(report: Report): Promise<void> {
  for (const tool of Object.keys(tools) as Tool[]) await ensureTool(tool, report);
}

/** Gives the folder with the definitions of cert-manager's resources. */
export async function certManagerCrds(): Promise<string> {
  return path.join(await sourceOf('cert-manager', 'github.com/cert-manager/cert-manager'), 'deploy/crds');
}

/** Gives a folder with what Gitea reads besides its program: `templates`, `options` and `public`. */
export async function giteaFiles(): Promise<string> {
  const module = moduleOf('gitea');
  const place = path.join(cacheRoot, 'gitea', contentName(await filesUnder(module)));
  return withLock(`${place}.lock`, copyLimit, () =>
    makeOnce(place, async (folder) => {
      const source = await sourceOf('gitea', tools.gitea.target);
      await mkdir(folder);
      const parts = ['templates', 'options', 'public'].map((part) => path.join(source, part));
      // Go keeps modules read-only, and what is copied has to be removed again one day.
      await run(['cp', '--recursive', '--no-preserve=mode', ...parts, folder]);
    }),
  );
}

/** The folder that Go keeps a module in which a tool is made of. */
async function sourceOf(tool: Tool, module: string): Promise<string> {
  const download = ['go', '-C', moduleOf(tool), 'mod', 'download', '-json', module];
  const { Dir: source }: { Dir: string } = JSON.parse(await run(download, { limit: copyLimit }));
  return source;
}

const copyLimit = 5 * 60_000;

const moduleOf = (tool: Tool) => path.join(import.meta.dirname, 'go-tools', tool);
