import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { WorkflowRunStatus } from '../api/workflow-run.ts';
import type { Happening } from '../kube/events.ts';
import { reply, status } from '../kube/fake-server.ts';
import { type Answer, fakeCluster } from './fake-cluster.ts';
import { runOf } from './fake-run.ts';
import { createReply } from './reply.ts';
import type { RunView } from './views.ts';

const request = { name: 'cancel', value: 'true' } as const;
const cancelled: WorkflowRunStatus = {
  phase: 'Cancelled',
  finishedAt: '2030-01-01T00:00:00.000Z',
  cancellation: { requestedAt: '2030-01-01T00:00:00.000Z', reason: 'Cancelled', message: 'why' },
};
const handled = { ...cancelled, handled: 'cancel=true' };

/** The run without its annotation, at version 7. */
const patched: Answer = ({ method }, response) => {
  if (method !== 'PATCH') return;
  const metadata = { namespace: 'ns', name: 'r', uid: 'run', resourceVersion: '7' };
  reply(response, 200, { metadata, spec: runOf().spec, status: handled });
};

async function replyIn(t: TestContext, { answer = patched, refuseWrites = 0 } = {}) {
  const fake = await fakeCluster(t, answer);
  const told: Happening[] = [];
  const written: RunView[] = [];
  let refusals = refuseWrites;
  const made = createReply({
    runs: fake.cluster.runs,
    events: { record: (happening) => void told.push(happening), close: async () => {} },
    write: async (run, next) => {
      if (refusals-- > 0) throw new Error('somebody else wrote it');
      written.push({ ...run, status: next });
      return { ...run, status: next };
    },
  });
  return { made, told, written, requests: fake.requests };
}

test('an annotation is taken away from the version that was acted on, then told, then forgotten', async (t) => {
  const { made, told, written, requests } = await replyIn(t);
  const after = await made.answer({ run: runOf(handled, { control: { cancel: 'true' } }) }, request);
  assert.deepEqual(
    requests.map(({ body }) => JSON.parse(body) as unknown),
    [{ metadata: { resourceVersion: '1', annotations: { 'signalbox.dev/cancel': null } } }],
  );
  assert.deepEqual(
    told.map(({ type, reason }) => `${type} ${reason}`),
    ['Normal CancelAccepted'],
  );
  assert.deepEqual(
    written.map(({ resourceVersion, status }) => [resourceVersion, status.handled]),
    [['7', undefined]],
  );
  assert.equal(after.control.cancel, undefined);
});

test('what was refused is told as a warning, and costs no status', async (t) => {
  const { made, told, written } = await replyIn(t);
  await made.answer({ run: runOf({ phase: 'Running' }), refused: 'why' }, request);
  assert.deepEqual(
    told.map(({ type, note }) => `${type} ${note}`),
    ['Warning why'],
  );
  assert.deepEqual(written, []);
});

test('nothing is told of an annotation that could not be taken away: it is looked at again', async (t) => {
  const answer: Answer = (_, response) => reply(response, 409, status(409, 'Conflict'));
  const { made, told, written } = await replyIn(t, { answer });
  await assert.rejects(made.answer({ run: runOf(handled) }, request), /Conflict/);
  assert.deepEqual([told, written], [[], []]);
});

test('what a killed operator left in the status is forgotten', async (t) => {
  const { made, requests, written } = await replyIn(t);
  assert.equal((await made.answer({ run: runOf(handled) }, undefined)).status.handled, undefined);
  assert.equal(written.length, 1);
  const free = runOf(cancelled);
  assert.equal(await made.answer({ run: free }, undefined), free);
  assert.equal(requests.length, 0);
});

test('the same annotation once more, before the first is forgotten, is another one', async (t) => {
  const { made } = await replyIn(t, { refuseWrites: 1 });
  const again = runOf(handled, { control: { cancel: 'true' } });
  assert.equal(await made.resume(again), again);
  await assert.rejects(made.answer({ run: again }, request), /somebody else/);
  assert.equal((await made.resume(again)).status.handled, undefined);
  assert.equal(await made.resume(again), again);
});
