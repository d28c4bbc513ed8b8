import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compile } from './graph.ts';
import { resolvers } from './model-shell.ts';
import {
  afterFinding,
  each,
  eachOf,
  envOf,
  failed,
  found,
  runThrough,
  step,
  succeeded,
  takeOn,
  withEnv,
} from './turns.ts';

const namesOf = ({ status }: ReturnType<typeof takeOn>) =>
  (status.steps ?? []).map(({ name }) => name).filter((name) => name.includes('['));

test('instances are named by their items where these can be names, else by place, or by a key', () => {
  const cases: [items: unknown[], key: string | undefined, names: string][] = [
    [['us', 'eu-1', 'A.b_c'], undefined, 'us eu-1 A.b_c'],
    [['us', 'us'], undefined, '0 1'],
    [['us', 'e u'], undefined, '0 1'],
    [['us', ''], undefined, '0 1'],
    [['us', 'x'.repeat(64)], undefined, '0 1'],
    [['us', 7], undefined, '0 1'],
    [[7, 8], undefined, '0 1'],
    [[7, 8], 'item', '7 8'],
    [['a', 'b'], '"n" + string(index + 1)', 'n1 n2'],
    [[{ name: 'x' }, { name: 'y' }], 'item.name', 'x y'],
    [[{ name: 'x' }, { name: 'y' }], undefined, '0 1'],
    [[true, false], 'item', 'true false'],
  ];
  for (const [items, key, names] of cases) {
    const run = afterFinding(items, key === undefined ? {} : { key });
    assert.equal(
      namesOf(run)
        .map((name) => name.slice(5, -1))
        .join(' '),
      names,
      JSON.stringify(items),
    );
  }
});

test('keys that can not be names fail the step', () => {
  const cases: [items: unknown[], key: string, message: string][] = [
    [['a', 'b'], '"same"', 'gave "same" twice: each item needs a key of its own'],
    [['a', 'b c'], 'item', 'gave "b c" for item 1: use at most 63 letters, digits, ".", "-" and "_"'],
    [[''], 'item', 'gave "" for item 0: use at most 63 letters, digits, ".", "-" and "_"'],
    [
      ['x'.repeat(64)],
      'item',
      `gave "${'x'.repeat(64)}" for item 0: use at most 63 letters, digits, ".", "-" and "_"`,
    ],
    [[{ a: 1 }], 'item', 'gave "{\\"a\\":1}" for item 0: use at most 63 letters, digits, ".", "-" and "_"'],
    [[{ a: 1 }], 'item.name', 'item.name is not there: guard it with has()'],
  ];
  for (const [items, key, message] of cases) {
    const run = afterFinding(items, { key });
    assert.equal(run.step('many').reason, 'ExpressionError');
    assert.equal(run.step('many').message, `forEach.key: ${message}`);
    assert.deepEqual(namesOf(run), []);
    assert.equal(run.status.phase, 'Failed');
  }
});

test('item and index stand for what the instance is for', () => {
  const env = { ITEM: '${{ item.name }}', PLACE: '${{ index }}', OF: '${{ size(steps.find.outputs.list) }}' };
  const run = takeOn({
    steps: [step('find'), withEnv('many', env, eachOf('steps.find.outputs.list', { key: 'item.name' }))],
  });
  run.at(0);
  const { effects } = run.at(1, { find: found([{ name: 'a' }, { name: 'b' }]) });
  assert.deepEqual(effects.map(envOf), [
    { ITEM: 'a', PLACE: '0', OF: '2' },
    { ITEM: 'b', PLACE: '1', OF: '2' },
  ]);
  assert.deepEqual(
    effects.map((effect) => effect.type === 'Start' && effect.evaluate('x', {})),
    [{ error: 'x is no expression' }, { error: 'x is no expression' }],
  );
});

test('no items is nothing to do, and those after go on as if it had succeeded', () => {
  for (const steps of [
    [step('many', each([])), step('next')],
    [step('many', eachOf('"".split(",").filter(x, x != "")')), step('next')],
  ]) {
    const run = runThrough({ steps });
    assert.equal(run.phases(), 'many:Skipped/NoItems next:Succeeded/Completed');
    assert.equal(run.status.phase, 'Succeeded');
  }
});

test('outputs are the list of what the instances gave, in the order of the items', () => {
  const SEEN = '${{ steps.many.outputs.map(o, has(o.id) ? o.id : "none").join(" ") }}';
  const steps = [
    step('many', { ...each(['a', 'b', 'c'], { failFast: false }), continueOnError: true }),
    withEnv('tell', { SEEN, PHASE: '${{ steps.many.phase }}', SUMMARY: '${{ steps.many.summary }}' }),
  ];
  const run = takeOn({ steps });
  run.at(0);
  run.at(1, { 'many[c]': succeeded({ outputs: { id: 'third' } }) });
  run.at(2, { 'many[b]': failed() });
  const { effects } = run.at(3, { 'many[a]': succeeded({ outputs: { id: 'first' } }) });
  assert.deepEqual(envOf(effects[0]), {
    SEEN: 'first none third',
    PHASE: 'Failed',
    SUMMARY: '2 of 3 succeeded',
  });
  assert.equal(run.step('many').outputs, undefined);
});

test('outputs are an empty list where there were no items', () => {
  const steps = [step('many', each([])), withEnv('tell', { EMPTY: '${{ steps.many.outputs == [] }}' })];
  assert.deepEqual(envOf(takeOn({ steps }).at(0).effects[0]), { EMPTY: 'true' });
});

test('one list can be made of the outputs of another', () => {
  const steps = [
    step('first', each(['a', 'b'])),
    step('second', eachOf('steps.first.outputs.map(o, o.name)')),
  ];
  const run = takeOn({ steps });
  run.at(0);
  const named = (name: string) => succeeded({ outputs: { name } });
  run.at(1, { 'first[a]': named('x'), 'first[b]': named('y') });
  assert.equal(run.effects(), 'Start second[x]-1 Start second[y]-1');
});

test('256 instances are the most', () => {
  const list = (length: number) => Array.from({ length }, (_, index) => `i${index}`);
  assert.equal(namesOf(afterFinding(list(256))).length, 256);
  const run = afterFinding(list(257));
  assert.deepEqual(namesOf(run), []);
  assert.equal(run.step('many').reason, 'TooManyItems');
  assert.equal(run.step('many').message, 'forEach gives 257 items, and a step has at most 256 instances.');
  const written = compile({ steps: [step('many', each(list(257)))] }, resolvers);
  assert.deepEqual(!written.ok && written.problems, [
    { field: 'spec.steps[0].forEach.items', message: 'must be at most 256 (long)' },
  ]);
});

test('what is no list fails the step', () => {
  const cases: [list: unknown, message: string][] = [
    ['a,b', 'must give a list, and gave "a,b"'],
    [7, 'must give a list, and gave 7'],
    [{ a: 1 }, 'must give a list, and gave {"a":1}'],
    [null, 'must give a list, and gave null'],
    [
      undefined,
      'steps.find.outputs.list is not there: step find gave no output named list; guard it with has()',
    ],
  ];
  for (const [list, message] of cases) {
    const run = afterFinding(list);
    assert.equal(run.step('many').message, `forEach.expression: ${message}`);
    assert.equal(run.step('many').reason, 'ExpressionError');
    assert.equal(run.step('next').reason, 'UpstreamFailed');
  }
});

test('a step with forEach that does not run has no instances', () => {
  const run = runThrough({ steps: [step('many', { ...each(['a']), when: 'false' }), step('next')] });
  assert.equal(run.phases(), 'many:Skipped/WhenFalse next:Succeeded/Completed');
});

test('what may not stand in forEach is refused', () => {
  const cases: [more: object, problem: string][] = [
    [
      each(['${{ params.x }}']),
      'forEach.items[0]: is taken as it stands, without ${{ }}: use forEach.expression for a list that is worked out',
    ],
    [
      { ...each(['a']), when: 'item == "a"' },
      'when: reads item, which is not known here: there are params, steps, run, workflow and trigger. Text is written in quotes: "item".',
    ],
    [
      eachOf('steps.next.outputs.list'),
      'forEach.expression: reads step next, which need not have ended when this step starts: add next to dependsOn',
    ],
    [
      each(['a'], { key: 'items' }),
      'forEach.key: reads items, which is not known here: there are params, steps, run, workflow, trigger, item and index. Text is written in quotes: "items".',
    ],
  ];
  for (const [more, problem] of cases) {
    const compiled = compile({ steps: [step('many', more), step('next')] }, resolvers);
    const problems = compiled.ok ? [] : compiled.problems.map(({ field, message }) => `${field}: ${message}`);
    assert.deepEqual(problems, [`spec.steps[0].${problem}`]);
  }
});
