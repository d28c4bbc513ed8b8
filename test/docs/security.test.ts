import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

const root = path.resolve(import.meta.dirname, '../..');
const read = (file: string) => readFileSync(path.join(root, file), 'utf8');

interface Named {
  file: string;
  titles: string[];
}

/** The tests that a text names: a file, and titles behind it. */
function testsIn(text: string): Named[] {
  const named = text.matchAll(/`([\w/.-]+(?:\.test\.ts|attacks\.md))`((?:[;,]? "[^"]+")*)/g);
  return [...named].map(([, file = '', titles = '']) => ({
    file,
    titles: [...titles.matchAll(/"([^"]+)"/g)].map(([, title = '']) => title),
  }));
}

/** What a file calls its tests; of a page of attacks, the attacks. */
function titlesOf(file: string): Set<string> {
  const text = read(file);
  const found = file.endsWith('.md')
    ? text.matchAll(/^\| ()(.+?) \|/gm)
    : text.matchAll(/\b(?:test|suite|describe)\(\s*(['"`])((?:\\.|(?!\1).)*)\1/gs);
  return new Set([...found].map(([, , title = '']) => title));
}

const page = read('docs/security.md');
const claims = page.slice(page.indexOf('\n## Claims\n'), page.indexOf('\n## What is not claimed\n'));

test('every test that docs/security.md names is there', () => {
  const missing = testsIn(page).flatMap(({ file, titles }) => {
    if (!existsSync(path.join(root, file))) return [file];
    const known = titlesOf(file);
    return titles.filter((title) => !known.has(title)).map((title) => `${file}: ${title}`);
  });
  assert.deepEqual(missing, []);
});

test('every claim of docs/security.md names a test, by its title', () => {
  const all = claims.split(/^- (?=\*\*)/m).slice(1);
  assert.ok(all.length > 20);
  const bare = all.filter((claim) => !testsIn(claim).some(({ titles }) => titles.length > 0));
  assert.deepEqual(
    bare.map((claim) => claim.slice(0, 100)),
    [],
  );
});

test('what these tests look for would be missed', () => {
  const [named] = testsIn('See `src/a.test.ts` "one"; "two". And "three".');
  assert.deepEqual(named, { file: 'src/a.test.ts', titles: ['one', 'two'] });
  const own = titlesOf('test/docs/security.test.ts');
  assert.ok(own.has('every test that docs/security.md names is there'));
  assert.ok(!own.has('a title that no test has'));
});
