import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { before, test } from 'node:test';
import * as z from 'zod';
import { packageJson } from '../../deploy/lockfile-problems.ts';
import type { Bill } from '../../deploy/sbom/bill.ts';
import { cycloneDxErrors } from '../kit/cyclonedx.ts';
import { bundle } from '../kit/operator-process.ts';

const root = path.resolve(import.meta.dirname, '../..');
const textOf = (name: string) => readFile(path.join(root, `dist/${name}.cdx.json`), 'utf8');
const billOf = async (name: string) => JSON.parse(await textOf(name)) as Bill;

before(bundle);

/** The packages that our code imports, but for types alone. */
async function importedBySource(): Promise<Set<string>> {
  const files = globSync('src/**/*.ts', { cwd: root });
  const code = files.filter((file) => !file.endsWith('.test.ts'));
  const texts = await Promise.all(code.map((file) => readFile(path.join(root, file), 'utf8')));
  const imports = texts.flatMap((one) => [
    ...one.matchAll(/^import (?!type )[^']*'((?:@[^/']+\/)?[^./'][^/']*)/gm),
  ]);
  return new Set(imports.flatMap(([, name = '']) => (name.startsWith('node:') ? [] : [name])));
}

test('the build writes a bill of materials beside each bundle, which the validator of CycloneDX accepts', async () => {
  for (const name of ['main', 'runner']) {
    const text = await textOf(name);
    assert.equal(await cycloneDxErrors(text), null);
    // The validator finds fault where there is some.
    assert.notEqual(await cycloneDxErrors(text.replace('"type": "library"', '"type": "thing"')), null);
  }
});

test('the bill of the operator has what it depends on, in the version that is installed, and no tools of the build', async () => {
  const { components } = await billOf('main');
  const listed = new Map(
    components.map(({ group, name, version }) => [group ? `${group}/${name}` : name, version]),
  );
  const { dependencies, devDependencies } = packageJson.parse(
    JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8')),
  );
  const sources = await importedBySource();
  const imported = Object.keys(dependencies).filter((name) => sources.has(name));
  assert.ok(imported.length >= 5);
  for (const name of imported) {
    const file = path.join(root, 'node_modules', name, 'package.json');
    const { version } = z.object({ version: z.string() }).parse(JSON.parse(await readFile(file, 'utf8')));
    assert.equal(listed.get(name), version, name);
  }
  for (const name of Object.keys(devDependencies)) assert.ok(!listed.has(name), name);
  for (const { hashes } of components) assert.equal(hashes?.[0]?.content.length, 128);
});

test('the bill of the runner is that of its bundle alone', async () => {
  const { components } = await billOf('runner');
  assert.deepEqual(
    components.map(({ name }) => name),
    ['zod'],
  );
});
