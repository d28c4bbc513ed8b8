import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { type FakeRequest, reply, status } from '../kube/fake-server.ts';
import { MANAGED_BY } from '../steps/job.ts';
import { MADE_AFTER } from '../steps/labels.ts';
import { type Answer, fakeCluster } from './fake-cluster.ts';
import { revisionOf, runOf, startOf } from './fake-run.ts';
import { createJobAttempts } from './job-attempts.ts';
import { fakeWorkshop } from '../steps/fake-program.ts';

const run = runOf();
const revision = revisionOf();
const start = startOf({ name: 'a', script: { bash: 'true' } }, 'j');

const owned = (uid: string, owner: string, version: number) => ({
  metadata: {
    namespace: 'ns',
    name: 'j',
    uid,
    resourceVersion: String(version),
    ownerReferences: [{ apiVersion: 'v1', kind: 'Owner', name: 'owner', uid: owner, controller: true }],
  },
});
const job = { ...owned('job', 'run', 2), spec: { managedBy: MANAGED_BY, template: {} } };
const pod = owned('pod', 'job', 3);

/** An API server that has Job and pod, and closes Jobs. */
const withBoth: Answer = ({ method, url }, response) => {
  if (method === 'PATCH') return reply(response, 200, { ...job, status: { conditions: closed } });
  if (method === 'GET') return reply(response, 200, url.pathname.includes('/jobs/') ? job : pod);
};
const closed = [{ type: 'Complete', status: 'True' }];

const { images } = fakeWorkshop();

async function attemptsOf(t: TestContext, answer: Answer) {
  const fake = await fakeCluster(t, answer);
  return {
    ...fake,
    attempts: createJobAttempts(fake.cluster, { images, runners: () => undefined, now: () => 0 }),
  };
}

test('what is found after a restart is not made again: it may be deleted in that very moment', async (t) => {
  const { attempts, calls } = await attemptsOf(t, withBoth);
  assert.equal(await attempts.start(run, start, revision), undefined);
  assert.deepEqual(calls(), ['GET jobs/j', 'GET pods/j']);
});

test('a Job that this process has made is not made again when its pod could not be: somebody may have deleted it', async (t) => {
  const { attempts, calls } = await attemptsOf(t, ({ method, url }, response) => {
    if (method === 'GET') return reply(response, 404, status(404, 'NotFound'));
    if (url.pathname.endsWith('/jobs')) return reply(response, 201, job);
    reply(response, 409, status(409, 'Conflict'));
  });
  attempts.begin(run, 'j');
  await assert.rejects(attempts.start(run, start, revision), /Conflict/);
  assert.deepEqual(calls(), ['POST jobs', 'POST pods']);
  assert.equal(await attempts.start(run, start, revision), 0);
  assert.deepEqual(calls().slice(2), ['GET jobs/j']);
  const seen = attempts.observe(run, 'j');
  assert.equal(seen.state === 'Ended' && seen.result.reason, 'Lost');
});

/** An API server whose objects of one kind are gone, and that remembers nothing of them since any version. */
const goneOf =
  (plural: string): Answer =>
  ({ method, url }, response) => {
    if (method === 'POST') return reply(response, 201, url.pathname.endsWith('/jobs') ? job : pod);
    if (!url.pathname.includes(`/${plural}`)) return reply(response, 200, job);
    if (url.searchParams.get('watch') === 'true') {
      const bookmark = { type: 'BOOKMARK', object: { metadata: { resourceVersion: '20' } } };
      return void response.end(`${JSON.stringify(bookmark)}\n`);
    }
    if (url.pathname.endsWith(`/${plural}`))
      return reply(response, 200, { metadata: { resourceVersion: '20' }, items: [] });
    reply(response, 404, status(404, 'NotFound'));
  };

const historyFrom = (requests: FakeRequest[]) =>
  requests.flatMap(({ url }) =>
    url.searchParams.get('watch') === 'true' ? (url.searchParams.get('resourceVersion') ?? '') : [],
  );

test('whether a Job was there is asked from before it was asked for, although somebody has voted since', async (t) => {
  const { attempts, requests } = await attemptsOf(t, goneOf('jobs'));
  const voted = runOf({ basedOn: '5' }, { resourceVersion: '9' });
  await attempts.start(voted, start, revision);
  // Once for the Job, and once for its pod, which is younger.
  assert.deepEqual(historyFrom(requests).slice(0, 1), ['5']);
  const made = requests.find(({ method, url }) => method === 'POST' && url.pathname.endsWith('/jobs'));
  const { metadata } = JSON.parse(made?.body ?? '{}') as { metadata: { annotations: object } };
  assert.deepEqual(metadata.annotations, { [MADE_AFTER]: '5' });
});

test('whether a pod was there is asked from before its Job, although somebody has annotated that since', async (t) => {
  const annotated = { ...job, metadata: { ...job.metadata, annotations: { [MADE_AFTER]: '5' } } };
  const pods = goneOf('pods');
  const { attempts, requests } = await attemptsOf(t, (request, response) => {
    if (request.method === 'GET' && request.url.pathname.includes('/jobs/'))
      return reply(response, 200, annotated);
    pods(request, response);
  });
  await attempts.start(runOf({}, { resourceVersion: '9' }), start, revision);
  assert.deepEqual(historyFrom(requests), ['5']);
});

test('a Job is closed when its attempt is not current any more, and only then', async (t) => {
  const { attempts, cluster, calls } = await attemptsOf(t, withBoth);
  cluster.jobs.store.upsert(job);
  await attempts.close(run, new Set(['j']));
  assert.deepEqual(calls(), []);
  await attempts.close(run, new Set(['another']));
  assert.deepEqual(calls(), ['PATCH jobs/j/status']);
});

test('the end of a pod names the Job, as proof that it was made', async (t) => {
  const { attempts, cluster } = await attemptsOf(t, withBoth);
  const terminated = { exitCode: 0, finishedAt: '2026-01-01T00:00:00Z', startedAt: '2026-01-01T00:00:00Z' };
  const containerStatuses = [
    { name: 'main', state: { terminated }, image: 'i', imageID: 'i', ready: false, restartCount: 0 },
  ];
  cluster.pods.store.upsert({ ...pod, status: { containerStatuses } });
  const seen = attempts.observe(run, 'j');
  assert.equal(seen.state === 'Ended' && seen.result.uid, 'job');
});

test('the UID of a Job is that of its own run only', async (t) => {
  const { attempts, cluster } = await attemptsOf(t, withBoth);
  cluster.jobs.store.upsert(job);
  assert.equal(attempts.uidOf(run, 'j'), 'job');
  assert.equal(attempts.uidOf({ ...run, uid: 'another' }, 'j'), undefined);
});

/** A pod that says that its step has succeeded. */
const succeeded = (owner: string) => ({
  ...owned('pod', owner, 5),
  status: {
    containerStatuses: [
      {
        name: 'main',
        state: { terminated: { exitCode: 0, finishedAt: '2026-01-01T00:00:00Z', message: 'ok=true' } },
        image: 'i',
        imageID: 'i',
        ready: false,
        restartCount: 0,
      },
    ],
  },
});

test('what the pod of a Job says counts for nothing when somebody else owns the Job', async (t) => {
  const { attempts, cluster } = await attemptsOf(t, withBoth);
  cluster.jobs.store.upsert({ ...job, ...owned('theirs', 'somebody', 4) });
  cluster.pods.store.upsert(succeeded('theirs'));
  assert.deepEqual(attempts.observe(run, 'j'), { state: 'Absent' });
});

test('a Job and its pod that somebody puts in the place of those of the step are not taken for them', async (t) => {
  const theirs = { ...job, ...owned('theirs', 'run', 4) };
  const { attempts, cluster } = await attemptsOf(t, ({ url }, response) => {
    reply(response, 200, url.pathname.includes('/jobs/') ? theirs : succeeded('theirs'));
  });
  const row = { name: 'a', type: 'script', phase: 'Running', attempt: 1, job: { name: 'j' } } as const;
  const seenBefore = runOf({ steps: [{ ...row, job: { name: 'j', uid: 'job' } }] });
  cluster.pods.store.upsert(succeeded('theirs'));
  for (const place of ['gone', 'exchanged']) {
    if (place === 'exchanged') cluster.jobs.store.upsert(theirs);
    assert.deepEqual(attempts.observe(seenBefore, 'j'), { state: 'Absent' }, place);
    assert.equal(attempts.uidOf(seenBefore, 'j'), 'job', place);
  }
  assert.equal(await attempts.start(seenBefore, start, revision), 0);
  const seen = attempts.observe(seenBefore, 'j');
  assert.equal(seen.state === 'Ended' && seen.result.reason, 'Lost');
});

test('the same holds while only this process has seen the Job', async (t) => {
  const { attempts, cluster } = await attemptsOf(t, withBoth);
  cluster.runs.store.upsert({
    apiVersion: 'signalbox.dev/v1alpha1',
    kind: 'WorkflowRun',
    metadata: { namespace: 'ns', name: 'owner', uid: 'run', resourceVersion: '1' },
    spec: { workflowRef: { name: 'w' }, trigger: { type: 'Manual' } },
  });
  cluster.jobs.store.observe('ADDED', job);
  cluster.jobs.store.observe('DELETED', { ...job, ...owned('job', 'run', 3) });
  cluster.jobs.store.observe('ADDED', { ...job, ...owned('theirs', 'run', 4) });
  cluster.pods.store.upsert(succeeded('theirs'));
  assert.deepEqual(attempts.observe(run, 'j'), { state: 'Absent' });
});

/** As the kubelet told of a pod that it evicted a minute after its container had begun. */
const evicted = {
  phase: 'Failed',
  reason: 'Evicted',
  message: 'Pod ephemeral local storage usage exceeds its limit',
};

test('a pod that is evicted had begun if it was seen running, whatever the kubelet tells of it then', async (t) => {
  const { attempts, cluster } = await attemptsOf(t, withBoth);
  const main = { name: 'main', image: '', imageID: '', ready: true, restartCount: 0 };
  const running = { containerStatuses: [{ ...main, state: { running: {} } }] };
  cluster.pods.store.observe('ADDED', { ...owned('pod', 'job', 3), status: running });
  assert.equal(attempts.observe(run, 'j').state, 'Running');
  cluster.pods.store.observe('MODIFIED', { ...owned('pod', 'job', 4), status: evicted });
  const seen = attempts.observe(run, 'j');
  assert.ok(seen.state === 'Ended');
  assert.equal(seen.result.reason, 'Evicted');
  assert.equal(seen.result.notStarted, undefined);
});

test('a pod that is evicted before it was seen running had not begun', async (t) => {
  const { attempts, cluster } = await attemptsOf(t, withBoth);
  cluster.pods.store.observe('ADDED', { ...owned('pod', 'job', 4), status: evicted });
  const seen = attempts.observe(run, 'j');
  assert.ok(seen.state === 'Ended');
  assert.equal(seen.result.notStarted, true);
});
