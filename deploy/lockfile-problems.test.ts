import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lockfileProblems } from './lockfile-problems.ts';

const asked = { dependencies: { a: '1.2.3' }, devDependencies: { b: '0.1.0-rc.1' } };
const good = { version: '1.2.3', integrity: 'sha512-AAAA' };
const locked = (packages: object, root: object = asked) => ({
  name: 'x',
  version: '1.0.0',
  lockfileVersion: 3 as const,
  packages: { '': root, ...packages },
});

test('a lockfile that pins every package by version and content has no problem', () => {
  const from = 'https://registry.npmjs.org/a/-/a-1.2.3.tgz';
  assert.deepEqual(lockfileProblems(asked, locked({ 'node_modules/a': { ...good, resolved: from } })), []);
});

const bad: [string, object, RegExp][] = [
  ['without the digest of its content', { version: '1.2.3' }, /node_modules\/a has no SHA-512/],
  ['with a weak digest', { ...good, integrity: 'sha1-AAAA' }, /has no SHA-512/],
  [
    'from another registry',
    { ...good, resolved: 'https://evil.example.com/a.tgz' },
    /comes from https:\/\/evil/,
  ],
  ['from git', { ...good, resolved: 'git+ssh://git@github.com/a/a.git#1' }, /comes from git\+ssh/],
  ['that is a folder', { link: true }, /is a folder of this machine/],
  ['that is no release', { ...good, version: 'file:a' }, /has the version "file:a"/],
  ['that runs code at its install', { ...good, hasInstallScript: true }, /runs code when it is installed/],
];
for (const [title, found, problem] of bad) {
  test(`a package ${title} is a problem`, () => {
    const problems = lockfileProblems(asked, locked({ 'node_modules/a': found }));
    assert.equal(problems.length, 1);
    assert.match(problems[0] ?? '', problem);
  });
}

test('a dependency that is a range, a tag or an address is a problem', () => {
  for (const version of ['^1.2.3', '1.x', 'latest', 'github:a/a', 'https://example.com/a.tgz', '']) {
    const wanted = { dependencies: { a: version }, devDependencies: {} };
    const problems = lockfileProblems(wanted, locked({}, wanted));
    assert.match(problems.join('\n'), /package\.json: a is ".*": name one version/);
  }
});

test('a dependency that the lockfile does not know is a problem', () => {
  const problems = lockfileProblems(asked, locked({}, { dependencies: { a: '1.2.4' } }));
  assert.deepEqual(problems, [
    'package-lock.json: a is not the one of package.json: run npm install',
    'package-lock.json: b is not the one of package.json: run npm install',
  ]);
});
