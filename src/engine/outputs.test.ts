import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compile } from './graph.ts';
import { resolvers } from './model-shell.ts';
import { each, failed, finishRun, HOUR, runThrough, step, succeeded, takeOn } from './turns.ts';

test('a run that succeeded gives what its workflow says, in the type that it has', () => {
  const run = runThrough(
    {
      params: [{ name: 'region' }],
      outputs: {
        where: 'params.region',
        count: 'int(steps.a.outputs.n) + 1',
        list: 'steps.many.outputs.map(o, o.id)',
        map: '{"phase": run.phase, "last": steps.last.phase}',
        skipped: 'steps.never.phase == "Skipped"',
      },
      steps: [step('a'), step('many', each(['x', 'y'])), step('never', { when: 'false' })],
      finally: [step('last')],
    },
    {
      a: succeeded({ outputs: { n: '41' } }),
      'many[x]': succeeded({ outputs: { id: 1 } }),
      'many[y]': succeeded({ outputs: { id: 'two' } }),
    },
    { region: 'us' },
  );
  assert.equal(run.status.phase, 'Succeeded');
  assert.deepEqual(run.status.outputs, {
    where: 'us',
    count: 42,
    list: [1, 'two'],
    map: { phase: 'Succeeded', last: 'Succeeded' },
    skipped: true,
  });
});

test('a run that did not succeed gives nothing, and neither does one that goes on', () => {
  const spec = { outputs: { x: '1' }, steps: [step('a'), step('b')] };
  const run = runThrough(spec, { b: failed() });
  assert.equal(run.status.phase, 'Failed');
  assert.equal(run.status.outputs, undefined);
  run.retry(HOUR);
  finishRun(run, HOUR);
  assert.deepEqual(run.status.outputs, { x: 1 });
  run.retry(2 * HOUR, 'b');
  assert.equal(run.status.outputs, undefined);
  run.at(2 * HOUR);
  assert.equal(run.status.outputs, undefined);
});

test('an output that can not be worked out fails the run, and its steps stay as they are', () => {
  const run = runThrough({
    outputs: { fine: '1', version: 'steps.a.outputs.version' },
    steps: [step('a')],
  });
  assert.equal(run.phases(), 'a:Succeeded/Completed');
  const { phase, reason, message, outputs, progress, conditions } = run.status;
  assert.deepEqual(
    { phase, reason, message, outputs, progress },
    {
      phase: 'Failed',
      reason: 'OutputError',
      message:
        'outputs.version: steps.a.outputs.version is not there: step a gave no output named version; guard it with has()',
      outputs: undefined,
      progress: '1/1',
    },
  );
  assert.equal(conditions?.[0]?.status, 'False');
  assert.deepEqual(run.at(HOUR), { status: run.status, effects: [] });
});

test('a run that failed by its outputs goes on from a step', () => {
  const run = runThrough({ outputs: { x: 'steps.a.outputs.x' }, steps: [step('a'), step('b')] });
  assert.equal(run.refusal(), 'No step of the run failed.');
  run.retry(HOUR, 'a');
  finishRun(run, HOUR, { a: succeeded({ outputs: { x: 'there' } }) });
  assert.deepEqual(run.status.outputs, { x: 'there' });
});

test('outputs of steps that together are too large fail the step that exceeds what there is room for', () => {
  const run = takeOn({ steps: [step('many', each(['a', 'b', 'c'], { failFast: false }))] });
  run.at(0);
  const big = succeeded({ outputs: { x: 'x'.repeat(100_000) } });
  run.at(1, { 'many[a]': big, 'many[b]': big, 'many[c]': big });
  assert.equal(
    run.phases(),
    'many:Failed/InstancesFailed many[a]:Succeeded/Completed many[b]:Succeeded/Completed many[c]:Failed/OutputsTooLarge',
  );
});

test('what may not stand in outputs is refused', () => {
  const compiled = compile({ outputs: { a: 'steps.b.outputs.x', c: 'item' }, steps: [step('a')] }, resolvers);
  assert.deepEqual(!compiled.ok && compiled.problems, [
    { field: 'spec.outputs.a', message: 'reads step b, which does not exist. Did you mean a?' },
    {
      field: 'spec.outputs.c',
      message:
        'reads item, which is not known here: there are params, steps, run, workflow and trigger. Text is written in quotes: "item".',
    },
  ]);
});
