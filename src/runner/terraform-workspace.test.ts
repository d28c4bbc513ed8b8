import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { checkWorkspaceUse } from './terraform-workspace.ts';

const root = await mkdtemp(path.join(tmpdir(), 'signalbox-workspace-'));
after(() => rm(root, { recursive: true }));

/** Checks code that has these files, with its modules where init has put them. */
async function check(files: Record<string, string>, modules: string[] = []): Promise<void> {
  const code = await mkdtemp(path.join(root, 'code-'));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(code, name)), { recursive: true });
    await writeFile(path.join(code, name), text);
  }
  const list = { Modules: modules.map((Dir) => ({ Key: Dir, Source: Dir, Dir })) };
  await mkdir(path.join(code, '.data', 'modules'), { recursive: true });
  await writeFile(path.join(code, '.data', 'modules', 'modules.json'), JSON.stringify(list));
  await checkWorkspaceUse(code, path.join(code, '.data'));
}

describe('code that is to work in a workspace of a managed state', () => {
  const reading: Record<string, string> = {
    'main.tf': 'locals { a = terraform.workspace }',
    'main.tofu': 'locals { a = "x-${tofu.workspace}" }',
    'main.tf.json': '{"locals": {"a": "${terraform.workspace}"}}',
  };
  for (const [name, text] of Object.entries(reading)) {
    test(`is refused when it reads the workspace in ${name}`, async () => {
      await assert.rejects(check({ [name]: text }), {
        reason: 'WorkspaceRead',
        message: new RegExp(`^${name} reads`),
      });
    });
  }

  test('is refused when a module of it does', async () => {
    const files = { 'main.tf': '', 'm/n/x.tf': 'locals { a = terraform.workspace }' };
    await check(files, ['.']);
    await assert.rejects(check(files, ['.', 'm/n']), { message: /^m\/n\/x\.tf reads/ });
  });

  test('may speak of it in comments, other files and longer names', async () => {
    await check({
      'main.tf': '# terraform.workspace\n  // terraform.workspace\nlocals { a = var.terraform_workspace }',
      'README.md': 'terraform.workspace',
    });
  });
});
