import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contextFilter } from './ignore-file.ts';

function kept(ignoreFile: string, files: readonly string[]): string[] {
  const isPart = contextFilter(ignoreFile);
  return files.filter((file) => isPart(file, false));
}

test('keeps everything without rules', () => {
  assert.deepEqual(kept('', ['a', 'b/c']), ['a', 'b/c']);
});

test('a rule covers a file, a pattern, and all that is below a folder', () => {
  const rules = '# comment\nnode_modules\n*.log\n/dist/\n**/*.tmp\n';
  const files = ['node_modules/a/b', 'x.log', 'deep/x.log', 'dist/x', 'deep/x.tmp', 'src/a.ts'];
  assert.deepEqual(kept(rules, files), ['deep/x.log', 'src/a.ts']);
});

test('the last rule that matches decides', () => {
  assert.deepEqual(kept('*\n!src\nsrc/secret', ['src/a.ts', 'src/secret', 'other']), ['src/a.ts']);
});

test('looks into an ignored folder only when an exception may lie in it', () => {
  const isPart = contextFilter('*\n!src/api');
  assert.equal(isPart('src', true), true);
  assert.equal(isPart('node_modules', true), false);
});
