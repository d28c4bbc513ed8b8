import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reply, status } from '../kube/fake-server.ts';
import { fakeCluster } from './fake-cluster.ts';
import { createRunnerPods } from './runner-pods.ts';

const name = { namespace: 'team-a', name: 'deploy-1-apply-1' };

const podWith = (uid: string, changes: object = {}) => ({
  metadata: {
    ...name,
    uid,
    resourceVersion: '5',
    ownerReferences: [
      { apiVersion: 'batch/v1', kind: 'Job', name: name.name, uid: 'job-uid', controller: true },
    ],
  },
  ...changes,
});
const jobWith = (uid: string, run: string) => ({
  metadata: {
    ...name,
    uid,
    resourceVersion: '4',
    ownerReferences: [{ apiVersion: 'v', kind: 'WorkflowRun', name: 'deploy-1', uid: run, controller: true }],
  },
});

test('a pod that the watch knows is not asked for', async (t) => {
  const { cluster, requests } = await fakeCluster(t, () => {});
  cluster.pods.store.upsert(podWith('pod-uid'));
  cluster.jobs.store.upsert(jobWith('job-uid', 'run-uid'));
  const found = await createRunnerPods(cluster, () => 0)(name, 'pod-uid');
  assert.equal(found?.over, false);
  assert.equal(found?.isOf('run-uid'), true);
  assert.equal(found?.isOf('other'), false);
  assert.deepEqual(requests, []);
});

test('a pod that the watch does not know yet is asked for once, and its Job too', async (t) => {
  const { cluster, calls } = await fakeCluster(t, ({ url }, response) => {
    const answer = url.pathname.includes('/pods/') ? podWith('pod-uid') : jobWith('job-uid', 'run-uid');
    reply(response, 200, answer);
  });
  // Another pod of that name, which was there before.
  cluster.pods.store.upsert(podWith('old-uid'));
  const found = await createRunnerPods(cluster, () => 0)(name, 'pod-uid');
  assert.equal(found?.isOf('run-uid'), true);
  assert.deepEqual(calls(), ['GET pods/deploy-1-apply-1', 'GET jobs/deploy-1-apply-1']);
});

test('a pod that is gone, or another one, is not found', async (t) => {
  const { cluster } = await fakeCluster(t, ({ url }, response) => {
    if (url.pathname.endsWith('/gone')) reply(response, 404, status(404, 'NotFound'));
    else reply(response, 200, podWith('pod-uid'));
  });
  const find = createRunnerPods(cluster, () => 0);
  assert.equal(await find({ ...name, name: 'gone' }, 'pod-uid'), undefined);
  assert.equal(await find(name, 'other-uid'), undefined);
});

test('one that has ended is over; one without a Job is of no run; one whose Job was just deleted goes on', async (t) => {
  const { cluster } = await fakeCluster(t, (_, response) => reply(response, 404, status(404, 'NotFound')));
  const find = createRunnerPods(cluster, () => 0);
  cluster.pods.store.upsert(podWith('pod-uid', { status: { phase: 'Failed' } }));
  const ended = await find(name, 'pod-uid');
  assert.equal(ended?.over, true);
  assert.equal(ended?.isOf('run-uid'), true);
  const { metadata } = podWith('bare-uid');
  cluster.pods.store.upsert({ metadata: { ...metadata, name: 'bare', ownerReferences: [] } });
  assert.equal((await find({ ...name, name: 'bare' }, 'bare-uid'))?.isOf('run-uid'), false);
});
