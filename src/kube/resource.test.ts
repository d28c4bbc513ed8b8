import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { ServerResponse } from 'node:http';
import { ConnectionError } from './errors.ts';
import { type FakeRequest, reply, startFakeServer, status } from './fake-server.ts';
import { type KubeObject, type ResourceType, resourceClient } from './resource.ts';
import { createTransport } from './transport.ts';

const THINGS: ResourceType = {
  group: 'test.dev',
  version: 'v1',
  plural: 'things',
  kind: 'Thing',
  namespaced: true,
};
const NODES: ResourceType = { group: '', version: 'v1', plural: 'nodes', kind: 'Node', namespaced: false };

async function client(
  t: TestContext,
  answer: (response: ServerResponse, request: FakeRequest, count: number) => void,
  type = THINGS,
) {
  const server = await startFakeServer((request, response, count) => answer(response, request, count));
  const transport = createTransport(server.connection, { userAgent: 'test', random: () => 0 });
  t.after(async () => {
    await transport.close();
    await server[Symbol.asyncDispose]();
  });
  return {
    things: resourceClient<KubeObject & { spec?: object }>(transport, type),
    requests: server.requests,
  };
}

type Things = Awaited<ReturnType<typeof client>>['things'];

const echo = (response: ServerResponse, request: FakeRequest) =>
  reply(response, 200, JSON.parse(request.body || '{}'));

test('paths follow from group, namespace and name, whatever they contain', async (t) => {
  const { things, requests } = await client(t, echo);
  await things.get({ namespace: 'ns', name: 'a/b?c' });
  await things.patchStatus({ namespace: 'ns', name: 'a', resourceVersion: '7' }, { ready: true });
  const nodes = await client(t, echo, NODES);
  await nodes.things.get({ name: 'n' });
  assert.equal(requests[0]?.url.pathname, '/apis/test.dev/v1/namespaces/ns/things/a%2Fb%3Fc');
  assert.equal(requests[1]?.url.pathname, '/apis/test.dev/v1/namespaces/ns/things/a/status');
  assert.equal(requests[1]?.body, '{"metadata":{"resourceVersion":"7"},"status":{"ready":true}}');
  assert.equal(requests[1]?.headers['content-type'], 'application/merge-patch+json');
  assert.equal(nodes.requests[0]?.url.pathname, '/api/v1/nodes/n');
});

test('what is sent says its type, and nobody else needs to', async (t) => {
  const { things } = await client(t, echo);
  const object = { metadata: { namespace: 'ns', name: 'a' } };
  assert.deepEqual(await things.create(object), { ...object, apiVersion: 'test.dev/v1', kind: 'Thing' });
});

/** Breaks the connection instead of the first answer. */
const loseFirst =
  (then: (response: ServerResponse) => void) => (response: ServerResponse, _: FakeRequest, count: number) =>
    count === 1 ? void response.destroy() : then(response);

test('a lost answer: what may have happened twice is not tried twice', async (t) => {
  const name = { namespace: 'ns', name: 'a' };
  const once = [
    (things: Things) => things.create({ metadata: name }),
    (things: Things) => things.patch(name, { spec: {} }),
    (things: Things) => things.delete(name),
  ];
  for (const call of once) {
    const { things, requests } = await client(
      t,
      loseFirst((response) => reply(response, 200, {})),
    );
    await assert.rejects(call(things), ConnectionError);
    assert.equal(requests.length, 1);
  }
  const again = [
    (things: Things) => things.patch(name, { metadata: { resourceVersion: '1' } }),
    (things: Things) => things.patchStatus({ ...name, resourceVersion: '1' }, {}),
    (things: Things) => things.delete(name, { uid: 'u' }),
    (things: Things) => things.apply({ metadata: name }, { fieldManager: 'me' }),
    (things: Things) => things.get(name),
    (things: Things) => things.ensure({ metadata: name }),
  ];
  for (const call of again) {
    const { things, requests } = await client(
      t,
      loseFirst((response) => reply(response, 200, {})),
    );
    await call(things);
    assert.equal(requests.length, 2);
  }
});

test('ensure: an object that is there already, perhaps by our own lost call, is returned as found', async (t) => {
  const found = { metadata: { namespace: 'ns', name: 'a', uid: 'u' } };
  const { things } = await client(t, (response, request) => {
    if (request.method === 'POST') reply(response, 409, status(409, 'AlreadyExists'));
    else reply(response, 200, found);
  });
  const result = await things.ensure({ metadata: { namespace: 'ns', name: 'a' } });
  assert.deepEqual(result, { object: found, created: false });
});

test('a list is read in pages, and a page can be had by itself', async (t) => {
  const { things, requests } = await client(t, (response, request) => {
    const last = request.url.searchParams.get('continue') === 'token';
    const metadata = last ? { resourceVersion: '5' } : { resourceVersion: '5', continue: 'token' };
    reply(response, 200, { metadata, items: [{ metadata: { name: last ? 'b' : 'a' } }] });
  });
  const { items, resourceVersion } = await things.list({ namespace: 'ns', labelSelector: 'x=y' });
  assert.deepEqual(
    items.map(({ metadata }) => metadata?.name),
    ['a', 'b'],
  );
  assert.equal(resourceVersion, '5');
  assert.ok(requests.every(({ url }) => url.searchParams.get('labelSelector') === 'x=y'));
});

test('a deletion names the incarnation that is meant', async (t) => {
  const { things, requests } = await client(t, (response) => reply(response, 200, {}));
  await things.delete(
    { namespace: 'ns', name: 'a' },
    { uid: 'u', propagationPolicy: 'Background', gracePeriodSeconds: 0 },
  );
  assert.deepEqual(JSON.parse(requests[0]?.body ?? ''), {
    kind: 'DeleteOptions',
    apiVersion: 'v1',
    preconditions: { uid: 'u' },
    propagationPolicy: 'Background',
    gracePeriodSeconds: 0,
  });
});
