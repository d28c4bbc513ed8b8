import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { lineSplitter } from './lines.ts';

/** The lines that come out when the bytes arrive in pieces of these sizes, over and over. */
function linesOf(bytes: Buffer, sizes: number[]): string[] {
  const lines: string[] = [];
  const split = lineSplitter((line) => lines.push(line));
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1;
    split(bytes.subarray(at, at + size));
    at += size;
  }
  return lines;
}

test('the lines are the same however the bytes were cut, also within a character', () => {
  const line = fc.string({ unit: 'grapheme', minLength: 1 }).map((text) => text.replaceAll('\n', 'ü') || 'x');
  fc.assert(
    fc.property(
      fc.array(line),
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
      (lines, sizes) => {
        const bytes = Buffer.from(lines.map((text) => `${text}\n`).join(''));
        assert.deepEqual(
          linesOf(bytes, sizes),
          Buffer.from(lines.join('\n')).toString().split('\n').filter(Boolean),
        );
      },
    ),
  );
});

test('what has no end yet is not a line', () => {
  assert.deepEqual(linesOf(Buffer.from('whole\nhal'), [100]), ['whole']);
  assert.deepEqual(linesOf(Buffer.from('whole\nhal'), [2]), ['whole']);
});

test('empty lines are nothing', () => {
  assert.deepEqual(linesOf(Buffer.from('\n\na\n\n'), [1]), ['a']);
});
