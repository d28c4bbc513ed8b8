import assert from 'node:assert/strict';
import { test } from 'node:test';
import { packagesOf } from './npm-packages.ts';

const integrity = `sha512-${Buffer.from('digest').toString('base64')}`;
const locked = {
  name: 'x',
  version: '1.0.0',
  lockfileVersion: 3 as const,
  packages: {
    'node_modules/a': { version: '1.0.0', license: 'MIT', integrity },
    'node_modules/@b/c': { version: '2.0.0' },
    'node_modules/a/node_modules/d': { version: '3.0.0' },
    'node_modules/unused': { version: '9.0.0' },
  },
};
const purls = (files: string[]) => packagesOf(files, locked).map(({ purl }) => purl);

test('the files of a package are one package, and our own are none', () => {
  assert.deepEqual(purls(['src/main.ts', 'node_modules/a/lib/x.js', 'node_modules/a/y.js']), [
    'pkg:npm/a@1.0.0',
  ]);
});

test('a package of a scope, one inside another, and one in a folder somewhere else are found', () => {
  assert.deepEqual(purls(['node_modules/@b/c/x.js', '../../main/node_modules/a/node_modules/d/index.js']), [
    'pkg:npm/%40b/c@2.0.0',
    'pkg:npm/d@3.0.0',
  ]);
});

test('a package is listed with its license and the digest that npm checks', () => {
  assert.deepEqual(packagesOf(['node_modules/a/x.js'], locked), [
    {
      type: 'library',
      'bom-ref': 'pkg:npm/a@1.0.0',
      name: 'a',
      version: '1.0.0',
      purl: 'pkg:npm/a@1.0.0',
      licenses: [{ expression: 'MIT' }],
      hashes: [{ alg: 'SHA-512', content: Buffer.from('digest').toString('hex') }],
    },
  ]);
});

test('a package that the lockfile does not know is an error', () => {
  assert.throws(
    () => purls(['node_modules/e/x.js']),
    /does not say what node_modules\/e is: run npm install/,
  );
});
