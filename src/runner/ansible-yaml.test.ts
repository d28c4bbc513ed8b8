import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assert as check, jsonValue, property } from 'fast-check';
import { parse } from 'yaml';
import { dataYaml } from './ansible-yaml.ts';

/** As Ansible's own reader: YAML 1.1, where more words and numbers have a type than in 1.2. */
const read = (text: string): unknown => {
  assert.ok(text.startsWith('!unsafe '));
  return parse(text.slice('!unsafe '.length), { version: '1.1', merge: true });
};

test('texts stay texts, whatever they look like', () => {
  const texts = [
    '123',
    'true',
    'yes',
    '',
    '~',
    'null',
    '1:30',
    '2020-01-01',
    '<<',
    '=',
    '- a',
    '# no',
    '&a',
    '*a',
    '!b',
  ];
  assert.deepEqual(read(dataYaml(texts)), texts);
});

test('line breaks of all kinds, control characters and characters beyond 16 bits arrive', () => {
  const text = 'a\n\r\t\u0000\u007F\u0085\u009F\u2028\u2029\uFEFF"\\ é 😀';
  const yaml = dataYaml({ text });
  assert.match(yaml, /^[ -~]*$/);
  assert.deepEqual(read(yaml), { text });
});

test('half a character becomes the sign for what can not be read', () => {
  assert.deepEqual(read(dataYaml('\uD800')), '\uFFFD');
});

test('numbers keep their type, large and small ones too', () => {
  const numbers = [0, -5, 1e21, 1e-7, 0.5, 2 ** 53, -1.5e300];
  assert.deepEqual(read(dataYaml(numbers)), numbers);
});

test('a long name is no trouble', () => {
  const value = { ['n'.repeat(3000)]: 1 };
  assert.deepEqual(read(dataYaml(value)), value);
});

test('any JSON value comes back as it was', () => {
  check(
    property(jsonValue({ stringUnit: 'binary' }), (value) => {
      const json: unknown = JSON.parse(JSON.stringify(value));
      assert.deepEqual(read(dataYaml(json)), json);
    }),
  );
});
