import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compile } from './graph.ts';
import { resolvers } from './model-shell.ts';
import { ancestorsOf, dependencies, type Ordered, sortByDependency } from './order.ts';
import { choose, step } from './turns.ts';

type Steps = Ordered[];

const then = (name: string, list: string[], more: object = {}) => choose(name, 'true', [list], more);
const both = (name: string, list: string[], other: string[], more: object = {}) =>
  choose(name, 'true', [list, other], more);

/** What each step waits for, as `name: step step` of each. */
const waits = (steps: Steps): string[] =>
  [...dependencies(steps, new Set()).waitsFor].map(([name, others]) => `${name}: ${others.join(' ')}`.trim());

/** All problems, as `field: message`. */
function problemsOf(steps: Steps, last: Steps = []): string[] {
  const compiled = compile({ steps, ...(last.length > 0 ? { finally: last } : {}) }, resolvers);
  return compiled.ok ? [] : compiled.problems.map(({ field, message }) => `${field}: ${message}`);
}

const cases: [what: string, steps: Steps, waits: string[]][] = [
  ['a plain list', [step('a'), step('b'), step('c')], ['a:', 'b: a', 'c: b']],
  [
    'if and else, then go on',
    [both('if', ['a'], ['b']), step('a'), step('b'), step('join'), step('end')],
    ['if:', 'a: if', 'b: if', 'join: a b', 'end: join'],
  ],
  [
    'a branch is a small pipeline',
    [both('if', ['a', 'b', 'c'], ['x', 'y']), ...['a', 'b', 'c', 'x', 'y', 'join'].map((name) => step(name))],
    ['if:', 'a: if', 'b: a', 'c: b', 'x: if', 'y: x', 'join: c y'],
  ],
  [
    'the order of a branch is that of the condition, not of the list',
    [then('if', ['b', 'a']), step('a'), step('b'), step('join')],
    ['if:', 'a: b', 'b: if', 'join: a if'],
  ],
  [
    'steps of both branches in turns',
    [both('if', ['a', 'b'], ['x', 'y']), ...['a', 'x', 'b', 'y', 'join'].map((name) => step(name))],
    ['if:', 'a: if', 'x: if', 'b: a', 'y: x', 'join: b y'],
  ],
  ['no else', [then('if', ['a']), step('a'), step('join')], ['if:', 'a: if', 'join: a if']],
  [
    'no then',
    [choose('if', 'true', [undefined, ['a']]), step('a'), step('join')],
    ['if:', 'a: if', 'join: if a'],
  ],
  ['no branches', [both('if', [], []), step('next')], ['if:', 'next: if']],
  [
    'steps before the condition',
    [step('first'), then('if', ['a']), step('a')],
    ['first:', 'if: first', 'a: if'],
  ],
  [
    'a step between the condition and its branches is no join',
    [then('if', ['a']), step('between'), step('a'), step('join')],
    ['if:', 'between: if', 'a: if', 'join: a if'],
  ],
  [
    'a step amid the branches waits for both',
    [both('if', ['a'], ['b']), step('a'), step('amid'), step('b'), step('join')],
    ['if:', 'a: if', 'amid: a b', 'b: if', 'join: a b'],
  ],
  [
    'one condition after the other',
    [then('if', ['a']), step('a'), then('or', ['b']), step('b'), step('join')],
    ['if:', 'a: if', 'or: a if', 'b: or', 'join: b or'],
  ],
  [
    'the branches of two conditions side by side are joined together',
    [then('if', ['a']), then('or', ['b']), step('a'), step('b'), step('join')],
    ['if:', 'or: if', 'a: if', 'b: or', 'join: a if b or'],
  ],
  [
    'a condition behind the steps of its branches',
    [step('first'), step('a'), then('if', ['a']), step('join')],
    ['first:', 'a: if', 'if: first', 'join: a if'],
  ],
  [
    'nested: the join waits for the end of each branch, however deep',
    [
      both('outer', ['inner'], ['z']),
      both('inner', ['a'], ['b']),
      ...['a', 'b', 'z', 'join'].map((name) => step(name)),
    ],
    ['outer:', 'inner: outer', 'a: inner', 'b: inner', 'z: outer', 'join: a b z'],
  ],
  [
    'nested: going on within the branch',
    [
      then('outer', ['a', 'inner', 'after']),
      step('a'),
      then('inner', ['b']),
      ...['b', 'after', 'join'].map((name) => step(name)),
    ],
    ['outer:', 'a: outer', 'inner: a', 'b: inner', 'after: b inner', 'join: after outer'],
  ],
  [
    'nested: three deep',
    [then('one', ['two']), then('two', ['three']), then('three', ['a']), step('a'), step('join')],
    ['one:', 'two: one', 'three: two', 'a: three', 'join: a three two one'],
  ],
  [
    'dependsOn of a join replaces what the list suggests',
    [both('if', ['a'], ['b']), step('a'), step('b'), step('join', { dependsOn: ['a'] }), step('end')],
    ['if:', 'a: if', 'b: if', 'join: a', 'end: join'],
  ],
  [
    'dependsOn within a branch: steps side by side, of which the last ends the branch',
    [then('if', ['a', 'b']), step('a'), step('b', { dependsOn: ['if'] }), step('join')],
    ['if:', 'a: if', 'b: if', 'join: b if'],
  ],
  [
    'dependsOn within a branch: behind the condition by another step',
    [step('other'), then('if', ['a', 'b']), step('a'), step('b', { dependsOn: ['other', 'a'] })],
    ['other:', 'if: other', 'a: if', 'b: other a'],
  ],
  [
    'dependsOn of a condition',
    [step('x'), step('y', { dependsOn: [] }), then('if', ['a'], { dependsOn: ['x', 'y'] }), step('a')],
    ['x:', 'y:', 'if: x y', 'a: if'],
  ],
  [
    'a condition that waits for nothing begins beside the rest',
    [step('x'), then('if', ['a'], { dependsOn: [] }), step('a'), step('join')],
    ['x:', 'if:', 'a: if', 'join: a if'],
  ],
];

for (const [what, steps, expected] of cases) {
  test(`order: ${what}`, () => {
    assert.deepEqual(waits(steps), expected);
    assert.deepEqual(problemsOf(steps), []);
  });
}

const CYCLE = 'Remove one of these dependencies';

const mistakes: [what: string, steps: Steps, problems: string[]][] = [
  [
    'a step in branches of two conditions',
    [then('if', ['a']), then('or', ['a']), step('a')],
    [
      'spec.steps[1].condition.then[0]: names a, which is in the branch then of if already: a step belongs to one branch at most',
    ],
  ],
  [
    'a step in both branches',
    [both('if', ['a'], ['a']), step('a')],
    [
      'spec.steps[0].condition.else[0]: names a, which is in the branch then of if already: a step belongs to one branch at most',
    ],
  ],
  [
    'a step twice in one branch',
    [then('if', ['a', 'a']), step('a')],
    [
      'spec.steps[0].condition.then[1]: names a, which is in the branch then of if already: a step belongs to one branch at most',
    ],
  ],
  [
    'an unknown name',
    [then('if', ['delpoy']), step('deploy')],
    ['spec.steps[0].condition.then[0]: names delpoy, which is no step of the workflow. Did you mean deploy?'],
  ],
  [
    'the condition itself',
    [both('if', [], ['if'])],
    ['spec.steps[0].condition.else[0]: names the step if itself: remove it'],
  ],
  [
    'a step that waits for nothing',
    [then('if', ['a']), step('a', { dependsOn: [] })],
    [
      'spec.steps[1].dependsOn: does not wait for if, in whose branch then the step is: add if, or a step behind it',
    ],
  ],
  [
    'a step that waits for what comes before the condition only',
    [step('x'), choose('if', 'true', [undefined, ['a']]), step('a', { dependsOn: ['x'] })],
    [
      'spec.steps[2].dependsOn: does not wait for if, in whose branch else the step is: add if, or a step behind it',
    ],
  ],
  [
    'a condition that waits for a step of its own branch',
    [then('if', ['a'], { dependsOn: ['a'] }), step('a')],
    [`spec.steps[0].dependsOn: makes steps wait for each other: if waits for a waits for if. ${CYCLE}`],
  ],
  [
    'conditions in branches of each other',
    [then('if', ['or']), then('or', ['if'])],
    [`spec.steps[0].dependsOn: makes steps wait for each other: if waits for or waits for if. ${CYCLE}`],
  ],
  [
    'a branch that runs into itself by dependsOn',
    [then('if', ['a', 'b']), step('a', { dependsOn: ['if', 'b'] }), step('b')],
    [`spec.steps[1].dependsOn: makes steps wait for each other: a waits for b waits for a. ${CYCLE}`],
  ],
  [
    'a condition that waits for the join behind it',
    [then('if', ['a'], { dependsOn: ['join'] }), step('a'), step('join')],
    [
      `spec.steps[0].dependsOn: makes steps wait for each other: if waits for join waits for a waits for if. ${CYCLE}`,
      `spec.steps[0].dependsOn: makes steps wait for each other: if waits for join waits for if. ${CYCLE}`,
    ],
  ],
];

for (const [what, steps, expected] of mistakes) {
  test(`refused: ${what}`, () => assert.deepEqual(problemsOf(steps), expected));
}

test('refused: a step of finally in a branch', () => {
  assert.deepEqual(problemsOf([then('if', ['clean'])], [step('clean')]), [
    'spec.steps[0].condition.then[0]: names clean, which runs in finally, after all other steps: remove it',
  ]);
});

test('every step knows its branch', () => {
  const steps = [both('outer', ['inner'], ['b']), then('inner', ['a']), step('a'), step('b'), step('join')];
  assert.deepEqual(Object.fromEntries(dependencies(steps, new Set()).branches), {
    inner: { condition: 'outer', side: 'then' },
    a: { condition: 'inner', side: 'then' },
    b: { condition: 'outer', side: 'else' },
  });
});

test('ancestors are found over any number of hops, and once', () => {
  const waitsFor = new Map([
    ['a', []],
    ['b', ['a']],
    ['c', ['a', 'b']],
    ['d', ['c']],
  ]);
  assert.deepEqual([...ancestorsOf('d', waitsFor)].toSorted(), ['a', 'b', 'c']);
  assert.deepEqual([...ancestorsOf('a', waitsFor)], []);
});

test('sorting keeps the order of the list where nothing stands against it', () => {
  const waitsFor = new Map([
    ['late', ['b']],
    ['a', []],
    ['b', []],
  ]);
  assert.deepEqual(sortByDependency(waitsFor), { order: ['b', 'late', 'a'], cycles: [] });
});
