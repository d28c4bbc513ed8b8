import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compile } from '../../src/engine/graph.ts';
import { stepTypes } from '../../src/steps/index.ts';
import { RECEIVER } from './kinds/http.ts';
import { createRandom } from './random.ts';
import { drawWorkflow } from './workflows.ts';

const DRAWS = 300;

test('the same seed draws the same workflow, and another one another', () => {
  const draw = (seed: string) => JSON.stringify(drawWorkflow(createRandom(seed), 'w'));
  assert.equal(draw('one'), draw('one'));
  assert.notEqual(draw('one'), draw('two'));
});

test('every workflow is valid, and its steps wait for what the drawing says', () => {
  for (let index = 0; index < DRAWS; index++) {
    const drawn = drawWorkflow(createRandom(`draw ${index}`), 'w');
    for (const workflow of [drawn, ...drawn.children]) {
      const receiver = { name: RECEIVER, type: 'string', default: 'http://127.0.0.1' };
      const { params = [], ...spec } = workflow.spec;
      const compiled = compile({ ...spec, params: [...params, receiver] }, stepTypes);
      if (!compiled.ok) assert.fail(JSON.stringify(compiled.problems));
      const waits = (list: readonly { name: string; waitsFor: readonly string[] }[]) =>
        list.map(({ name, waitsFor }) => [name, waitsFor.toSorted()]);
      assert.deepEqual(waits(compiled.graph.nodes), waits(workflow.steps));
    }
  }
});

test('every kind of step is drawn', () => {
  const found = new Set<string>();
  for (let index = 0; index < DRAWS; index++) {
    for (const { spec } of drawWorkflow(createRandom(`draw ${index}`), 'w').steps) {
      for (const member of Object.keys(spec)) found.add(member);
    }
  }
  const wanted = [
    'script',
    'condition',
    'http',
    'workflow',
    'approval',
    'forEach',
    'dependsOn',
    'runIf',
    'when',
    'retry',
    'timeout',
  ];
  assert.deepEqual(
    wanted.filter((member) => !found.has(member)),
    [],
  );
});
