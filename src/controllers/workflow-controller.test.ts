import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Workflow, WorkflowRun } from '../api/resources.ts';
import { reply, startFakeServer } from '../kube/fake-server.ts';
import { createTransport } from '../kube/transport.ts';
import { createWorkQueue } from '../kube/work-queue.ts';
import { LABELS } from '../steps/labels.ts';
import { createCluster } from './cluster.ts';
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

test('a revision is kept that a run took while the workflow was being reported on', async () => {
  await using server = await startFakeServer((request, response) => {
    if (request.method === 'PATCH') {
      cluster.revisions.store.observe('ADDED', revision('w-new', 3));
      cluster.runs.store.observe('ADDED', run);
    }
    reply(response, 200, workflow);
  });
  const transport = createTransport(server.connection, { userAgent: 'test' });
  const onError = (error: unknown) => assert.ifError(error);
  const cluster = createCluster({ transport, now: () => NOW, onError });
  const reconcile = createWorkflowController({
    cluster,
    queue: createWorkQueue(),
    events: { record: () => {}, close: async () => {} },
    now: () => NOW,
  });
  cluster.workflows.store.observe('ADDED', workflow);
  cluster.revisions.store.observe('ADDED', revision('w-old', 2));

  await reconcile('ns/w');

  await transport.close();
  assert.deepEqual(
    server.requests.map(({ method, url }) => `${method} ${url.pathname.replace(/^.*\/ns\//, '')}`),
    ['PATCH workflows/w/status', 'DELETE controllerrevisions/w-old'],
  );
});
