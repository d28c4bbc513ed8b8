import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Scalar } from '../api/common.ts';
import type { Param } from '../api/param.ts';
import { resolveParams } from './params.ts';

const param = (name: string, more: Partial<Param> = {}): Param => ({ name, type: 'string', ...more });

function valuesOf(params: Param[], given: Record<string, Scalar>): Record<string, Scalar> {
  const resolved = resolveParams(params, given);
  if (!resolved.ok) assert.fail(JSON.stringify(resolved.problems));
  return resolved.values;
}

function problemsOf(params: Param[], given: Record<string, Scalar>): string[] {
  const resolved = resolveParams(params, given);
  return resolved.ok ? [] : resolved.problems.map(({ field, message }) => `${field}: ${message}`);
}

test('a value is what the run gives, or else the default, or else absent', () => {
  const params = [
    param('region', { default: 'us' }),
    param('count', { type: 'number', default: 0 }),
    param('dryRun', { type: 'boolean', default: true }),
    param('note'),
  ];
  assert.deepEqual(valuesOf(params, {}), { region: 'us', count: 0, dryRun: true });
  assert.deepEqual(valuesOf(params, { region: '', count: 3, dryRun: false }), {
    region: '',
    count: 3,
    dryRun: false,
  });
});

test('each mistake is named with its field and the way out', () => {
  const region = param('region', { enum: ['us', 'eu'] });
  const count = param('count', { type: 'number', required: true, description: 'how many nodes' });
  const cases: [Param[], Record<string, Scalar>, string[]][] = [
    [
      [region],
      { regoin: 'us' },
      ['spec.params.regoin: is no parameter of the workflow: it takes region. Did you mean region?'],
    ],
    [[], { a: 1 }, ['spec.params.a: is no parameter of the workflow: it takes none.']],
    [[count], {}, ['spec.params.count: is required (how many nodes): give a number']],
    [
      [count],
      { count: '3' },
      ['spec.params.count: must be a number, and "3" is a string: write it without quotes'],
    ],
    [
      [region],
      { region: 3 },
      ['spec.params.region: must be a string, and 3 is a number: write it in quotes'],
    ],
    [[region], { region: 'ap' }, ['spec.params.region: must be one of "us", "eu", and is "ap"']],
    [
      [region, count],
      { region: 'ap', other: 1 },
      [
        'spec.params.other: is no parameter of the workflow: it takes region, count.',
        'spec.params.region: must be one of "us", "eu", and is "ap"',
        'spec.params.count: is required (how many nodes): give a number',
      ],
    ],
  ];
  for (const [params, given, problems] of cases) assert.deepEqual(problemsOf(params, given), problems);
});

test('a pattern holds for the whole value', () => {
  const tag = (pattern: string) => [param('tag', { pattern })];
  assert.deepEqual(problemsOf(tag('v[0-9]+'), { tag: 'v12' }), []);
  for (const value of ['xv12', 'v12x', 'v12\n', ''])
    assert.equal(problemsOf(tag('v[0-9]+'), { tag: value }).length, 1);
  assert.equal(problemsOf(tag('a|b'), { tag: 'ab' }).length, 1);
  assert.equal(problemsOf(tag('(?m)^a$'), { tag: 'a\nb' }).length, 1);
});

test('no pattern takes long, whatever the value', () => {
  const value = `${'a'.repeat(4095)}!`;
  assert.equal(problemsOf([param('x', { pattern: '(a|aa|a*)+' })], { x: value }).length, 1);
});

test('names of JavaScript are names like others', () => {
  assert.deepEqual(valuesOf([param('constructor')], {}), {});
  assert.deepEqual(valuesOf([param('toString', { default: 'x' })], {}), { toString: 'x' });
  assert.equal(problemsOf([], JSON.parse('{"__proto__": "x"}')).length, 1);
});
