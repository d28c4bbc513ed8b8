import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WorkflowSpec } from '../../api/workflow.ts';
import { fakeRequest } from './fake-review.ts';
import { problemsOfRun, type Workflows } from './run-spec.ts';

const workflow = (more: Partial<WorkflowSpec> = {}): WorkflowSpec => ({
  state: 'Active',
  steps: [{ name: 'a', script: { bash: 'true' } }],
  ...more,
});
const sized = workflow({ params: [{ name: 'size', type: 'number', required: true }] });

/** What a run is told whose workflow was seen, and then read, like this; and how often it was read. */
async function tell(spec: object, seen: WorkflowSpec | undefined, now = seen) {
  let reads = 0;
  const workflows: Workflows = {
    workflowSpec: () => seen,
    async readWorkflowSpec() {
      reads += 1;
      return now;
    },
  };
  const object = { metadata: { name: 'run' }, spec: { workflowRef: { name: 'deploy' }, ...spec } };
  const problems = await problemsOfRun(fakeRequest('workflowruns', object), workflows);
  return { told: problems.map(({ field, message }) => `${field}: ${message}`), reads };
}

test('a run that can start costs no read', async () => {
  assert.deepEqual(await tell({}, workflow()), { told: [], reads: 0 });
  assert.deepEqual(await tell({ params: { size: 3 } }, sized), { told: [], reads: 0 });
});

test('a run that could not start is told why, with the field', async () => {
  const cases: [object, WorkflowSpec | undefined, string][] = [
    [{}, undefined, 'spec.workflowRef.name: there is no workflow deploy in namespace team-a: apply it first'],
    [
      {},
      workflow({ state: 'Draft' }),
      'spec.workflowRef.name: workflow deploy is a draft: set its spec.state to Active or Paused first',
    ],
    [{}, sized, 'spec.params.size: is required: give a number'],
    [
      { params: { size: 'large' } },
      sized,
      'spec.params.size: must be a number, and "large" is a string: write it without quotes',
    ],
    [
      { params: { size: 1, sise: 1 } },
      sized,
      'spec.params.sise: is no parameter of the workflow: it takes size. Did you mean size?',
    ],
  ];
  for (const [spec, seen, line] of cases) assert.deepEqual((await tell(spec, seen)).told, [line]);
});

test('a workflow that was applied in the moment before counts as it is now', async () => {
  assert.deepEqual(await tell({ params: { size: 3 } }, undefined, sized), { told: [], reads: 1 });
  assert.deepEqual(await tell({}, workflow({ state: 'Draft' }), workflow()), { told: [], reads: 1 });
});

test('what the schema will refuse is left to it', async () => {
  assert.deepEqual(await tell({ workflowRef: {} }, undefined), { told: [], reads: 0 });
});
