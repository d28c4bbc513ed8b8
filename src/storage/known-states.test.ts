import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Secret } from 'kubernetes-types/core/v1.d.ts';
import { reply, startFakeServer, stream } from '../kube/fake-server.ts';
import { createTransport } from '../kube/transport.ts';
import { fakeStorage, terraformState } from './fake-storage.ts';
import { createKnownStates } from './known-states.ts';
import { lockInfoSchema } from './state-head.ts';

const holder = { pod: 'deploy-1-apply-1', podUid: 'pod-uid-1', run: 'deploy-1', step: 'apply' };

/** Heads of states as the operator writes them. */
async function headsOf(t: Parameters<typeof fakeStorage>[0]): Promise<Secret[]> {
  const { storage, secrets } = await fakeStorage(t);
  const lock = (workspace: string, id: string) =>
    storage.states.lock(
      { namespace: 'team-a', project: 'network', workspace },
      lockInfoSchema.parse({ ID: id, Operation: 'OperationTypeApply' }),
      holder,
    );
  await lock('staging', 'lock-2');
  await lock('default', 'lock-1');
  const key = { namespace: 'team-a', project: 'network', workspace: 'default' };
  await storage.states.write(key, { content: terraformState(7), lockId: 'lock-1', holder, keep: 3 });
  await storage.states.unlock(key, 'lock-1');
  return [...secrets.values()].filter(({ metadata }) => metadata?.name?.startsWith('signalbox-state-'));
}

test('what is known of states is shown by workspace, with locks that nobody will release', async (t) => {
  const heads = await headsOf(t);
  const broken = {
    metadata: { namespace: 'system', name: 'signalbox-state-x', uid: 'x', resourceVersion: '900' },
    data: { head: 'eA==' },
  };
  const server = await startFakeServer(({ url }, response) => {
    if (!url.searchParams.has('watch')) return reply(response, 400, {});
    const events = [...heads, broken].map((object) => ({ type: 'ADDED', object }));
    const annotations = { 'k8s.io/initial-events-end': 'true' };
    const bookmark = { type: 'BOOKMARK', object: { metadata: { resourceVersion: '1000', annotations } } };
    stream(response, ...events, bookmark);
  });
  const transport = createTransport(server.connection, { userAgent: 'test' });
  const errors: string[] = [];
  const told: string[] = [];
  const known = createKnownStates(transport, 'system', (error) => errors.push(String(error)));
  known.subscribe(({ project, workspace }) => told.push(`${project} ${workspace}`));
  const stop = new AbortController();
  const running = known.run(stop.signal);
  await known.synced;
  assert.match(server.requests[0]?.url.search ?? '', /labelSelector=signalbox.dev%2Fartifact%3Dstate/);
  assert.deepEqual(told.sort(), ['network default', 'network staging']);
  // One that is broken hurts only itself.
  assert.match(errors.join(), /the Secret system\/signalbox-state-x is not as the operator wrote it/);

  const [first, second, ...more] = known.shown('team-a', 'network', ({ podUid }) => podUid === holder.podUid);
  assert.deepEqual(more, []);
  assert.ok(first && second?.lock);
  assert.deepEqual(
    { ...first, updatedAt: '' },
    {
      workspace: 'default',
      versions: 1,
      serial: 7,
      lineage: 'lineage-1',
      updatedAt: '',
    },
  );
  const { since, ...lock } = second.lock;
  assert.ok(Date.parse(since) > 0);
  assert.deepEqual(lock, {
    id: 'lock-2',
    operation: 'OperationTypeApply',
    pod: holder.pod,
    run: holder.run,
    step: holder.step,
    orphaned: true,
  });
  assert.equal(known.shown('team-a', 'network', () => false)[1]?.lock?.orphaned, undefined);
  assert.deepEqual(
    known.shown('team-b', 'network', () => false),
    [],
  );
  stop.abort(new Error('the test is over'));
  await running;
  await transport.close();
  await server[Symbol.asyncDispose]();
});
