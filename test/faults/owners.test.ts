import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setImmediate as nextTick } from 'node:timers/promises';
import type { DrawnWorkflow } from './drawn.ts';
import { drawn, row, runOf, workflowOf } from './fixtures.ts';
import { createOwners } from './owners.ts';

const finished = { finishedAt: '2030-01-01T00:00:00Z' };

/** Owners of runs of a workflow, whom the API server lets do everything. */
function ownersOf(more: Partial<DrawnWorkflow>) {
  const asked: string[] = [];
  const owners = createOwners({
    api: {
      create: async () => ({ taken: true, run: runOf('', []) }),
      annotate: async (who, run, what) => {
        asked.push(`${who} ${run} ${JSON.stringify(what)}`);
        return { taken: true, run: runOf('', []) };
      },
    },
    workflowOf: () => ({ ...workflowOf(drawn('a')), ...more }),
    count: () => undefined,
    onWrong: (_run, message) => assert.fail(message),
  });
  return { owners, asked };
}

suite('those who own a run', () => {
  test('cancel it once, when the step that does not end is under way', async () => {
    const hanging = drawn('a', { expected: { phase: 'Failed', reason: 'RunTimedOut', attempts: 1 } });
    const { owners, asked } = ownersOf({ steps: [hanging], endedBy: 'Cancel' });
    owners.onRun(runOf('Running', [row('a Pending')]));
    for (let seen = 0; seen < 2; seen++) owners.onRun(runOf('Running', [row('a Running')]));
    await nextTick();
    assert.deepEqual(asked, ['ann r {"cancel":"true"}']);
  });

  test('have it go on once, and are content when it does', async () => {
    const { owners, asked } = ownersOf({ continued: 'a' });
    owners.onRun(runOf('Running', []));
    assert.ok(owners.isContent());
    for (let seen = 0; seen < 2; seen++) owners.onRun(runOf('Succeeded', [], finished));
    await nextTick();
    assert.deepEqual(asked, ['ann r {"retry":"from:a"}']);
    assert.equal(owners.isContent(), false);
    owners.onRun(runOf('Running', [], { round: 1 }));
    assert.ok(owners.isContent());
    assert.deepEqual([...owners.continued], ['r']);
  });

  test('from what failed only if something did', async () => {
    const { owners, asked } = ownersOf({ continued: 'failed' });
    owners.onRun(runOf('Succeeded', [], finished));
    assert.deepEqual([...owners.continued], []);
    owners.onRun(runOf('Failed', [], finished));
    await nextTick();
    assert.deepEqual(asked, ['ann r {"retry":"failed"}']);
  });
});
