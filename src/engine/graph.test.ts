import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { STEP_TYPES } from '../api/step.ts';
import { compile } from './graph.ts';
import type { Graph } from './model.ts';
import { resolvers } from './model-shell.ts';

const step = (name: string, more: object = {}) => ({ name, script: { bash: 'true' }, ...more });
const withEnv = (name: string, value: string, more: object = {}) =>
  step(name, { script: { bash: 'true', env: { VALUE: value } }, ...more });

function graphOf(spec: object): Graph {
  const compiled = compile(spec, resolvers);
  if (!compiled.ok) assert.fail(JSON.stringify(compiled.problems));
  return compiled.graph;
}

/** All problems, as `field: message`. */
function problemsOf(spec: unknown): string[] {
  const compiled = compile(spec, resolvers);
  return compiled.ok ? [] : compiled.problems.map(({ field, message }) => `${field}: ${message}`);
}

const waits = ({ nodes }: Graph) => Object.fromEntries(nodes.map(({ name, waitsFor }) => [name, waitsFor]));

test('a plain list is a pipeline', () => {
  const graph = graphOf({ steps: [step('a'), step('b'), step('c')] });
  assert.deepEqual(waits(graph), { a: [], b: ['a'], c: ['b'] });
});

test('dependsOn replaces the step before, and [] is nothing', () => {
  const graph = graphOf({
    steps: [step('a'), step('b', { dependsOn: [] }), step('c', { dependsOn: ['a', 'b', 'a'] }), step('d')],
  });
  assert.deepEqual(waits(graph), { a: [], b: [], c: ['a', 'b'], d: ['c'] });
});

test('steps of finally follow each other, and come last in any order', () => {
  const graph = graphOf({
    steps: [step('b', { dependsOn: ['a'] }), step('a', { dependsOn: [] })],
    finally: [step('x'), step('y')],
  });
  assert.deepEqual(waits(graph), { b: ['a'], a: [], x: [], y: ['x'] });
  assert.deepEqual(
    graph.nodes.map(({ name }) => name),
    ['b', 'a', 'x', 'y'],
  );
  assert.deepEqual(
    graph.order.map(({ name }) => name),
    ['a', 'b', 'x', 'y'],
  );
});

test('defaults are worked out', () => {
  const [node] = graphOf({ steps: [step('a')] }).nodes;
  assert.equal(node?.timeout, 3_600_000);
  assert.equal(node?.pendingTimeout, 300_000);
  assert.equal(node?.runIf, 'Success');
  assert.equal(node?.type, 'script');
});

test('pendingTimeout comes from the step, or else from podDefaults', () => {
  const { nodes, timeout } = graphOf({
    timeout: '1h30m',
    podDefaults: { pendingTimeout: '1m' },
    steps: [step('a'), step('b', { pod: { pendingTimeout: '10s' } })],
  });
  assert.equal(timeout, 5_400_000);
  assert.deepEqual(
    nodes.map(({ pendingTimeout }) => pendingTimeout),
    [60_000, 10_000],
  );
});

test('expressions may read what comes before: ancestors, and in finally all steps and the phase', () => {
  const spec = {
    params: [{ name: 'region' }],
    steps: [
      step('a'),
      withEnv('b', '${{ steps.a.outputs.x }}', { when: 'params.region == "us"' }),
      withEnv('c', '${{ steps.a.outputs.x }} ${{ steps.b.outputs.y }}'),
    ],
    finally: [
      withEnv('x', '${{ run.phase }} ${{ steps.c.phase }}'),
      step('y', { when: 'steps.x.phase == "Failed"' }),
    ],
  };
  const { nodes } = graphOf(spec);
  assert.deepEqual([...(nodes[2]?.templates.keys() ?? [])], ['script.env.VALUE']);
  assert.equal(nodes[1]?.when?.source, 'params.region == "us"');
});

test('each mistake is named with its field and the way out', () => {
  const cases: [string, unknown, string[]][] = [
    [
      'unknown dependency',
      { steps: [step('build'), step('test', { dependsOn: ['biuld'] })] },
      ['spec.steps[1].dependsOn[0]: names biuld, which is no step of the workflow. Did you mean build?'],
    ],
    [
      'itself',
      { steps: [step('a', { dependsOn: ['a'] })] },
      ['spec.steps[0].dependsOn[0]: names the step a itself: remove it'],
    ],
    [
      'a step of finally',
      { steps: [step('a', { dependsOn: ['x'] })], finally: [step('x')] },
      ['spec.steps[0].dependsOn[0]: names x, which runs in finally, after all other steps: remove it'],
    ],
    [
      'a cycle',
      {
        steps: [
          step('z', { dependsOn: [] }),
          step('a', { dependsOn: ['c', 'z'] }),
          step('b', { dependsOn: ['a'] }),
          step('c', { dependsOn: ['b'] }),
        ],
      },
      [
        'spec.steps[1].dependsOn: makes steps wait for each other: a waits for c waits for b waits for a. Remove one of these dependencies',
      ],
    ],
    [
      'a cycle through the step before',
      { steps: [step('a', { dependsOn: ['b'] }), step('b')] },
      [
        'spec.steps[0].dependsOn: makes steps wait for each other: a waits for b waits for a. Remove one of these dependencies',
      ],
    ],
    [
      'a name taken twice',
      { steps: [step('a'), step('b')], finally: [step('a')] },
      ['spec.finally[0].name: is a, as is that of spec.steps[0]: each step needs a name of its own'],
    ],
    [
      'a name that is no label',
      { steps: [step('My_Step')] },
      [
        'spec.steps[0].name: is "My_Step": use lower-case letters, digits and "-", and begin and end without "-"',
      ],
    ],
    [
      'nothing to do',
      { steps: [{ name: 'a' }] },
      [`spec.steps[0]: must set exactly one of ${STEP_TYPES.join(', ')}: it says what the step does`],
    ],
    [
      'no duration',
      {
        timeout: '1 hour',
        steps: [step('a', { timeout: '5', retry: { limit: 1, backoff: { max: '9000h' } } })],
      },
      [
        'spec.timeout: is "1 hour": write a duration of at most a year such as 30s, 5m or 1h30m',
        'spec.steps[0].timeout: is "5": write a duration of at most a year such as 30s, 5m or 1h30m',
        'spec.steps[0].retry.backoff.max: is "9000h": write a duration of at most a year such as 30s, 5m or 1h30m',
      ],
    ],
    [
      'more retries than can be recorded',
      { steps: Array.from({ length: 51 }, (_, index) => step(`s${index}`, { retry: { limit: 20 } })) },
      ['spec.steps: allow 1020 retries in all, and at most 1000 can be recorded: lower retry.limit'],
    ],
    [
      'bad CEL in when',
      { steps: [step('a', { when: '1 +' })] },
      ['spec.steps[0].when: is not a CEL expression: found + but expecting end of input at column 3'],
    ],
    [
      'a bad template',
      { steps: [withEnv('a', 'x ${{ params.x }}')], finally: [withEnv('b', '${{ 1')] },
      [
        'spec.steps[0].script.env.VALUE: ${{ params.x }} reads params.x, which the workflow does not declare: add it to spec.params.',
        'spec.finally[0].script.env.VALUE: has a ${{ without its }}: close it',
      ],
    ],
    [
      'a step in another branch',
      {
        steps: [
          step('a', { dependsOn: [] }),
          withEnv('b', '${{ steps.a.outputs.x }}', { dependsOn: [] }),
          step('c', { when: 'steps.c.phase == "x"' }),
        ],
        finally: [step('x', { when: 'steps.y.phase == "Failed"' }), step('y')],
      },
      [
        'spec.steps[1].script.env.VALUE: ${{ steps.a.outputs.x }} reads step a, which need not have ended when this step starts: add a to dependsOn',
        'spec.steps[2].when: reads step c, which never ends before this step starts: read a step that comes before',
        'spec.finally[0].when: reads step y, which never ends before this step starts: read a step that comes before',
      ],
    ],
    [
      'the phase of the run before its end',
      { steps: [step('a', { when: 'run.phase == "Failed"' })] },
      ['spec.steps[0].when: reads run.phase, which is known in finally only: there is name, namespace, uid.'],
    ],
    [
      'parameters that contradict themselves',
      {
        params: [
          { name: 'a', pattern: '[a-z' },
          { name: 'b', type: 'number', default: '3' },
          { name: 'c', enum: ['x', 'y'], default: 'z' },
          { name: 'd', type: 'boolean', enum: [true, 'false'] },
          { name: 'e', pattern: '[a-z]+', default: 'A1' },
        ],
        steps: [step('a')],
      },
      [
        'spec.params[0].pattern: is no regular expression in RE2 syntax, which has no look-around and no back-references',
        'spec.params[1].default: must be a number, and "3" is a string: write it without quotes',
        'spec.params[2].default: must be one of "x", "y", and is "z"',
        'spec.params[3].enum[1]: must be a boolean, and "false" is a string: write it without quotes',
        'spec.params[4].default: must match [a-z]+ as a whole, and is "A1"',
      ],
    ],
    [
      'several at once, in different places',
      {
        params: [{ name: 'p', type: 'number', default: 'x' }],
        steps: [step('a', { dependsOn: ['nope'] }), step('b', { when: 'nope' })],
      },
      [
        'spec.steps[0].dependsOn[0]: names nope, which is no step of the workflow.',
        'spec.params[0].default: must be a number, and "x" is a string: write it without quotes',
        'spec.steps[1].when: reads nope, which is not known here: there are params, steps, run, workflow and trigger. Text is written in quotes: "nope".',
      ],
    ],
  ];
  for (const [what, spec, problems] of cases) assert.deepEqual(problemsOf(spec), problems, what);
});

test('what has not the shape of a workflow is refused by field', () => {
  const cases: [unknown, RegExp][] = [
    [{}, /^spec\.steps: /],
    [{ steps: [] }, /^spec\.steps: must be at least 1/],
    [{ steps: [{ name: 3, script: {} }] }, /^spec\.steps\[0\]\.name: /],
    [
      { steps: [step('a', { timout: '5m' })] },
      /^spec\.steps\[0\]: has no field timout: correct or remove it/,
    ],
    [
      { steps: [step('a', { runIf: 'Never' })] },
      /^spec\.steps\[0\]\.runIf: must be one of Success, Failure, Always/,
    ],
    [{ steps: [step('a', { retry: { limit: 21 } })] }, /^spec\.steps\[0\]\.retry\.limit: must be at most 20/],
    [null, /^spec: /],
  ];
  for (const [spec, problem] of cases) assert.match(problemsOf(spec).join('\n'), problem);
});

test('what is just within the bounds is accepted', () => {
  const steps = Array.from({ length: 50 }, (_, index) => step(`s${index}`, { retry: { limit: 20 } }));
  assert.equal(graphOf({ timeout: '8760h', steps }).timeout, 365 * 24 * 3_600_000);
});

test('a workflow of 500 steps compiles', () => {
  const steps = Array.from({ length: 500 }, (_, index) => step(`s${index}`));
  assert.equal(graphOf({ steps }).order.length, 500);
});

test('every step comes behind all that it waits for, or a cycle is reported', () => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f'];
  const edges = fc.tuple(...names.map((name) => fc.subarray(names.filter((other) => other !== name))));
  fc.assert(
    fc.property(edges, (dependsOn) => {
      const compiled = compile(
        { steps: names.map((name, at) => step(name, { dependsOn: dependsOn[at] ?? [] })) },
        resolvers,
      );
      if (!compiled.ok) return compiled.problems.every(({ message }) => isCycle(message, names, dependsOn));
      const place = new Map(compiled.graph.order.map(({ name }, index) => [name, index]));
      return names.every((name, at) =>
        dependsOn[at]?.every((other) => (place.get(other) ?? 0) < (place.get(name) ?? 0)),
      );
    }),
    { numRuns: 500 },
  );
});

/** Whether each step that a message names as part of a cycle does wait for the one after it. */
function isCycle(message: string, names: string[], dependsOn: string[][]): boolean {
  const path = /other: (.*)\. Remove/.exec(message)?.[1]?.split(' waits for ') ?? [];
  return (
    path.length > 2 &&
    path[0] === path.at(-1) &&
    path.slice(1).every((name, index) => dependsOn[names.indexOf(path[index] ?? '')]?.includes(name))
  );
}

test('nothing makes it throw', () => {
  const shape = fc.record({
    steps: fc.array(fc.record({ name: fc.jsonValue(), script: fc.jsonValue() })),
    params: fc.jsonValue(),
  });
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), shape), (spec) => {
      compile(spec, resolvers);
    }),
    { numRuns: 500 },
  );
});
