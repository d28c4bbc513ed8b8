import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { checks, parseDuration } from './common.ts';

const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;

test('a duration is the sum of its parts, in milliseconds', () => {
  const examples = {
    '250ms': 250,
    '30s': 30_000,
    '5m': 300_000,
    '1h30m': 5_400_000,
    '1m1m': 120_000,
    '0s': 0,
  };
  for (const [text, milliseconds] of Object.entries(examples)) {
    assert.equal(parseDuration(text), milliseconds, text);
  }
  const part = fc.tuple(fc.nat({ max: 10_000 }), fc.constantFrom('ms', 's', 'm', 'h'));
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), (parts) => {
      const text = parts.map(([count, unit]) => `${count}${unit}`).join('');
      const sum = parts.reduce((total, [count, unit]) => total + count * units[unit], 0);
      return parseDuration(text) === sum;
    }),
  );
});

test('what is no duration is an error that shows it', () => {
  for (const text of ['', '5', 's', '-5m', '1.5h', '5 m', '1d', '5M', ' 5m', '5m\n', '1h 30m', '٣m']) {
    assert.throws(() => parseDuration(text), {
      name: 'RangeError',
      message: `"${text}" is not a duration such as 30s, 5m or 1h30m`,
    });
  }
});

test('a check with a culprit prints it in quotes before the message', () => {
  const check = { rule: "self != ''", message: 'must "not" be empty' };
  assert.deepEqual(checks(check, { ...check, culprit: 'self' }), {
    'x-kubernetes-validations': [
      check,
      { ...check, messageExpression: `'"' + self + "\\" must \\"not\\" be empty"` },
    ],
  });
});
