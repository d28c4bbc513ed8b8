import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { compileExpression, type Values } from './expression.ts';
import type { Outputs, Scope } from './references.ts';
import { ANY, BOOLEAN, INTEGER, listOf, mapOf, NUMBER, STRING, type Type } from './type.ts';

const CONVERT = 'convert with int(), double() or string()';

const scope: Scope = {
  params: new Map<string, Type>([
    ['region', STRING],
    ['count', NUMBER],
    ['force', BOOLEAN],
  ]),
  outputs: new Map<string, Outputs>([
    ['ask', { type: mapOf({ ticket: STRING, nodes: NUMBER }), each: false }],
    ['plan', { type: ANY, each: true }],
    ['call', { type: mapOf({}), each: false }],
  ]),
  before: new Set(['ask', 'plan', 'call', 'script']),
  steps: new Set(['ask', 'plan', 'call', 'script']),
  behind: new Set(),
  run: ['name'],
  variables: { item: STRING, index: INTEGER },
};

function problemsOf(source: string, needed: Type = ANY): string[] {
  const compiled = compileExpression(source, scope, needed);
  return compiled.ok ? [] : compiled.problems;
}

test('what can never work is refused before there are values', () => {
  const cases: Record<string, string> = {
    'params.region + 1': `+ does not work on (string, number): ${CONVERT}`,
    '"node " + params.count': `+ does not work on (string, number): ${CONVERT}`,
    'params.region > 3': `> does not work on (string, number): ${CONVERT}`,
    '!params.region': `! does not work on (string): ${CONVERT}`,
    '-params.force': `- does not work on (boolean): ${CONVERT}`,
    'size(params.count)': `size() does not take (number): ${CONVERT}`,
    'params.count.split(",")': `split() does not take (string) on a number: ${CONVERT}`,
    'params.region.startsWith()': `startsWith() does not take () on a string: ${CONVERT}`,
    'steps.plan.outputs + 1': `+ does not work on (list, number): ${CONVERT}`,
    'index + item': `+ does not work on (number, string): ${CONVERT}`,
    'params.region && true': 'has a string where "&&" needs true or false: compare it with something',
    'params.count ? 1 : 2': 'has a number where "?" needs true or false: compare it with something',
    'params.count == "3"': `compares params.count with "3", a number with a string, which are never equal: ${CONVERT}`,
    'params.force != "true"': `compares params.force with "true", a boolean with a string, which are never equal: ${CONVERT}`,
    'params.count in ["1", "2"]': `compares params.count with ["1", "2"], a number with a string, which are never equal: ${CONVERT}`,
    'steps.ask.outputs.tikcet == "T-1"':
      'reads steps.ask.outputs.tikcet, which does not exist: there is ticket, nodes. Did you mean ticket?',
    'steps.ask.outputs["tikcet"] == "T-1"':
      'reads steps.ask.outputs.tikcet, which does not exist: there is ticket, nodes. Did you mean ticket?',
    'has(steps.ask.outputs.tikcet)':
      'reads steps.ask.outputs.tikcet, which does not exist: there is ticket, nodes. Did you mean ticket?',
    'steps.call.outputs.id':
      'reads steps.call.outputs.id, which does not exist: steps.call.outputs has no members.',
    'steps.ask.outputs.nodes == "three"': `compares steps.ask.outputs.nodes with "three", a number with a string, which are never equal: ${CONVERT}`,
    'steps.plan.outputs.changes':
      'reads changes of steps.plan.outputs, which is a list and has no members: take one entry, steps.plan.outputs[0], or all, steps.plan.outputs.map(x, x.changes)',
    'params.region.name': 'reads name of params.region, which is a string and has no members',
    'steps.plan.outputs["us"]': 'takes the entry of a list by a string: lists are counted from 0',
    'params.count.map(x, x)': 'goes through a number: that takes a list or a map',
    'params.region.split(",").exists(r, r.changes + params.region + 1 == 2)': `+ does not work on (string, number): ${CONVERT}`,
    '(params.force ? 1 : 2) + "a"': `+ does not work on (number, string): ${CONVERT}`,
  };
  for (const [source, message] of Object.entries(cases))
    assert.deepEqual(problemsOf(source), [message], source);
});

test('all that never works is told at once', () => {
  assert.equal(problemsOf('params.region + 1 == 2 || params.count.split(",") == []').length, 2);
});

test('what is not known before may be anything', () => {
  const sources = [
    'steps.script.outputs.nodes + 1 > 2',
    'steps.script.outputs.anything.at.all[3].x == "y"',
    'steps.plan.outputs.map(o, o.changes).exists(c, c > 0)',
    'steps.plan.outputs[0].changes > 1',
    'steps.plan.terraform[0].counts.add > 0',
    'dyn(params.region) + 1 == 2',
    'params.count == 1.5 || params.count == 2',
    'params.count + 1 > 2 && params.count * 1.5 > 2.0',
    'params.region == null',
    'trigger.git.branch == "main"',
    '{"a": 1}[params.region] == 1',
    'params.region in ["us", "eu"] && item in {"us": 1}',
    'type(params.count) == int',
    'int(params.region) + params.count > index',
    '[1, "a"][0] == "a"',
    'timestamp("2030-01-01T00:00:00Z") + duration("1h") > timestamp(0)',
  ];
  for (const source of sources) assert.deepEqual(problemsOf(source), [], source);
});

test('an expression gives what is needed in its place', () => {
  assert.deepEqual(problemsOf('params.region', BOOLEAN), [
    'gives a string, and what is needed here is a boolean',
  ]);
  assert.deepEqual(problemsOf('params.region', listOf(ANY)), [
    'gives a string, and what is needed here is a list',
  ]);
  assert.deepEqual(problemsOf('params.region.split(",")', listOf(ANY)), []);
  assert.deepEqual(problemsOf('steps.script.outputs.ok', BOOLEAN), []);
  assert.deepEqual(problemsOf('[1, 2].all(x, x > 1)', BOOLEAN), []);
  assert.deepEqual(problemsOf('[1, 2].map(x, x > 1)', BOOLEAN), [
    'gives a list, and what is needed here is a boolean',
  ]);
});

test('what works is never refused', () => {
  const leaf = fc.constantFrom(
    'params.region',
    'params.count',
    'params.force',
    '1',
    '2.5',
    '"a"',
    'true',
    'item',
    'index',
    '[1, 2]',
    'null',
    'steps.script.outputs.n',
    'steps.ask.outputs.nodes',
    '{"a": 1}',
  );
  const { source } = fc.letrec<{ source: string }>((tie) => {
    const one = tie('source');
    return {
      source: fc.oneof(
        { maxDepth: 4, withCrossShrink: true },
        leaf,
        fc
          .tuple(one, fc.constantFrom('+', '-', '*', '<', '>='), one)
          .map(([a, op, b]) => `(${a} ${op} ${b})`),
        fc
          .tuple(fc.constantFrom('size', 'string', 'int', 'double', 'dyn', 'type'), one)
          .map(([f, a]) => `${f}(${a})`),
        fc
          .tuple(one, fc.constantFrom('startsWith', 'split', 'contains'), one)
          .map(([a, f, b]) => `${a}.${f}(${b})`),
        fc.tuple(one, one).map(([a, b]) => `[${a}, ${b}][0]`),
        fc.tuple(one, one).map(([a, b]) => `[${a}].map(x, [x, ${b}])[0]`),
        one.map((a) => `!${a}`),
        one.map((a) => `${a}.a`),
      ),
    };
  });
  const values = fc.record({
    region: fc.constantFrom('us', '3'),
    count: fc.constantFrom(3, 1.5),
    force: fc.boolean(),
  });
  let worked = 0;
  fc.assert(
    fc.property(source, values, fc.constantFrom<unknown>(1, 'n', [1]), (text, params, n) => {
      const open = compileExpression(text, untyped);
      if (!open.ok || 'error' in open.expression.evaluate(valuesOf(params, n))) return;
      worked += 1;
      assert.deepEqual(problemsOf(text), [], text);
    }),
    { numRuns: 3000 },
  );
  assert.ok(worked > 300, `${worked} of the expressions worked`);
});

/** The same without types: evaluation alone says what works. */
const untyped: Scope = {
  ...scope,
  params: new Map([...scope.params.keys()].map((name) => [name, ANY])),
  outputs: new Map(),
  variables: { item: ANY, index: ANY },
};

function valuesOf(params: { region: string; count: number; force: boolean }, n: unknown): Values {
  return {
    params,
    trigger: { type: 'Manual' },
    run: { name: 'run-1', namespace: 'default', uid: 'uid-1' },
    workflow: { name: 'deploy' },
    variables: { item: 'us', index: 0 },
    step: (name) => ({
      phase: 'Succeeded',
      summary: '',
      outputs: name === 'ask' ? { ticket: 'T-1', nodes: 3 } : { n },
    }),
  };
}
