import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lastWordsOf } from './last-words.ts';

test('what a process ended of is what it printed, whatever it logged before and after', () => {
  const error = 'Error: the lease was lost\n    at lead (main.ts:1:1)';
  const late = `{"msg":"reconcile failed","err":"${'x'.repeat(4000)}"}\n`;
  const written = `{"msg":"watch interrupted","err":"no answer from the API server"}\n${error}\n${late}`;
  assert.equal(lastWordsOf(written), error);
});

test('a process that printed nothing is told by the end of its log', () => {
  assert.equal(lastWordsOf(`${'x'.repeat(3000)}{"msg":"ready"}\n`).length, 2000);
  assert.match(lastWordsOf('{"msg":"ready"}\n'), /ready/);
});
