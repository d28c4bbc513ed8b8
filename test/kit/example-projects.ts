import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { Project, Workflow } from '../../src/api/resources.ts';
import { examples } from './examples.ts';
import type { Kit } from './kit.ts';

/** The files of a folder of an example, by their paths in the repository that they belong to. */
export async function codeOf(
  example: string,
  folder: 'terraform' | 'code' = 'terraform',
): Promise<Record<string, string>> {
  const top = path.join(examples, example);
  const entries = await readdir(path.join(top, folder), { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => path.join(parentPath, name));
  const texts = files.map(async (file) => [path.relative(top, file), await readFile(file, 'utf8')] as const);
  return Object.fromEntries(await Promise.all(texts));
}

/** Applies `deploy/examples/<example>/workflow.yaml` with its Projects changed, as people change them to theirs. */
export async function applyProjects(
  kit: Kit,
  example: string,
  changed: (project: Project) => Project,
): Promise<void> {
  const text = await readFile(path.join(examples, example, 'workflow.yaml'), 'utf8');
  for (const document of parseAllDocuments(text)) {
    const object = document.toJS() as Project | Workflow;
    await kit.apply(object.kind === 'Project' ? changed(object) : object);
  }
}
