import assert from 'node:assert/strict';
import { suite, test, type TestContext } from 'node:test';
import type { WorkflowRun } from '../api/resources.ts';
import type { WorkflowRunStatus } from '../api/workflow-run.ts';
import { CREATED_BY, createdBy, creatorOf } from '../engine/created-by.ts';
import { reply, status } from '../kube/fake-server.ts';
import { fakeKeys } from '../storage/fake-keys.ts';
import { createSeals } from '../storage/seals.ts';
import { type Answer, fakeCluster } from './fake-cluster.ts';
import { revisionOf, runOf, running, startOf } from './fake-run.ts';
import { createRunAttempts, waitingParent } from './run-attempts.ts';
import { type RunView, runView } from './views.ts';

const run = runOf();
const revision = revisionOf();
const start = startOf({ name: 'call', workflow: { name: 'child', params: { n: 3 } } }, 'r-call-1');
const END = '2030-01-01T00:00:00.000Z';
const sealing = createSeals(fakeKeys('key'));

function child(status: WorkflowRunStatus = {}, { owner = 'run', version = 2 } = {}): WorkflowRun {
  return {
    apiVersion: 'signalbox.dev/v1alpha1',
    kind: 'WorkflowRun',
    metadata: {
      namespace: 'ns',
      name: 'r-call-1',
      uid: 'child',
      resourceVersion: String(version),
      creationTimestamp: END,
      ownerReferences: [
        {
          apiVersion: 'signalbox.dev/v1alpha1',
          kind: 'WorkflowRun',
          name: 'r',
          uid: owner,
          controller: true,
        },
      ],
    },
    spec: { workflowRef: { name: 'child' }, trigger: { type: 'Workflow', name: 'r' } },
    status,
  };
}

/** What a watch tells that has told everything up to version 7. */
const bookmark = `${JSON.stringify({ type: 'BOOKMARK', object: { metadata: { resourceVersion: '7' } } })}\n`;

/** Takes what is created and patched, and knows of no run before that. */
const empty: Answer = ({ method, url, body }, response) => {
  if (method === 'GET' && url.searchParams.has('watch')) return void response.end(bookmark);
  if (method === 'GET' && url.searchParams.has('fieldSelector')) {
    return reply(response, 200, { metadata: { resourceVersion: '7' }, items: [] });
  }
  if (method === 'GET') return reply(response, 404, status(404, 'NotFound'));
  const sent = JSON.parse(body) as WorkflowRun;
  if (method === 'PATCH') return reply(response, 200, child({}, { version: 3 }));
  return reply(response, 201, {
    ...sent,
    metadata: { ...sent.metadata, uid: 'child', resourceVersion: '2', creationTimestamp: END },
  });
};

async function attemptsOf(t: TestContext, answer: Answer = empty) {
  const fake = await fakeCluster(t, answer);
  const changed: string[] = [];
  const attempts = createRunAttempts(
    fake.cluster,
    (key) => changed.push(key),
    () => Date.parse(END),
    sealing,
  );
  const sent = (index: number) => JSON.parse(fake.requests[index]?.body ?? '{}') as WorkflowRun;
  return { ...fake, attempts, changed, sent };
}

suite('the run of an attempt', () => {
  test('belongs to the run that started it, and is observed from then on', async (t) => {
    const { attempts, calls, changed, sent } = await attemptsOf(t);
    attempts.begin(run, 'r-call-1');
    assert.equal(await attempts.start(run, start, revision), undefined);
    assert.deepEqual(calls(), ['POST workflowruns']);
    const { metadata, spec } = sent(0);
    assert.equal(metadata.name, 'r-call-1');
    assert.deepEqual(metadata.finalizers, ['signalbox.dev/run']);
    assert.deepEqual(metadata.ownerReferences, [
      {
        apiVersion: 'signalbox.dev/v1alpha1',
        kind: 'WorkflowRun',
        name: 'r',
        uid: 'run',
        controller: true,
        blockOwnerDeletion: true,
      },
    ]);
    assert.equal(metadata.labels?.['signalbox.dev/step'], 'call');
    assert.deepEqual(spec, {
      workflowRef: { name: 'child' },
      params: { n: 3 },
      trigger: { type: 'Workflow', name: 'r', step: 'call', depth: 1 },
    });
    assert.deepEqual(attempts.observe(run, 'r-call-1'), { state: 'Running' });
    assert.equal(attempts.uidOf(run, 'r-call-1'), 'child');
    assert.deepEqual(changed, ['ns/r-call-1'], 'nobody else tells that it is there to be worked on');
  });

  test('is on record as that of whoever started the run, with the commit that it is about', async (t) => {
    const { attempts, sent } = await attemptsOf(t);
    const origin = { namespace: 'ns', name: 'r', creationTimestamp: END };
    const annotations = { [CREATED_BY]: createdBy(origin, 'jane', sealing, Date.parse(END)) };
    const git = { commit: 'abc', author: 'joe' };
    const spec = { ...run.spec, trigger: { type: 'GitPush' as const, git } };
    await attempts.start({ ...run, spec, origin: { ...origin, annotations } }, start, revision);
    const made = sent(3);
    const created = { ...made, metadata: { ...made.metadata, creationTimestamp: END } };
    assert.deepEqual(creatorOf(created, sealing), { kind: 'User', user: 'jane' });
    assert.deepEqual(made.spec.trigger.git, git);
    const { annotations: none } = (
      await attemptsOf(t).then(async (other) => {
        other.attempts.begin(run, 'r-call-1');
        await other.attempts.start(
          { ...run, origin: { ...origin, name: 'q', annotations } },
          start,
          revision,
        );
        return other.sent(0);
      })
    ).metadata;
    assert.equal(none, undefined);
  });

  test('is made after a restart only if it never was', async (t) => {
    const { attempts, calls } = await attemptsOf(t);
    await attempts.start(run, start, revision);
    assert.deepEqual(calls(), [
      'GET workflowruns/r-call-1',
      // The list, and the history up to it.
      'GET workflowruns',
      'GET workflowruns',
      'POST workflowruns',
    ]);
  });

  test('is looked for from before it was asked for, although somebody has voted since', async (t) => {
    const { attempts, requests } = await attemptsOf(t);
    await attempts.start(
      { ...run, status: { ...run.status, basedOn: '5' }, resourceVersion: '9' },
      start,
      revision,
    );
    const history = requests.find(({ url }) => url.searchParams.get('watch') === 'true');
    assert.equal(history?.url.searchParams.get('resourceVersion'), '5');
  });

  test('is lost when it is gone and its UID is known', async (t) => {
    const { attempts, calls } = await attemptsOf(t);
    const row = running('call', 'workflow', { run: { name: 'r-call-1', uid: 'child' } });
    const seen = runOf({ steps: [row] });
    assert.equal(await attempts.start(seen, start, revision), 0);
    assert.deepEqual(calls(), ['GET workflowruns/r-call-1']);
    assert.equal(reasonOf(attempts.observe(seen, 'r-call-1')), 'Lost');
  });

  test('is never adopted from somebody else', async (t) => {
    const foreign = child({}, { owner: 'another' });
    const { attempts, cluster } = await attemptsOf(t, (_, response) => reply(response, 200, foreign));
    cluster.runs.store.upsert(foreign);
    assert.equal(attempts.observe(run, 'r-call-1').state, 'Absent');
    await attempts.start(run, start, revision);
    assert.equal(reasonOf(attempts.observe(run, 'r-call-1')), 'NameTaken');
  });

  test('is not made when there are too many above it', async (t) => {
    const { attempts, calls } = await attemptsOf(t);
    const deep = runOf({}, { spec: { ...run.spec, trigger: { type: 'Workflow', name: 'x', depth: 8 } } });
    attempts.begin(deep, 'r-call-1');
    await attempts.start(deep, start, revision);
    assert.equal(reasonOf(attempts.observe(deep, 'r-call-1')), 'ChainTooDeep');
    assert.deepEqual(calls(), []);
  });

  test('is not made when one above it is of the same workflow', async (t) => {
    const { attempts, cluster, calls } = await attemptsOf(t);
    const top = child();
    cluster.runs.store.upsert({
      ...top,
      metadata: { ...top.metadata, name: 'top', uid: 'top' },
      spec: { workflowRef: { name: 'child' }, trigger: { type: 'Manual' } },
    });
    const below = runOf({}, { spec: { ...run.spec, trigger: { type: 'Workflow', name: 'top', depth: 1 } } });
    attempts.begin(below, 'r-call-1');
    await attempts.start(below, start, revision);
    const seen = attempts.observe(below, 'r-call-1');
    assert.equal(reasonOf(seen), 'WorkflowCycle');
    assert.match(seen.state === 'Ended' ? (seen.result.message ?? '') : '', /child runs w runs child/);
    assert.deepEqual(calls(), []);
  });
});

suite('what comes of the run of an attempt', () => {
  const known = runOf({ steps: [running('call', 'workflow', { run: { name: 'r-call-1', uid: 'child' } })] });
  const ends: [string, WorkflowRunStatus, string, RegExp][] = [
    [
      'that failed',
      { phase: 'Failed', reason: 'StepFailed', message: 'Step a failed: no disk', startedAt: END },
      'ChildFailed',
      /^Run r-call-1 failed: Step a failed: no disk$/,
    ],
    [
      'that was refused',
      { phase: 'Failed', reason: 'WorkflowNotFound', message: 'There is no workflow child.' },
      'WorkflowNotFound',
      /failed: There is no workflow child/,
    ],
    [
      'that took too long',
      { phase: 'TimedOut', reason: 'RunTimedOut', message: 'It was slow.', startedAt: END },
      'ChildTimedOut',
      /timed out: It was slow/,
    ],
    [
      'that somebody cancelled',
      { phase: 'Cancelled', reason: 'Cancelled', message: 'Jane did.', startedAt: END },
      'ChildCancelled',
      /was cancelled: Jane did/,
    ],
  ];
  for (const [title, ended, reason, message] of ends) {
    test(`${title} is a failure that says why`, async (t) => {
      const { attempts, cluster } = await attemptsOf(t);
      cluster.runs.store.upsert(child({ ...ended, finishedAt: END }));
      const seen = attempts.observe(known, 'r-call-1');
      assert.ok(seen.state === 'Ended');
      assert.deepEqual([seen.result.outcome, seen.result.reason], ['Failed', reason]);
      assert.match(seen.result.message ?? '', message);
      assert.equal(seen.result.uid, 'child');
    });
  }

  test('that succeeded gives its outputs', async (t) => {
    const { attempts, cluster } = await attemptsOf(t);
    cluster.runs.store.upsert(
      child({ phase: 'Succeeded', startedAt: END, finishedAt: END, outputs: { a: 1 } }),
    );
    assert.deepEqual(attempts.observe(known, 'r-call-1'), {
      state: 'Ended',
      result: {
        outcome: 'Succeeded',
        reason: 'Completed',
        summary: 'Run r-call-1 Succeeded',
        outputs: { a: 1 },
        finishedAt: Date.parse(END),
        uid: 'child',
      },
    });
  });

  test('that waits for its turn is running: no pendingTimeout ends it', async (t) => {
    const { attempts, cluster } = await attemptsOf(t);
    cluster.runs.store.upsert(child({ phase: 'Queued', message: 'Waits for run y.' }));
    const queued = 'Run r-call-1 is queued: Waits for run y.';
    assert.deepEqual(attempts.observe(known, 'r-call-1'), { state: 'Running', queued });
  });
});

suite('a run that somebody made in the place of that of an attempt', () => {
  const meant = {
    ...child().spec,
    params: { n: 3 },
    trigger: { type: 'Workflow', name: 'r', step: 'call', depth: 1 },
  } as const;
  const done = { phase: 'Succeeded', startedAt: END, finishedAt: END, outputs: { a: 1 } } as const;
  const origin = { namespace: 'ns', name: 'r', creationTimestamp: END };
  const recordOf = (user: string, name: string) => ({
    [CREATED_BY]: createdBy({ ...origin, name }, user, sealing, Date.parse(END)),
  });
  const ofJane = { ...run, origin: { ...origin, annotations: recordOf('jane', 'r') } };

  /** What is seen of a run that is there when the step is started, before and after that. */
  async function seenOf(t: TestContext, found: WorkflowRun, of: RunView = ofJane) {
    const { attempts, cluster } = await attemptsOf(t, (_, response) => reply(response, 200, found));
    cluster.runs.store.upsert(found);
    const before = attempts.observe(of, 'r-call-1');
    assert.equal(await attempts.start(of, start, revision), 0);
    return { before, after: attempts.observe(of, 'r-call-1') };
  }

  const foreign: [string, Partial<WorkflowRun['spec']>, string][] = [
    ['of another workflow', { workflowRef: { name: 'harmless' } }, 'jane'],
    ['with other params', { params: { n: 4 } }, 'jane'],
    ['about another commit', { trigger: { ...meant.trigger, git: { commit: 'abc' } } }, 'jane'],
    ['that somebody else has created', {}, 'mallory'],
  ];
  for (const [title, changes, user] of foreign) {
    test(`and says that it belongs to it, ${title}, is not taken for it`, async (t) => {
      const { metadata } = child();
      const annotations = recordOf(user, 'r-call-1');
      const found = {
        ...child(done),
        metadata: { ...metadata, annotations },
        spec: { ...meant, ...changes },
      };
      const { before, after } = await seenOf(t, found);
      assert.equal(before.state, 'Absent');
      assert.equal(reasonOf(after), 'NameTaken');
    });
  }

  test('is told from the one that was made, which counts after a restart when it was looked at', async (t) => {
    const { metadata } = child();
    const annotations = recordOf('jane', 'r-call-1');
    const { before, after } = await seenOf(t, {
      ...child(done),
      metadata: { ...metadata, annotations },
      spec: meant,
    });
    assert.equal(before.state, 'Absent');
    assert.equal(after.state === 'Ended' && after.result.outcome, 'Succeeded');
  });

  test('after the first was deleted is Lost', async (t) => {
    const row = running('call', 'workflow', { run: { name: 'r-call-1', uid: 'first' } });
    const { before, after } = await seenOf(t, { ...child(done), spec: meant }, runOf({ steps: [row] }));
    assert.equal(before.state, 'Absent');
    assert.equal(reasonOf(after), 'Lost');
  });
});

suite('stopping', () => {
  const stop = { type: 'Stop', step: 'call', stepType: 'workflow', attempt: 1, id: 'r-call-1' } as const;
  const cancellation = { requestedAt: END, reason: 'Cancelled', message: 'm' } as const;

  test('cancels the run once', async (t) => {
    const { attempts, cluster, calls, changed, sent } = await attemptsOf(t);
    cluster.runs.store.upsert(child());
    await attempts.stop(run, stop);
    assert.deepEqual(calls(), ['PATCH workflowruns/r-call-1']);
    assert.deepEqual(sent(0).metadata, { uid: 'child', annotations: { 'signalbox.dev/cancel': 'true' } });
    assert.deepEqual(changed, ['ns/r-call-1']);
    cluster.runs.store.upsert(child({ phase: 'Running', cancellation }, { version: 4 }));
    await attempts.stop(run, stop);
    assert.equal(calls().length, 1);
  });

  test('with force cancels it a second time', async (t) => {
    const { attempts, cluster, calls } = await attemptsOf(t);
    cluster.runs.store.upsert(child({ phase: 'Running', cancellation }));
    await attempts.stop(run, { ...stop, force: true });
    assert.equal(calls().length, 1);
  });

  test('for good reaches one that was still about to be cancelled', async (t) => {
    const { attempts, cluster, calls } = await attemptsOf(t);
    cluster.runs.store.upsert(child({ phase: 'Running', cancellation }));
    const ended = runOf({ finishedAt: END, cancellation: { ...cancellation, terminatedAt: END } });
    await attempts.close(ended, new Set());
    assert.deepEqual(calls(), ['PATCH workflowruns/r-call-1']);
  });

  test('reaches what no attempt stands for any more', async (t) => {
    const { attempts, cluster, calls } = await attemptsOf(t);
    cluster.runs.store.upsert(child({ phase: 'Running' }));
    await attempts.close(run, new Set(['r-call-1']));
    assert.deepEqual(calls(), []);
    await attempts.close(run, new Set());
    assert.deepEqual(calls(), ['PATCH workflowruns/r-call-1']);
  });
});

test('the run that waits is told when another that it started moves on', () => {
  const at = (status: WorkflowRunStatus) => runView(child(status));
  const change = (before: WorkflowRunStatus, after: WorkflowRunStatus) =>
    waitingParent({
      type: 'Updated',
      key: 'k',
      source: 'Watch',
      object: at(after),
      previous: at(before),
    });
  assert.equal(change({ phase: 'Running' }, { phase: 'Succeeded', finishedAt: END }), 'ns/r');
  assert.equal(change({ phase: 'Running' }, { phase: 'Running', progress: '1/2' }), undefined);
  const gone = { type: 'Deleted', key: 'k', source: 'Watch', previous: at({}) } as const;
  assert.equal(waitingParent(gone), 'ns/r');
  assert.equal(waitingParent({ ...gone, previous: run }), undefined);
});

const reasonOf = (seen: ReturnType<ReturnType<typeof createRunAttempts>['observe']>) =>
  seen.state === 'Ended' ? seen.result.reason : seen.state;
