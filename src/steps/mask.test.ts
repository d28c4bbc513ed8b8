import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMask, maskDeep } from './mask.ts';

test('a mask hides secrets as they are, in JSON and in URLs', () => {
  const mask = createMask(['p"ss w/rd']);
  assert.equal(mask('as p"ss w/rd, p\\"ss w/rd and p%22ss%20w%2Frd.'), 'as ***, *** and ***.');
});

test('a mask hides the longer of two secrets whole', () => {
  assert.equal(createMask(['abc', 'abcdef'])('abcdef abc'), '*** ***');
});

test('a mask of nothing changes nothing', () => {
  assert.equal(createMask([''])('text'), 'text');
});

test('a mask goes through texts, numbers and names of a JSON value', () => {
  const value = { list: ['a 1234', 1234, 12, true, null], 1234: { deep: 'x1234y' } };
  const masked = { list: ['a ***', '***', 12, true, null], '***': { deep: 'x***y' } };
  assert.deepEqual(maskDeep(value, createMask(['1234'])), masked);
});
