import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseOutputs } from './outputs.ts';

const values = (text: string) => {
  const outputs = parseOutputs(text);
  assert.ok(outputs.ok, JSON.stringify(outputs));
  return outputs.values;
};

test('nothing written is no outputs', () => assert.deepEqual(values(''), {}));

test('lines are strings, and the last line of a key counts', () =>
  assert.deepEqual(values('a=1\n\nb=x=y\r\na=2\n'), { a: '2', b: 'x=y' }));

test('JSON keeps its types', () => assert.deepEqual(values(' {"a": 1, "b": [true]}\n'), { a: 1, b: [true] }));

test('what cannot be read is named', () => {
  const cases: [string, string, RegExp][] = [
    ['no equals sign', 'InvalidOutput', /Line 1 .*"no equals sign"/],
    ['a=1\n=x', 'InvalidOutput', /Line 2/],
    ['{"a": ', 'InvalidOutput', /not JSON/],
    ['a-b=1', 'InvalidOutput', /"a-b"/],
    ['{"": 1}', 'InvalidOutput', /""/],
    [`a=${'x'.repeat(4094)}`, 'OutputTooLarge', /4096 bytes/],
    [`a=${'ü'.repeat(2047)}`, 'OutputTooLarge', /4096 bytes/],
  ];
  for (const [text, reason, message] of cases) {
    const outputs = parseOutputs(text);
    assert.ok(!outputs.ok, text.slice(0, 20));
    assert.equal(outputs.reason, reason);
    assert.match(outputs.message, message);
  }
});

test('one byte below the limit is taken', () =>
  assert.deepEqual(values(`a=${'x'.repeat(4093)}`), { a: 'x'.repeat(4093) }));
