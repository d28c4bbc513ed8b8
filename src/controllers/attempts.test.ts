import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { reply, startFakeServer, status } from '../kube/fake-server.ts';
import { createTransport } from '../kube/transport.ts';
import { MANAGED_BY } from '../steps/job.ts';
import { createAttempts } from './attempts.ts';
import { createCluster } from './cluster.ts';
import type { RunView } from './views.ts';

const run: RunView = {
  namespace: 'ns',
  name: 'r',
  uid: 'run',
  resourceVersion: '1',
  createdAt: 0,
  deleting: false,
  spec: { workflowRef: { name: 'w' }, trigger: { type: 'Manual' } },
  status: {},
};
const start = {
  type: 'Start',
  step: 'a',
  attempt: 1,
  job: 'j',
  spec: { name: 'a', script: { bash: 'true' } },
} as const;

const owned = (uid: string, owner: string, version: number) => ({
  metadata: {
    namespace: 'ns',
    name: 'j',
    uid,
    resourceVersion: String(version),
    ownerReferences: [{ apiVersion: 'v1', kind: 'Owner', name: 'owner', uid: owner, controller: true }],
  },
});
const objects: Record<string, object> = {
  jobs: { ...owned('job', 'run', 2), spec: { managedBy: MANAGED_BY } },
  pods: owned('pod', 'job', 3),
};

/** Attempts in a cluster that has Job and pod, and takes no others. */
async function attemptsOf(t: TestContext) {
  const server = await startFakeServer(({ method, url }, response) => {
    const found = objects[url.pathname.split('/').at(-2) ?? ''];
    if (method === 'GET' && found) return reply(response, 200, found);
    reply(response, 403, status(403, 'Forbidden'));
  });
  const transport = createTransport(server.connection, { userAgent: 'test' });
  t.after(async () => {
    await transport.close();
    await server[Symbol.asyncDispose]();
  });
  const cluster = createCluster({ transport, now: () => 0, onError: (error) => assert.ifError(error) });
  return { attempts: createAttempts(cluster, { script: 'image' }, () => 0), requests: server.requests };
}

test('what is found after a restart is not made again: it may be deleted in that very moment', async (t) => {
  const { attempts, requests } = await attemptsOf(t);
  assert.equal(await attempts.start(run, start, {}), undefined);
  assert.deepEqual(
    requests.map(({ method, url }) => `${method} ${url.pathname.split('/').slice(-2).join('/')}`),
    ['GET jobs/j', 'GET pods/j'],
  );
});
