import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { WorkflowRun } from '../api/resources.ts';
import type { Happening } from '../kube/events.ts';
import { reply } from '../kube/fake-server.ts';
import { LABELS } from '../steps/labels.ts';
import type { Attempts } from './attempts.ts';
import { fakeCluster } from './fake-cluster.ts';
import { runOf } from './fake-run.ts';
import { RUN_FINALIZER } from './finalizers.ts';
import { createRunDeletion } from './run-deletion.ts';

const DELETED = Date.parse('2030-01-01T00:00:00Z');
const MINUTE = 60_000;
const run = runOf({ phase: 'Running' }, { deletedAt: DELETED, finalizers: ['other', RUN_FINALIZER] });

const owned = (name: string, owner: { kind: string; uid: string; name: string }) => ({
  namespace: 'ns',
  name,
  uid: name,
  resourceVersion: '3',
  labels: { [LABELS.run]: 'r' },
  ownerReferences: [{ apiVersion: 'v1', controller: true, ...owner }],
});
const job = { metadata: owned('j', { kind: 'WorkflowRun', uid: 'run', name: 'r' }) };
const pod = { metadata: owned('j', { kind: 'Job', uid: 'j', name: 'j' }) };
const child: WorkflowRun = {
  apiVersion: 'signalbox.dev/v1alpha1',
  kind: 'WorkflowRun',
  metadata: owned('child', { kind: 'WorkflowRun', uid: 'run', name: 'r' }),
  spec: { workflowRef: { name: 'w' }, trigger: { type: 'Workflow' } },
};

async function deletionIn(t: TestContext, now: number) {
  const fake = await fakeCluster(t, (_, response) => reply(response, 200, {}));
  const told: Happening[] = [];
  const closed: string[] = [];
  const later: number[] = [];
  const added: string[] = [];
  const forgotten: string[] = [];
  const attempts: Pick<Attempts, 'close'> = {
    close: async ({ status }) => void closed.push(`${status.phase} ${status.finishedAt !== undefined}`),
  };
  const deletion = createRunDeletion({
    cluster: fake.cluster,
    queue: { add: (key) => void added.push(key), addAfter: (_, ms) => void later.push(ms) },
    attempts: attempts as Attempts,
    events: { record: (happening) => void told.push(happening), close: async () => {} },
    async forgetPlans(uid) {
      forgotten.push(uid);
      throw new Error('storage is away');
    },
    now: () => now,
  });
  return { ...fake, deletion, told, closed, later, added, forgotten };
}

test('a run is kept, and its attempts are ended, until its pods have ended', async (t) => {
  const { cluster, deletion, closed, later, calls } = await deletionIn(t, DELETED + MINUTE);
  cluster.jobs.store.observe('ADDED', job);
  cluster.pods.store.observe('ADDED', pod);
  await deletion.release(run, DELETED);
  // Whatever its status says is under way is not any more.
  assert.deepEqual(closed, ['undefined true']);
  assert.deepEqual([calls(), later], [[], [MINUTE]]);

  cluster.pods.store.observe('MODIFIED', {
    metadata: { ...pod.metadata, resourceVersion: '4' },
    status: { phase: 'Failed' },
  });
  await deletion.release(run, DELETED);
  assert.deepEqual(calls(), ['PATCH workflowruns/r']);
});

test('of its finalizers only our own is taken away, from the version that was seen', async (t) => {
  const { deletion, requests } = await deletionIn(t, DELETED);
  await deletion.release(run, DELETED);
  assert.deepEqual(
    requests.map(({ body }) => JSON.parse(body) as unknown),
    [{ metadata: { resourceVersion: '1', finalizers: ['other'] } }],
  );
  await deletion.release({ ...run, finalizers: ['other'] }, DELETED);
  assert.equal(requests.length, 1);
});

test('its plans go with it, and never hold it up', async (t) => {
  const { deletion, calls, forgotten } = await deletionIn(t, DELETED);
  await deletion.release(run, DELETED);
  assert.deepEqual(forgotten, []);
  await deletion.release({ ...run, onProjects: true }, DELETED);
  assert.deepEqual(forgotten, ['run']);
  assert.deepEqual(calls(), ['PATCH workflowruns/r', 'PATCH workflowruns/r']);
});

test('what does not end in time is left behind, and named', async (t) => {
  const { cluster, deletion, told, calls } = await deletionIn(t, DELETED + 2 * MINUTE);
  cluster.jobs.store.observe('ADDED', job);
  cluster.pods.store.observe('ADDED', pod);
  await deletion.release(run, DELETED);
  assert.deepEqual(calls(), ['PATCH workflowruns/r']);
  assert.deepEqual(
    told.map(({ type, reason }) => `${type} ${reason}`),
    ['Warning DeletionForced'],
  );
  assert.match(told[0]?.note ?? '', /2 minutes .*: pod j\.$/);
});

test('runs that its steps started are deleted first, and waited for', async (t) => {
  const { cluster, deletion, calls, closed, added } = await deletionIn(t, DELETED);
  cluster.runs.store.observe('ADDED', child);
  await deletion.release(run, DELETED);
  assert.deepEqual([calls(), closed], [['DELETE workflowruns/child'], []]);

  const deletionTimestamp = '2030-01-01T00:00:01Z';
  const metadata = { ...child.metadata, resourceVersion: '4', deletionTimestamp };
  cluster.runs.store.observe('MODIFIED', { ...child, metadata });
  assert.deepEqual(added, ['ns/r']);
  await deletion.release(run, DELETED);
  assert.deepEqual([calls().length, closed.length], [1, 1]);

  cluster.runs.store.observe('DELETED', { ...child, metadata: { ...metadata, resourceVersion: '5' } });
  await deletion.release(run, DELETED);
  assert.deepEqual(calls().slice(1), ['PATCH workflowruns/r']);
});
