import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import * as z from 'zod';
import { RunnerError } from './failure.ts';
import { WORKSPACE_VARIABLE } from './terraform-setup.ts';

const modules = z.object({ Modules: z.array(z.object({ Dir: z.string() })) });
const CODE = /\.(tf|tofu)(\.json)?$/;
const COMMENT = /^\s*(#|\/\/)/;
const READS = /\b(terraform|tofu)\.workspace\b/;

/**
 * The `http` backend has no workspaces: with a managed state, each workspace is a state of its own, and
 * `terraform.workspace` is `default` in all of them. Code that reads it would do the wrong thing without a word.
 *
 * @param code the folder of the code
 * @param dataDir where init has put the list of modules
 * @throws RunnerError `WorkspaceRead`
 */
export async function checkWorkspaceUse(code: string, dataDir: string): Promise<void> {
  const list = await readFile(path.join(dataDir, 'modules', 'modules.json'), 'utf8').catch(() => '');
  const parsed = modules.safeParse(list === '' ? undefined : JSON.parse(list));
  const folders = parsed.success ? parsed.data.Modules.map(({ Dir }) => Dir) : [];
  for (const folder of new Set([code, ...folders.map((folder) => path.resolve(code, folder))])) {
    const file = await fileThatReads(folder);
    if (file === undefined) continue;
    throw new RunnerError(
      'WorkspaceRead',
      `${path.relative(code, file)} reads terraform.workspace, which is "default" in every workspace of a managed state. Declare variable "${WORKSPACE_VARIABLE}" and read var.${WORKSPACE_VARIABLE} instead: Signalbox sets it.`,
    );
  }
}

async function fileThatReads(folder: string): Promise<string | undefined> {
  for (const name of await readdir(folder)) {
    if (!CODE.test(name)) continue;
    const file = path.join(folder, name);
    const lines = (await readFile(file, 'utf8')).split('\n');
    if (lines.some((line) => READS.test(line) && !COMMENT.test(line))) return file;
  }
  return undefined;
}
