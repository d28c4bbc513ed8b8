import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCron } from './cron.ts';

function fields(text: string) {
  const parsed = parseCron(text);
  assert.ok(parsed.ok, parsed.ok ? '' : parsed.message);
  const { minutes, hours, days, months, weekdays } = parsed.cron;
  const numbers = (set: Iterable<number>) => [...set].join(' ');
  return [minutes, hours, days, months, weekdays].map(numbers);
}

test('numbers, ranges, steps, lists and names', () => {
  assert.deepEqual(
    fields('5,1-3 */6 10-20/5 feb,DEC mon-fri/2').join(' | '),
    ['1 2 3 5', '0 6 12 18', '10 15 20', '2 12', '1 3 5'].join(' | '),
  );
  assert.equal(fields('50/5 * * * *')[0], '50 55');
  assert.equal(fields('  0\t3   * * * ')[1], '3');
});

test('Sunday is 0 and 7', () => {
  assert.equal(fields('0 0 * * 7')[4], '0');
  assert.equal(fields('0 0 * * 5-7')[4], '5 6 0');
  assert.equal(fields('0 0 * * *')[4], '0 1 2 3 4 5 6');
  assert.equal(fields('0 0 * * 1/2')[4], '1 3 5');
});

for (const [text, message] of [
  ['', /must have five fields .* has none$/],
  ['* * * *', /has 4$/],
  ['0 0 3 * * *', /has 6$/],
  ['@daily', /write "0 0 \* \* \*"$/],
  ['TZ=Europe/Berlin 0 3 * * *', /has 6\. Its time zone goes into timeZone$/],
  ['60 * * * *', /^minute "60": must be 0 to 59, not "60"$/],
  ['0 24 * * *', /^hour "24": /],
  ['0 0 0 * *', /^day of the month "0": .* 1 to 31, not/],
  ['0 0 * 13 *', /^month "13": .* 1 to 12 or jan to dec, not/],
  ['0 0 * * 8', /^day of the week "8": .* 0 to 7 or sun to sat, not/],
  ['0 0 * * monday', /not "monday"$/],
  ['99 99 * * *', /^minute .*; hour /],
  ['*/0 * * * *', /a step must be from 1 to 59, and is 0$/],
  ['*/90 * * * *', /a step must be from 1 to 59, and is 90$/],
  ['0 22-2 * * *', /ends before it begins: write 22-23,0-2$/],
  ['0 0 L * *', /^day of the month "L": must be .* not "l"$/],
  ['0 0 ? * 1#2', /^day of the month "\?": write .*; day of the week "1#2": write/],
  ['1,,2 * * * *', /not ""$/],
  ['1- * * * *', /not "1-"$/],
  ['-1 * * * *', /not "-1"$/],
  ['1.5 * * * *', /not "1\.5"$/],
  ['0 0 30 2 *', /^is never: no month of those has such a day/],
  ['0 0 31 4,6,9,11 *', /^is never/],
] as const) {
  test(`refused: ${JSON.stringify(text)}`, () => {
    const parsed = parseCron(text);
    assert.ok(!parsed.ok);
    assert.match(parsed.message, message);
  });
}

test('rare days are days', () => {
  assert.equal(fields('0 0 29 2 *')[2], '29');
  assert.equal(fields('0 0 31 4,5 *')[2], '31');
  // Either kind of day is enough, where both are restricted.
  assert.equal(fields('0 0 30 2 mon')[2], '30');
});
