import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { startFakeNpmRegistry } from '../test/kit/fake-npm-registry.ts';

const LIMIT_MS = 90_000;

/** Runs the audit, and gives its exit code and what it said. */
async function audit(registry: string): Promise<{ code: number; said: string }> {
  const program = path.join(import.meta.dirname, 'audit.ts');
  return promisify(execFile)(process.execPath, [program, `--registry=${registry}`], {
    timeout: LIMIT_MS,
  }).then(
    ({ stdout, stderr }) => ({ code: 0, said: stdout + stderr }),
    ({ code, stdout, stderr }: { code: number; stdout: string; stderr: string }) => ({
      code,
      said: stdout + stderr,
    }),
  );
}

test('packages that nobody has anything to say about pass, and all of them are asked about', async () => {
  await using registry = await startFakeNpmRegistry({});
  const { code, said } = await audit(registry.url);
  assert.equal(code, 0, said);
  assert.match(said, /^audited: no advisory about any of \d+ packages/);
  const names = Object.keys(registry.asked[0] ?? {});
  for (const name of ['undici', 'zod', 'esbuild', '@kubernetes/client-node'])
    assert.ok(names.includes(name), name);
});

test('an advisory about a package fails, and is named with what is behind it', async () => {
  const advisory = { id: 1, url: 'https://example.com/1', title: 'It leaks', vulnerable_versions: '<99.0.0' };
  await using registry = await startFakeNpmRegistry({ undici: [{ ...advisory, severity: 'low' }] });
  const { code, said } = await audit(registry.url);
  assert.equal(code, 1);
  assert.match(said, /undici .*node_modules\/undici.*: low: It leaks, https:\/\/example\.com\/1/);
});

test('an advisory about other versions passes', async () => {
  const advisory = { id: 1, url: 'https://example.com/1', title: 'It leaked', vulnerable_versions: '<0.0.1' };
  await using registry = await startFakeNpmRegistry({ undici: [{ ...advisory, severity: 'critical' }] });
  const { code, said } = await audit(registry.url);
  assert.equal(code, 0, said);
});

test('a registry that knows nothing of audits is no failure, and it is said', async () => {
  for (const status of [404, 405, 501]) {
    await using registry = await startFakeNpmRegistry(status);
    const { code, said } = await audit(registry.url);
    assert.equal(code, 0, said);
    assert.match(said, new RegExp(`^not audited: ${status} `));
  }
});

test('without a registry that answers nothing is audited, and it is said', async () => {
  const { url } = await startFakeNpmRegistry(405).then(async (registry) => {
    await registry[Symbol.asyncDispose]();
    return registry;
  });
  const { code, said } = await audit(url);
  assert.equal(code, 0, said);
  assert.match(said, /^not audited: .*ECONNREFUSED/);
});

test('a registry that fails, or lets us not in, fails the audit', async () => {
  for (const status of [401, 500]) {
    await using registry = await startFakeNpmRegistry(status);
    const { code, said } = await audit(registry.url);
    assert.equal(code, 1);
    assert.match(said, new RegExp(`^The audit failed: ${status} `));
  }
});
