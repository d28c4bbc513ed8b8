import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { compileExpression, type Values } from './expression.ts';
import type { Scope } from './references.ts';
import { NUMBER, STRING } from './type.ts';

const scope: Scope = {
  params: new Map([
    ['region', STRING],
    ['count', NUMBER],
    ['ratio', NUMBER],
    ['optional', STRING],
  ]),
  outputs: new Map(),
  before: new Set(['count', 'check-env', 'skipped']),
  steps: new Set(['count', 'check-env', 'skipped', 'later', 'self']),
  behind: new Set(['self']),
  run: ['name', 'namespace', 'uid'],
};

const outputs = {
  nodes: '5',
  replicas: 3,
  share: 0.5,
  zones: ['a', 'b'],
  many: Array.from({ length: 256 }, (_, index) => index),
  tooMany: Array.from({ length: 257 }, (_, index) => index),
  nothing: null,
  'x-y': 'dashed',
  __proto__: null,
};

const values: Values = {
  params: { region: 'us', count: 3, ratio: 1.5 },
  trigger: { type: 'Manual' as const },
  run: { name: 'run-1', namespace: 'default', uid: 'uid-1' },
  workflow: { name: 'deploy' },
  step: (name) =>
    name === 'skipped'
      ? { phase: 'Skipped', summary: '', outputs: {} }
      : { phase: 'Succeeded', summary: 'five nodes', outputs },
};

function evaluate(source: string): unknown {
  const compiled = compileExpression(source, scope);
  if (!compiled.ok) assert.fail(`${source}: ${compiled.problems.join('; ')}`);
  const result = compiled.expression.evaluate(values);
  return 'error' in result ? new Error(result.error) : result.value;
}

function errorOf(source: string): string {
  const result = evaluate(source);
  assert.ok(result instanceof Error, `${source} gives ${JSON.stringify(result)}`);
  return result.message;
}

function problemsOf(source: string): string[] {
  const compiled = compileExpression(source, scope);
  return compiled.ok ? [] : compiled.problems;
}

test('reads params, trigger, run, workflow, and the steps before', () => {
  assert.equal(evaluate('params.region'), 'us');
  assert.equal(evaluate('params["region"]'), 'us');
  assert.equal(evaluate('trigger.type'), 'Manual');
  assert.equal(evaluate('run.name + "/" + run.namespace + "/" + run.uid'), 'run-1/default/uid-1');
  assert.equal(evaluate('workflow.name'), 'deploy');
  assert.equal(evaluate('steps.count.phase'), 'Succeeded');
  assert.equal(evaluate('steps.count.summary'), 'five nodes');
  assert.equal(evaluate('steps["check-env"].outputs["x-y"]'), 'dashed');
});

test('a whole number is an int, and compares with doubles', () => {
  assert.equal(evaluate('params.count + 1'), 4);
  assert.equal(evaluate('params.count == 3'), true);
  assert.equal(evaluate('params.count > 2.5'), true);
  assert.equal(evaluate('params.ratio < 2'), true);
  assert.equal(evaluate('steps.count.outputs.replicas * 2'), 6);
  assert.equal(evaluate('int(steps.count.outputs.nodes) > 3'), true);
});

test('gives plain JavaScript values', () => {
  assert.deepEqual(evaluate('{"a": [1, 2u, 2.5, "x", true, null]}'), { a: [1, 2, 2.5, 'x', true, null] });
  assert.equal(evaluate('9007199254740993'), '9007199254740993');
  assert.equal(evaluate('b"abc"'), 'YWJj');
  assert.equal(evaluate('duration("90s")'), '90s');
  assert.equal(evaluate('timestamp("2030-01-01T00:00:00Z")'), '2030-01-01T00:00:00Z');
  assert.equal(evaluate('type(1)'), 'int');
  assert.deepEqual(evaluate('steps.count.outputs.zones.map(z, params.region + "-" + z)'), ['us-a', 'us-b']);
});

test('knows the usual functions on texts', () => {
  assert.equal(evaluate('"release/1.2".replace("/", "-").upperAscii()'), 'RELEASE-1.2');
  assert.equal(evaluate('"$&".replace("$&", "$1")'), '$1');
  assert.equal(evaluate('"abc1234def".substring(0, 7)'), 'abc1234');
  assert.equal(evaluate('"a,b".split(",").join("+")'), 'a+b');
  assert.equal(evaluate('"v1.2.3".matches("^v[0-9]+[.]")'), true);
});

test('has() guards what may be absent', () => {
  assert.equal(evaluate('has(params.optional) ? params.optional : "none"'), 'none');
  assert.equal(evaluate('has(steps.count.outputs.version)'), false);
  assert.equal(evaluate('has(steps.count.outputs.nodes)'), true);
  assert.equal(evaluate('has(steps.skipped.outputs.nodes)'), false);
  assert.equal(evaluate('"x-y" in steps.count.outputs'), true);
});

test('what is absent is an error that names it', () => {
  const cases = {
    'steps.count.outputs.version':
      'steps.count.outputs.version is not there: step count gave no output named version; guard it with has()',
    'steps["check-env"].outputs["a-b"]':
      'steps["check-env"].outputs["a-b"] is not there: step check-env gave no output named a-b; guard it with has()',
    'steps.skipped.outputs.version':
      'steps.skipped.outputs.version is not there: step skipped was skipped; guard it with has()',
    'steps.count.outputs.nodes == "5" && steps.skipped.outputs.nodes == "5"':
      'steps.skipped.outputs.nodes is not there: step skipped was skipped; guard it with has()',
    'params.optional':
      'params.optional is not there: the run gave no value and there is no default; guard it with has()',
    '{"a": {}}.a.b': '{"a": {}}.a.b is not there: guard it with has()',
    'steps.count.outputs.zones[2]': 'there is no entry 2 in the list: guard it with size()',
  };
  for (const [source, message] of Object.entries(cases)) assert.equal(errorOf(source), message);
});

test('errors of evaluation say what to do', () => {
  const cases = {
    'steps.count.outputs.nodes + 1':
      '+ does not work on (string, int): convert with int(), double() or string()',
    '!dyn(params.region)': '! does not work on (string): convert with int(), double() or string()',
    'size(steps.count.outputs.replicas)':
      'size() does not take (int): convert with int(), double() or string()',
    'dyn(params.count).split(",")':
      'split() does not take (string) on a int: convert with int(), double() or string()',
    'dyn(params.region) && true': '&& and || work on true and false, and got a value of type string',
    'int(params.region)': '"us" is no whole number',
    '1 / 0': 'int divide by zero',
  };
  for (const [source, message] of Object.entries(cases)) assert.equal(errorOf(source), message);
});

test('names that are not known are refused, each with the way out', () => {
  const cases: Record<string, string[]> = {
    'params.regoin': [
      'reads params.regoin, which the workflow does not declare: add it to spec.params. Did you mean region?',
    ],
    'region == "us"': [
      'reads region, which is not known here: there are params, steps, run, workflow and trigger. Text is written in quotes: "region".',
    ],
    'steps.cuont.phase': ['reads step cuont, which does not exist. Did you mean count?'],
    'steps.later.phase': [
      'reads step later, which need not have ended when this step starts: add later to dependsOn',
    ],
    'steps.self.phase': [
      'reads step self, which never ends before this step starts: read a step that comes before',
    ],
    'has(steps.later.outputs.x)': [
      'reads step later, which need not have ended when this step starts: add later to dependsOn',
    ],
    'steps.count.output.nodes': [
      'reads steps.count.output, which does not exist: there is phase, outputs, summary, terraform, ansible. Did you mean outputs?',
    ],
    'steps.check-env.phase == "Succeeded"': [
      'reads steps.check-env as a subtraction because of the "-": write steps["check-env"]',
    ],
    'steps[params.region].phase': ['reads steps without naming one: write steps.<name> or steps["<name>"]'],
    'size(steps) > 0': ['reads steps without naming one: write steps.<name> or steps["<name>"]'],
    'run.phase': ['reads run.phase, which is known in finally only: there is name, namespace, uid.'],
    'run.nam': ['reads run.nam, which does not exist: there is name, namespace, uid. Did you mean name?'],
    'workflow.spec': ['reads workflow.spec, which does not exist: there is name.'],
    'trigger.kind': ['reads trigger.kind, which does not exist: there is type, name, by, scheduledAt, git.'],
    'lower(params.region)': ['calls lower(), which is no function of CEL'],
    'has(params)': ['uses has() without a field: write has(steps.build.outputs.version)'],
    '[1].map(1, 2)': ['uses map() wrongly: write list.map(x, <expression with x>)'],
    'google.protobuf.Duration{}': ['makes a google.protobuf.Duration, which is not known here'],
  };
  for (const [source, problems] of Object.entries(cases))
    assert.deepEqual(problemsOf(source), problems, source);
});

test('names of JavaScript are not known either', () => {
  for (const name of ['constructor', '__proto__', 'toString']) assert.equal(problemsOf(name).length, 1, name);
  assert.match(errorOf('params[run.name]'), /params\["run-1"\] is not there/);
  assert.match(errorOf('steps.count.outputs.constructor'), /gave no output named constructor/);
});

test('every problem of an expression is reported', () => {
  assert.equal(problemsOf('params.a + params.b + steps.x.phase').length, 3);
});

test('a text that looks like a mistake is none', () => {
  assert.deepEqual(problemsOf('run.name == "steps.check-env"'), []);
});

test('references are found wherever they stand', () => {
  const places = [
    '{x: 1}',
    '{"a": x}',
    '[x]',
    'x ? 1 : 2',
    'size(x)',
    'x.size()',
    'params[x]',
    '[1].map(y, x)',
    'x.map(y, y)',
  ];
  for (const source of places)
    assert.match(problemsOf(source.replace('x', 'params.nope')).join(), /params\.nope/, source);
  assert.deepEqual(problemsOf('dyn(params) == "nope"'), []);
});

test('variables of comprehensions are no references', () => {
  assert.deepEqual(problemsOf('[1].exists(steps, steps > 0)'), []);
  assert.equal(problemsOf('[1].exists(x, x > 0) && x').length, 1);
});

test('what is not CEL is refused with the place', () => {
  assert.deepEqual(problemsOf('1 +* 2'), [
    'is not a CEL expression: found + but expecting end of input at column 3',
  ]);
  assert.deepEqual(problemsOf('params.?region'), [
    'is not a CEL expression: found . but expecting end of input at column 7; for what may be absent write has(a.b) ? a.b : "default"',
  ]);
  assert.deepEqual(problemsOf('${{ params.region }}'), ['is an expression already: write it without ${{ }}']);
});

test('size and nesting are bounded', () => {
  const longest = `"${'x'.repeat(1022)}"`;
  assert.deepEqual(problemsOf(longest), []);
  assert.match(problemsOf(`${longest} `)[0] ?? '', /longer than 1024 bytes/);
  assert.match(problemsOf(`"${'é'.repeat(512)}"`)[0] ?? '', /longer than 1024 bytes/);
  assert.deepEqual(problemsOf(`-(1${'+1'.repeat(99)})`), []);
  assert.match(problemsOf(`1${'+1'.repeat(100)}`)[0] ?? '', /has 201 parts, more than 200/);
  assert.deepEqual(problemsOf('[1].all(x, [x].all(y, y > 0))'), []);
  assert.deepEqual(problemsOf('[1].map(x, x).map(x, x).filter(x, x > 0).all(x, x > 0)'), []);
  const tooDeep = [
    '[1].all(x, [x].all(y, [y].all(z, true)))',
    '[1].all(x, [[x].all(y, [y].all(z, true))].all(v, v))',
  ];
  for (const source of tooDeep) assert.match(problemsOf(source)[0] ?? '', /deeper than 2/);
});

test('the work of an evaluation is bounded', () => {
  const many = 'steps.count.outputs.many';
  assert.equal(evaluate(`${many}.all(x, ${many}.all(y, x + y >= 0))`), true);
  assert.match(errorOf('steps.count.outputs.tooMany.all(x, x >= 0)'), /257 entries is too long.*at most 256/);
  const costly = `${many}.all(x, ${many}.all(y, "aaaaaaaaaaaaaaaaaaaa".matches("(a+)+b") == false))`;
  assert.match(errorOf(costly), /too much work/);
  const text = `"${'x'.repeat(400)}"`;
  assert.match(errorOf(`${many}.map(x, ${many}.map(y, ${text}).join("")).size()`), /too much work/);
  assert.match(errorOf(`${many}.map(x, ${text})`), /longer than 65536 characters/);
  const long = `"${'x'.repeat(300)}"`;
  assert.match(errorOf(`${long}.replace("x", ${long}).replace("x", ${long}).size()`), /too much work/);
});

test('the bound counts each evaluation by itself', () => {
  const many = 'steps.count.outputs.many';
  const compiled = compileExpression(`${many}.all(x, ${many}.all(y, x + y >= 0))`, scope);
  assert.ok(compiled.ok);
  for (const _ of Array(5)) assert.deepEqual(compiled.expression.evaluate(values), { value: true });
});

test('no text makes it throw', () => {
  const words =
    'params .region . steps.count .outputs [0] ["x"] 1 2.5 "t" + - * / % == < && || ! ? : ( ) [ ] { } , in has( .map(x, x size( int( .matches( 1u null b"a" .split(",") """ \\u 1e400';
  const pieces = fc
    .array(fc.constantFrom(...words.split(' ')), { maxLength: 14 })
    .map((list) => list.join(' '));
  fc.assert(
    fc.property(fc.oneof(pieces, fc.string({ unit: 'binary', maxLength: 80 })), (source) => {
      const compiled = compileExpression(source, scope);
      if (compiled.ok) compiled.expression.evaluate(values);
      else assert.ok(compiled.problems.length > 0);
    }),
    { numRuns: 3000 },
  );
});
