import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { Workflow, WorkflowRun } from '../api/resources.ts';
import { fakeClock } from '../kube/fake-clock.ts';
import { reply } from '../kube/fake-server.ts';
import { createWorkQueue } from '../kube/work-queue.ts';
import { LABELS } from '../steps/labels.ts';
import { type Answer, fakeCluster } from './fake-cluster.ts';
import { WORKFLOW_FINALIZER } from './finalizers.ts';
import { createWorkflowController } from './workflow-controller.ts';

const NOW = Date.parse('2030-01-01T00:00:00Z');

const meta = (name: string, version: number) => ({
  namespace: 'ns',
  name,
  uid: name,
  resourceVersion: String(version),
});

const workflow: Workflow = {
  apiVersion: 'signalbox.dev/v1alpha1',
  kind: 'Workflow',
  metadata: { ...meta('w', 1), finalizers: [WORKFLOW_FINALIZER] },
  spec: { state: 'Active', steps: [{ name: 'a', script: { bash: 'true' } }] },
};

const run: WorkflowRun = {
  apiVersion: 'signalbox.dev/v1alpha1',
  kind: 'WorkflowRun',
  metadata: meta('r', 4),
  spec: { workflowRef: { name: 'w' }, trigger: { type: 'Manual' } },
  status: { phase: 'Running', revision: 'w-new' },
};

const revision = (name: string, version: number) => ({
  metadata: { ...meta(name, version), labels: { [LABELS.workflow]: 'w' } },
  revision: 1,
});

/** A controller on a fake cluster, with these workflows and runs. */
async function controllerOf(
  t: TestContext,
  { answer, kept }: { answer?: Answer; kept: (Workflow | WorkflowRun)[] },
) {
  const fake = await fakeCluster(t, answer ?? ((_, response) => reply(response, 200, workflow)));
  const { cluster } = fake;
  const reconcile = createWorkflowController({
    cluster,
    // Nobody waits for what is to be looked at later.
    queue: createWorkQueue({ clock: fakeClock() }),
    events: { record: () => {}, close: async () => {} },
    now: () => NOW,
  });
  for (const object of kept) {
    if (object.kind === 'Workflow') cluster.workflows.store.observe('ADDED', object);
    else cluster.runs.store.observe('ADDED', object);
  }
  return { ...fake, reconcile };
}

const finishedAt = '2029-12-31T00:00:00.000Z';
const finished = (
  name: string,
  version: number,
  metadata: object = {},
  status: object = {},
): WorkflowRun => ({
  ...run,
  metadata: { ...meta(name, version), ...metadata },
  status: { phase: 'Succeeded', finishedAt, ...status },
});
const ownedBy = (name: string) => ({
  ownerReferences: [
    { apiVersion: 'signalbox.dev/v1alpha1', kind: 'WorkflowRun', name, uid: name, controller: true },
  ],
});

test('a revision is kept that a run took while the workflow was being reported on', async (t) => {
  const answer: Answer = ({ method }, response) => {
    if (method === 'PATCH') {
      cluster.revisions.store.observe('ADDED', revision('w-new', 3));
      cluster.runs.store.observe('ADDED', run);
    }
    reply(response, 200, workflow);
  };
  const { cluster, reconcile, calls } = await controllerOf(t, { answer, kept: [workflow] });
  cluster.revisions.store.observe('ADDED', revision('w-old', 2));

  await reconcile('ns/w');

  assert.deepEqual(calls(), ['PATCH workflows/w/status', 'DELETE controllerrevisions/w-old']);
});

test('retention spares the runs that something still needs', async (t) => {
  const spec = { ...workflow.spec, retention: { succeeded: 0 } };
  const parent = {
    ...run,
    metadata: meta('parent', 2),
    spec: { ...run.spec, workflowRef: { name: 'other' } },
  };
  const notifications = [{ name: 'onSuccess[0]', type: 'slack', phase: 'Running', attempt: 1 }];
  const { reconcile, calls } = await controllerOf(t, {
    kept: [
      { ...workflow, spec },
      parent,
      finished('child', 3, ownedBy('parent')),
      finished('continued', 4, { annotations: { 'signalbox.dev/retry': 'failed' } }),
      finished('telling', 5, {}, { notifications }),
      finished('orphan', 6, ownedBy('nobody')),
      finished('old', 7),
    ],
  });
  await reconcile('ns/w');
  const deleted = calls().filter((call) => call.startsWith('DELETE'));
  assert.deepEqual(deleted.toSorted(), ['DELETE workflowruns/old', 'DELETE workflowruns/orphan']);
});

test('a workflow is kept from its deletion on until its runs and then its revisions are gone', async (t) => {
  const deletionTimestamp = '2029-12-31T00:00:00Z';
  const deleted = { ...workflow, metadata: { ...workflow.metadata, deletionTimestamp } };
  const { cluster, reconcile, calls, requests } = await controllerOf(t, { kept: [deleted, run] });
  cluster.revisions.store.observe('ADDED', revision('w-new', 3));
  await reconcile('ns/w');
  assert.deepEqual(calls(), ['DELETE workflowruns/r']);

  const leaving = { ...run, metadata: { ...meta('r', 8), deletionTimestamp } };
  cluster.runs.store.observe('MODIFIED', leaving);
  await reconcile('ns/w');
  assert.equal(calls().length, 1);

  cluster.runs.store.observe('DELETED', { ...leaving, metadata: meta('r', 9) });
  await reconcile('ns/w');
  assert.deepEqual(calls().slice(1), ['DELETE controllerrevisions/w-new', 'PATCH workflows/w']);
  assert.deepEqual(JSON.parse(requests.at(-1)?.body ?? ''), {
    metadata: { resourceVersion: '1', finalizers: [] },
  });
});

test('a workflow gets its finalizer before anything else', async (t) => {
  const answer: Answer = (_, response) => reply(response, 200, workflow);
  const bare = { ...workflow, metadata: meta('w', 1) };
  const { reconcile, calls } = await controllerOf(t, { answer, kept: [bare] });
  await reconcile('ns/w');
  assert.deepEqual(calls(), ['PATCH workflows/w', 'PATCH workflows/w/status']);
});

test('a schedule shows in the status of its workflow, and is gone from it when the workflow is paused', async (t) => {
  const nightly = { name: 'nightly', schedule: { cron: '0 3 * * *', timeZone: 'UTC' } };
  const spec = { ...workflow.spec, triggers: [nightly] };
  const { reconcile, requests } = await controllerOf(t, { kept: [{ ...workflow, spec }] });
  await reconcile('ns/w');
  const { status } = JSON.parse(requests[0]?.body ?? '') as Pick<Workflow, 'status'>;
  assert.deepEqual([status?.triggers, status?.nextRun], ['Schedule', '2030-01-01T03:00:00.000Z']);
  assert.deepEqual(status?.schedules, [
    { name: 'nightly', cron: '0 3 * * *', timeZone: 'UTC', handledUntil: '2030-01-01T00:00:00.000Z' },
  ]);
  assert.deepEqual(
    status?.conditions?.map(({ type, reason }) => `${type} ${reason}`),
    ['Ready Active', 'Scheduled OnTime'],
  );

  const paused = { ...workflow, spec: { ...spec, state: 'Paused' as const }, status: status ?? {} };
  const then = await controllerOf(t, { kept: [paused] });
  await then.reconcile('ns/w');
  const patch = JSON.parse(then.requests[0]?.body ?? '') as { status: Record<string, unknown> };
  assert.deepEqual([patch.status['nextRun'], patch.status['schedules']], [null, null]);
});

test('a run whose time is still to come is kept: it keeps that time from being started again', async (t) => {
  const trigger = { type: 'Schedule' as const, name: 'nightly' };
  const ofSchedule = (name: string, version: number, scheduledAt: string) => ({
    ...finished(name, version),
    spec: { ...run.spec, trigger: { ...trigger, scheduledAt } },
  });
  const { reconcile, calls } = await controllerOf(t, {
    kept: [
      { ...workflow, spec: { ...workflow.spec, retention: { succeeded: 0 } } },
      ofSchedule('ahead', 2, '2030-01-01T03:00:00.000Z'),
      ofSchedule('past', 3, '2029-12-31T03:00:00.000Z'),
    ],
  });
  await reconcile('ns/w');
  assert.deepEqual(
    calls().filter((call) => call.startsWith('DELETE')),
    ['DELETE workflowruns/past'],
  );
});

test('a trigger that is wrong shows in the condition, and keeps nobody from starting runs by hand', async (t) => {
  const spec = { ...workflow.spec, triggers: [{ name: 'x', schedule: { cron: 'x', timeZone: 'UTC' } }] };
  const metadata = { ...workflow.metadata, annotations: { 'signalbox.dev/run': 'now' } };
  const answer: Answer = (request, response) =>
    reply(
      response,
      200,
      request.method === 'POST' ? JSON.parse(request.body) : { ...workflow, metadata, spec },
    );
  const { reconcile, calls, requests } = await controllerOf(t, {
    answer,
    kept: [{ ...workflow, metadata, spec }],
  });
  await reconcile('ns/w');
  assert.ok(calls().includes('POST workflowruns'), calls().join());
  const conditions = requests.map(({ body }) => body).find((body) => body.includes('InvalidSpec'));
  assert.match(conditions ?? '', /spec\.triggers\[0\]\.schedule\.cron: must have five fields/);
});
