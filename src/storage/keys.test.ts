import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { KeyError, openKeys } from './keys.ts';

async function folderOf(t: TestContext, files: Record<string, Buffer | string>): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'keys-'));
  t.after(() => rm(folder, { recursive: true }));
  for (const [name, content] of Object.entries(files)) await writeFile(path.join(folder, name), content);
  return folder;
}

const fail = (error: unknown) => assert.ifError(error);

test('keys are raw or in base64, and the last one by name is the one to write with', async (t) => {
  const [first, second] = [randomBytes(32), randomBytes(32)];
  const folder = await folderOf(t, { '2026-02': `${second.toString('base64')}\n`, '2026-01': first });
  await mkdir(path.join(folder, '..data'));
  const { all, write } = (await openKeys({ folder, onError: fail })).ring();
  assert.deepEqual(all, [
    { id: '2026-01', secret: first },
    { id: '2026-02', secret: second },
  ]);
  assert.equal(write.id, '2026-02');
  const named = await openKeys({ folder, writeKey: '2026-01', onError: fail });
  assert.equal(named.ring().write.id, '2026-01');
});

test('what is no key is refused with the name of the file', async (t) => {
  const cases: [Record<string, Buffer | string>, RegExp][] = [
    [{}, /holds no key: put a file of 32 random bytes/],
    [{ short: randomBytes(31) }, /the key .*\/short is not 32 bytes/],
    [{ password: 'correct horse battery staple correct horse x' }, /the key .*\/password is not 32 bytes/],
  ];
  for (const [files, message] of cases) {
    const folder = await folderOf(t, files);
    await assert.rejects(
      openKeys({ folder, onError: fail }),
      (error) => error instanceof KeyError && message.test(error.message),
    );
  }
  const folder = await folderOf(t, { a: randomBytes(32) });
  await assert.rejects(
    openKeys({ folder, writeKey: 'b', onError: fail }),
    /"b" to write with is not among .*: a/,
  );
  await assert.rejects(openKeys({ folder: `${folder}/none`, onError: fail }), /cannot be read: .*ENOENT/);
});

test('a new key is seen when the folder is read again, and a bad one changes nothing', async (t) => {
  const folder = await folderOf(t, { a: randomBytes(32) });
  const keys = await openKeys({ folder, onError: fail });
  await writeFile(path.join(folder, 'b'), randomBytes(32));
  assert.equal((await keys.refresh()).write.id, 'b');
  await writeFile(path.join(folder, 'c'), 'no key');
  await assert.rejects(keys.refresh(), KeyError);
  assert.equal(keys.ring().write.id, 'b');
});
