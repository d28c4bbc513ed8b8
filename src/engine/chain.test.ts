import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WorkflowSpec } from '../api/workflow.ts';
import { cycleProblems } from './chain.ts';

/** Workflows by name, each with those that it runs. */
const house = (graph: Record<string, string[]>) => {
  const specOf = (name: string): WorkflowSpec | undefined =>
    graph[name] && {
      state: 'Active',
      steps: graph[name].map((called, index) => ({ name: `s${index}`, workflow: { name: called } })),
    };
  return (name: string) => cycleProblems(name, specOf(name) ?? { state: 'Active', steps: [] }, specOf);
};

test('workflows that run one another in one direction are fine, also by two ways', () =>
  assert.deepEqual(house({ a: ['b', 'c'], b: ['d'], c: ['d'], d: [] })('a'), []));

test('a workflow that runs itself, directly or through others, is told the way', () => {
  assert.deepEqual(house({ a: ['a'] })('a'), [
    {
      field: 'spec.steps[0].workflow.name',
      message: 'would have a run itself without end: a runs a. Take one of these steps out',
    },
  ]);
  const [problem, ...others] = house({ a: ['x', 'b'], b: ['c'], c: ['b', 'a'], x: [] })('a');
  assert.deepEqual(others, []);
  assert.equal(problem?.field, 'spec.steps[1].workflow.name');
  assert.match(problem?.message ?? '', /a runs b runs c runs a\./);
});

test('a cycle among others is theirs to mend', () =>
  assert.deepEqual(house({ a: ['b'], b: ['c'], c: ['b'] })('a'), []));

test('what is not there yet is no cycle', () => assert.deepEqual(house({ a: ['gone'] })('a'), []));

test('steps of finally count', () => {
  const spec: WorkflowSpec = {
    state: 'Active',
    steps: [{ name: 's', script: { bash: 'true' } }],
    finally: [{ name: 'f', workflow: { name: 'a' } }],
  };
  assert.equal(cycleProblems('a', spec, () => spec)[0]?.field, 'spec.finally[0].workflow.name');
});
