import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMask, maskDeep } from './mask.ts';

test('a mask hides secrets as they are, in JSON and in URLs', () => {
  const mask = createMask(['p"ss w/rd']);
  assert.equal(mask('as p"ss w/rd, p\\"ss w/rd and p%22ss%20w%2Frd.'), 'as ***, *** and ***.');
});

test('a mask hides secrets as servers encode them', () => {
  const mask = createMask(['p"ss <w>rd']);
  const basic = Buffer.from('user:p"ss <w>rd').toString('base64');
  assert.match(mask(`Basic ${basic}.`), /^Basic [A-Za-z0-9]+\*\*\*[A-Za-z0-9=]*\.$/);
  assert.doesNotMatch(mask(basic), new RegExp(basic.slice(8, 16)));
  assert.equal(mask('<p>p&quot;ss &lt;w&gt;rd</p>'), '<p>***</p>');
  assert.equal(mask('{"e": "p\\"ss \\u003cw\\u003erd"}'), '{"e": "***"}');
  assert.equal(mask(Buffer.from('p"ss <w>rd').toString('hex')), '***');
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
