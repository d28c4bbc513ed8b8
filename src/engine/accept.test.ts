import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WorkflowRunStatus } from '../api/workflow-run.ts';
import { acceptRun, refuseRun } from './accept.ts';
import { decide } from './decide.ts';
import { compile } from './graph.ts';
import type { Observation } from './model.ts';
import { resolvers } from './model-shell.ts';

const NOW = Date.parse('2030-01-01T00:00:00Z');
const LATER = NOW + 90_000;

function graphOf(steps: string[]) {
  const compiled = compile({ steps: steps.map((name) => ({ name, script: { bash: 'true' } })) }, resolvers);
  assert.ok(compiled.ok);
  return compiled.graph;
}

test('an accepted run is running, with all steps pending', () => {
  assert.deepEqual(acceptRun(graphOf(['a', 'b']), { revision: 'deploy-1234' }, NOW), {
    phase: 'Running',
    revision: 'deploy-1234',
    startedAt: '2030-01-01T00:00:00.000Z',
    progress: '0/2',
    conditions: [
      {
        type: 'Succeeded',
        status: 'Unknown',
        reason: 'Running',
        message: 'The run has not ended.',
        lastTransitionTime: '2030-01-01T00:00:00.000Z',
      },
    ],
    steps: [
      { name: 'a', type: 'script', phase: 'Pending' },
      { name: 'b', type: 'script', phase: 'Pending' },
    ],
  });
});

test('a refused run has failed, with the reason', () => {
  assert.deepEqual(refuseRun({}, 'WorkflowNotFound', 'There is no workflow deploy.', NOW), {
    phase: 'Failed',
    reason: 'WorkflowNotFound',
    message: 'There is no workflow deploy.',
    finishedAt: '2030-01-01T00:00:00.000Z',
    duration: '0s',
    conditions: [
      {
        type: 'Succeeded',
        status: 'False',
        reason: 'WorkflowNotFound',
        message: 'There is no workflow deploy.',
        lastTransitionTime: '2030-01-01T00:00:00.000Z',
      },
    ],
  });
});

test('a run that can not go on takes its steps with it', () => {
  const graph = graphOf(['done', 'a', 'b']);
  const run = {
    name: 'r',
    namespace: 'ns',
    uid: 'uid',
    workflow: 'w',
    params: {},
    trigger: { type: 'Manual' as const },
  };
  const next = (status: WorkflowRunStatus, observed: [string, Observation][]) =>
    decide({ graph, run, status, observed: new Map(observed), resolvers, now: NOW }).status;
  const result = { outcome: 'Succeeded', reason: 'Completed', finishedAt: NOW } as const;
  const status = next(next(acceptRun(graph, { revision: 'x' }, NOW), []), [
    ['done', { state: 'Ended', result }],
  ]);
  const refused = refuseRun(status, 'RevisionNotFound', 'm'.repeat(2000), LATER);
  assert.equal(refused.phase, 'Failed');
  assert.equal(refused.duration, '1m30s');
  assert.equal(refused.progress, '3/3');
  assert.equal(refused.currentStep, undefined);
  assert.equal(refused.message?.length, 1024);
  assert.deepEqual(
    refused.steps?.map(({ name, phase, reason, message }) => [name, phase, reason, message?.length]),
    [
      ['done', 'Succeeded', 'Completed', undefined],
      ['a', 'Failed', 'RevisionNotFound', 1024],
      ['b', 'Skipped', 'RevisionNotFound', 1024],
    ],
  );
});
