import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { type TestContext, test } from 'node:test';
import type { Clock } from './clock.ts';
import { ApiError } from './errors.ts';
import { type FakeRequest, reply, startFakeServer, status, stream } from './fake-server.ts';
import { createInformer, type InformerOptions } from './informer.ts';
import { type KubeObject, type ResourceType, resourceClient } from './resource.ts';
import { createTransport } from './transport.ts';

const THINGS: ResourceType = {
  group: 'test.dev',
  version: 'v1',
  plural: 'things',
  kind: 'Thing',
  namespaced: true,
};

const thing = (name: string, revision: number): KubeObject => ({
  metadata: { namespace: 'ns', name, uid: `${name}-1`, resourceVersion: String(revision) },
});
const added = (name: string, revision: number) => ({ type: 'ADDED', object: thing(name, revision) });
const modified = (name: string, revision: number) => ({ type: 'MODIFIED', object: thing(name, revision) });
const deleted = (name: string, revision: number) => ({ type: 'DELETED', object: thing(name, revision) });
const bookmark = (revision: number, annotations = {}) => ({
  type: 'BOOKMARK',
  object: { metadata: { resourceVersion: String(revision), annotations } },
});
const initialEnd = (revision: number) => bookmark(revision, { 'k8s.io/initial-events-end': 'true' });
const errorEvent = (code: number, reason: string) => ({ type: 'ERROR', object: status(code, reason) });

type Answer = (response: ServerResponse, request: FakeRequest) => void;

/** Answers the requests in this order; the last one is given to all that follow. */
async function reflect(t: TestContext, answers: Answer[], options: Partial<Options> = {}) {
  const server = await startFakeServer((request, response, count) =>
    answers[Math.min(count, answers.length) - 1]?.(response, request),
  );
  const waits: number[] = [];
  const transport = createTransport(server.connection, { userAgent: 'test/1' });
  const errors: unknown[] = [];
  const informer = createInformer({
    client: resourceClient<KubeObject>(transport, THINGS),
    project: ({ metadata }) => `${metadata?.name}@${metadata?.resourceVersion}`,
    indexers: {},
    onError: (error) => errors.push(error),
    clock: hurried(waits),
    random: () => 0,
    ...options,
  });
  const changes: string[] = [];
  let wake = () => {};
  informer.store.subscribe(({ type, key }) => {
    changes.push(`${type} ${key}`);
    wake();
  });
  const controller = new AbortController();
  const running = informer.run(controller.signal);
  t.after(async () => {
    controller.abort(new Error('stopped'));
    await running;
    await transport.close();
    await server[Symbol.asyncDispose]();
  });

  /** Waits until the store holds exactly this. */
  const holds = async (...expected: string[]) => {
    const deadline = AbortSignal.timeout(5_000);
    while (informer.store.list().sort().join() !== expected.sort().join()) {
      assert.ok(
        !deadline.aborted,
        `store holds ${informer.store.list().join()}, expected ${expected.join()}`,
      );
      await new Promise<void>((resolve) => {
        wake = resolve;
        setTimeout(resolve, 20);
      });
    }
  };
  return { informer, requests: server.requests, errors, changes, waits, holds, controller };
}

type Options = InformerOptions<KubeObject, string, never>;

/** Waits take no time; how long they would have been is written down. */
function hurried(waits: number[]): Clock {
  return {
    now: () => performance.now(),
    after(ms, callback) {
      waits.push(ms);
      const immediate = setImmediate(callback);
      return () => clearImmediate(immediate);
    },
  };
}

const query = (request: FakeRequest | undefined) => Object.fromEntries(request?.url.searchParams ?? []);
const hang: Answer = (response) => stream(response);

test('a streaming list becomes a watch without a second request', async (t) => {
  const { informer, requests, holds, changes } = await reflect(t, [
    (response) => {
      stream(response, added('a', 3), added('b', 1), deleted('b', 5), modified('a', 6), initialEnd(6));
      stream(response, added('c', 7), bookmark(9));
    },
  ]);
  assert.equal(informer.hasSynced(), false);
  await informer.synced;
  assert.equal(informer.hasSynced(), true);
  await holds('a@6', 'c@7');
  assert.deepEqual(changes, ['Added ns/a', 'Added ns/c']);
  assert.equal(requests.length, 1);
  assert.deepEqual(query(requests[0]), {
    watch: 'true',
    allowWatchBookmarks: 'true',
    sendInitialEvents: 'true',
    resourceVersionMatch: 'NotOlderThan',
    timeoutSeconds: '300',
  });
});

test('nothing of a streaming list shows before its end, and one that breaks is begun again', async (t) => {
  const { informer, requests, holds } = await reflect(t, [
    (response) => {
      stream(response, added('a', 3));
      setImmediate(() => response.destroy());
    },
    (response) => stream(response, added('b', 4), initialEnd(4)),
  ]);
  await holds('b@4');
  assert.equal(informer.hasSynced(), true);
  assert.equal(query(requests[1])['sendInitialEvents'], 'true');
});

test('the selection is part of each request', async (t) => {
  const selection = { namespace: 'ns', labelSelector: 'a=b,c', fieldSelector: 'metadata.name=x' };
  const { informer, requests } = await reflect(t, [(response) => stream(response, initialEnd(1))], {
    selection,
  });
  await informer.synced;
  assert.equal(requests[0]?.url.pathname, '/apis/test.dev/v1/namespaces/ns/things');
  assert.equal(query(requests[0])['labelSelector'], 'a=b,c');
  assert.equal(query(requests[0])['fieldSelector'], 'metadata.name=x');
});

test('a server without streaming lists is asked for pages, then watched from their version', async (t) => {
  const { requests, holds } = await reflect(t, [
    (response) => reply(response, 422, status(422, 'Invalid', 'sendInitialEvents is forbidden')),
    (response) =>
      reply(response, 200, { metadata: { resourceVersion: '9', continue: 'more' }, items: [thing('a', 3)] }),
    (response) => reply(response, 200, { metadata: { resourceVersion: '9' }, items: [thing('b', 4)] }),
    (response) => stream(response, added('c', 10)),
  ]);
  await holds('a@3', 'b@4', 'c@10');
  assert.deepEqual(query(requests[1]), { limit: '500' });
  assert.deepEqual(query(requests[2]), { limit: '500', continue: 'more' });
  assert.equal(query(requests[3])['resourceVersion'], '9');
});

test('so is a server that takes the request and never marks the end of the list', async (t) => {
  const { requests, holds } = await reflect(t, [
    (response) => {
      stream(response, added('a', 3));
      response.end();
    },
    (response) => reply(response, 200, { metadata: { resourceVersion: '9' }, items: [thing('a', 3)] }),
    hang,
  ]);
  await holds('a@3');
  assert.deepEqual(query(requests[1]), { limit: '500' });
});

test('a watch that ends is taken up where it was, bookmarks included', async (t) => {
  const { requests, holds, errors } = await reflect(t, [
    (response) => {
      stream(response, added('a', 3), initialEnd(3), modified('a', 5), bookmark(8));
      response.end();
    },
    (response) => stream(response, added('b', 9)),
  ]);
  await holds('a@5', 'b@9');
  assert.equal(query(requests[1])['resourceVersion'], '8');
  assert.equal(query(requests[1])['sendInitialEvents'], undefined);
  assert.deepEqual(errors, []);
});

test('a watch that breaks within a line goes on from the last whole one: nothing lost, nothing twice', async (t) => {
  const line = JSON.stringify(modified('a', 6));
  const { requests, holds, changes } = await reflect(t, [
    (response) => {
      stream(response, added('a', 3), initialEnd(3), modified('a', 5));
      response.write(line.slice(0, 40));
      setImmediate(() => response.destroy());
    },
    (response) => stream(response, modified('a', 6), modified('a', 7)),
  ]);
  await holds('a@7');
  assert.equal(query(requests[1])['resourceVersion'], '5');
  assert.deepEqual(changes, ['Added ns/a', 'Updated ns/a', 'Updated ns/a', 'Updated ns/a']);
});

for (const [where, answer] of [
  ['in the watch', (response: ServerResponse) => stream(response, errorEvent(410, 'Expired'))],
  ['instead of the watch', (response: ServerResponse) => reply(response, 410, status(410, 'Expired'))],
] as const) {
  test(`410 Gone ${where}: a new snapshot, and what is gone is reported as deleted`, async (t) => {
    const { requests, holds, changes, errors } = await reflect(t, [
      (response) => {
        stream(response, added('a', 3), added('b', 4), initialEnd(4));
        response.end();
      },
      answer,
      (response) => stream(response, added('b', 20), initialEnd(21)),
    ]);
    await holds('b@20');
    assert.deepEqual(changes, ['Added ns/a', 'Added ns/b', 'Deleted ns/a', 'Updated ns/b']);
    assert.equal(query(requests[2])['sendInitialEvents'], 'true');
    assert.ok(errors[0] instanceof ApiError && errors[0].reason === 'Expired');
  });
}

test('429 and 503 do not cost a new snapshot, and Retry-After is obeyed', async (t) => {
  const { requests, holds, waits } = await reflect(t, [
    (response) => {
      stream(response, added('a', 3), initialEnd(3));
      response.end();
    },
    (response) => reply(response, 429, status(429, 'TooManyRequests'), { 'retry-after': '7' }),
    (response) => reply(response, 503, status(503, 'ServiceUnavailable')),
    (response) => stream(response, modified('a', 4)),
  ]);
  await holds('a@4');
  assert.equal(query(requests[3])['resourceVersion'], '3');
  assert.ok(waits.includes(7_000));
});

test('a server that is away is asked less and less often, until it is back', async (t) => {
  const down: Answer = (response) => void response.destroy();
  const { holds, waits } = await reflect(t, [
    ...Array.from({ length: 9 }, () => down),
    (response) => {
      stream(response, added('a', 3), initialEnd(3), modified('a', 4));
      response.end();
    },
    (response) => stream(response, modified('a', 5)),
  ]);
  await holds('a@5');
  const backoffs = waits.filter((ms) => ms !== 30_000);
  assert.deepEqual(backoffs, [50, 100, 200, 400, 800, 1500, 1500, 1500, 1500, 50]);
});

test('a watch that falls silent is given up and made again', async (t) => {
  const { requests, holds } = await reflect(
    t,
    [
      (response) => stream(response, added('a', 3), initialEnd(3)),
      (response) => stream(response, modified('a', 4)),
    ],
    { idleTimeoutMs: 100 },
  );
  await holds('a@4');
  assert.equal(query(requests[1])['resourceVersion'], '3');
});

test('a line that is not an event costs a new snapshot, not the reflector', async (t) => {
  const { holds } = await reflect(t, [
    (response) => {
      stream(response, added('a', 3), initialEnd(3));
      response.write('{"type":"MODI\n');
    },
    (response) => stream(response, added('a', 4), initialEnd(4)),
  ]);
  await holds('a@4');
});

test('listeners are told in the tick of the event, and one that is slow loses nothing', async (t) => {
  const count = 2_000;
  const { informer, holds } = await reflect(t, [
    (response) => {
      stream(response, initialEnd(1));
      for (let n = 2; n <= count; n++) stream(response, added('a', n));
    },
  ]);
  let seen = 0;
  informer.store.subscribe(() => {
    seen++;
    if (seen % 500 === 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
  });
  await holds(`a@${count}`);
  assert.equal(seen, count - 1);
});

test('stopped before the first snapshot, it never synced, and says why', async (t) => {
  const { informer, controller } = await reflect(t, [hang]);
  controller.abort(new Error('shutting down'));
  await assert.rejects(informer.synced, /shutting down/);
  assert.equal(informer.hasSynced(), false);
});
