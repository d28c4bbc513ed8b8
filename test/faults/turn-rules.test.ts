import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { WorkflowRun } from '../../src/api/resources.ts';
import type { WorkflowRunStatus } from '../../src/api/workflow-run.ts';
import type { DrawnConcurrency } from './drawn.ts';
import { drawn, runOf, workflowOf } from './fixtures.ts';
import type { Life } from './journal.ts';
import { turnProblems } from './turn-rules.ts';

const created = (
  name: string,
  second: number,
  phase: string,
  more: Partial<WorkflowRunStatus>,
): WorkflowRun => {
  const run = runOf(phase, [], more);
  const creationTimestamp = `2030-01-01T00:00:0${second}Z`;
  return { ...run, metadata: { ...run.metadata, name, creationTimestamp } };
};

const problemsOf = (
  policy: Exclude<DrawnConcurrency['policy'], 'Allow'>,
  run: WorkflowRun,
  others: WorkflowRun[],
  lives: Record<string, Life> = {},
) =>
  turnProblems({ ...workflowOf(drawn('a')), concurrency: { policy } }, run, {
    runs: new Map([run, ...others].map((one) => [one.metadata.name ?? '', one])),
    lives: new Map(Object.entries(lives)),
  });

suite('a run that was turned away', () => {
  const message = 'Run one of the same concurrency key is active since 2030: try again when it has ended.';
  const away = created('two', 2, 'Cancelled', { reason: 'ConcurrencyForbid', message });
  const one = created('one', 1, 'Succeeded', {});

  test('is right while the other was there', () => {
    const lives = { one: { seenAt: 0, endedAt: 50_000 }, two: { seenAt: 40_000 } };
    assert.deepEqual(problemsOf('Forbid', away, [one], lives), []);
  });

  test('is wrong if the other had ended long before, was never there, or nothing is forbidden', () => {
    const lives = { one: { seenAt: 0, endedAt: 10_000 }, two: { seenAt: 40_000 } };
    assert.equal(problemsOf('Forbid', away, [one], lives).length, 1);
    assert.equal(problemsOf('Forbid', away, []).length, 1);
    assert.equal(problemsOf('Queue', away, [one]).length, 1);
    const other = created('one', 1, 'Cancelled', { reason: 'ConcurrencyForbid' });
    assert.equal(problemsOf('Forbid', away, [other]).length, 1);
  });
});

suite('a run that was replaced', () => {
  const by = (name: string) => ({
    cancellation: { requestedAt: '', reason: 'Replaced', message: `Replaced by run ${name}.` } as const,
  });
  const two = created('two', 2, 'Succeeded', {});

  test('is right if the other is newer', () => {
    assert.deepEqual(problemsOf('Replace', created('one', 1, 'Cancelled', by('two')), [two]), []);
  });

  test('is wrong if the other is older or not there, nobody is left, or nothing is replaced', () => {
    const late = created('three', 3, 'Cancelled', by('two'));
    assert.equal(problemsOf('Replace', late, [two]).length, 1);
    assert.equal(problemsOf('Replace', created('one', 1, 'Cancelled', by('four')), [two]).length, 1);
    const all = [created('two', 2, 'Cancelled', by('one'))];
    assert.equal(problemsOf('Replace', created('one', 1, 'Cancelled', by('two')), all).length, 1);
    assert.equal(problemsOf('Forbid', created('one', 1, 'Cancelled', by('two')), [two]).length, 1);
  });
});
