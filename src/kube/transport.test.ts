import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import type { Clock } from './clock.ts';
import { cachedToken } from './config.ts';
import { ApiError, ConnectionError, FencedError, isConflict, isNotFound } from './errors.ts';
import { reply, startFakeServer, status, stream } from './fake-server.ts';
import {
  type ApiRequest,
  createTransport,
  type FinishedRequest,
  type TransportOptions,
  withFence,
} from './transport.ts';
import type { Connection } from './config.ts';

const get: ApiRequest = {
  verb: 'get',
  resource: 'things',
  method: 'GET',
  path: '/api/v1/things/a',
  idempotent: true,
};
const create: ApiRequest = {
  verb: 'create',
  resource: 'things',
  method: 'POST',
  path: '/api/v1/things',
  body: { a: 1 },
  idempotent: false,
};

/** Waits take no time; what they would have been is written down. Limits of requests stay real. */
function hurriedClock(waits: number[]): Clock {
  return {
    now: () => performance.now(),
    after(ms, callback) {
      if (ms === TIMEOUT_MS) {
        const timer = setTimeout(callback, ms);
        return () => clearTimeout(timer);
      }
      waits.push(ms);
      const immediate = setImmediate(callback);
      return () => clearImmediate(immediate);
    },
  };
}

const TIMEOUT_MS = 2_000;

function open(connection: Connection, options: Partial<TransportOptions> = {}) {
  const waits: number[] = [];
  const transport = createTransport(connection, {
    userAgent: 'test/1',
    timeoutMs: TIMEOUT_MS,
    clock: hurriedClock(waits),
    random: () => 1,
    ...options,
  });
  return { transport, waits, [Symbol.asyncDispose]: () => transport.close() };
}

test('sends JSON, the token, the user to act as and the user agent, and returns the parsed answer', async () => {
  await using server = await startFakeServer((_, response) => reply(response, 201, { made: true }));
  const token = { read: async () => 'secret', forget: () => {} };
  await using opened = open({ ...server.connection, token, impersonate: 'jane' });
  assert.deepEqual(await opened.transport.request(create), { made: true });
  const [request] = server.requests;
  assert.equal(request?.body, '{"a":1}');
  assert.equal(request?.headers['authorization'], 'Bearer secret');
  assert.equal(request?.headers['impersonate-user'], 'jane');
  assert.equal(request?.headers['user-agent'], 'test/1');
  assert.equal(request?.headers['content-type'], 'application/json');
});

test('an answer that is no becomes an ApiError with reason, details and place', async () => {
  const body = { ...status(404, 'NotFound', 'things "a" not found'), details: { name: 'a', kind: 'things' } };
  await using server = await startFakeServer((_, response) => reply(response, 404, body));
  await using opened = open(server.connection);
  const error = await opened.transport.request(get).catch((error: unknown) => error);
  assert.ok(isNotFound(error));
  assert.equal(error.status, 404);
  assert.equal(error.details.name, 'a');
  assert.match(error.message, /get things: NotFound: things "a" not found/);
  assert.ok(!isConflict(error));
});

test('an answer that is not from an API server keeps its text', async () => {
  await using server = await startFakeServer(
    (_, response) => void response.writeHead(403).end('<h1>Blocked</h1>'),
  );
  await using opened = open(server.connection);
  await assert.rejects(opened.transport.request(get), /Unknown: <h1>Blocked/);
});

test('a webhook that refuses without a reason is told in its own words', async () => {
  const denial = {
    kind: 'Status',
    apiVersion: 'v1',
    status: 'Failure',
    message: 'denied by policy',
    code: 400,
  };
  await using server = await startFakeServer((_, response) => reply(response, 400, denial));
  await using opened = open(server.connection);
  await assert.rejects(opened.transport.request(get), /denied by policy$/);
});

test('429 is repeated after Retry-After, also for a create, because it was not carried out', async () => {
  await using server = await startFakeServer((_, response, count) =>
    count < 3
      ? reply(response, 429, status(429, 'TooManyRequests'), { 'retry-after': '3' })
      : reply(response, 201, {}),
  );
  await using opened = open(server.connection);
  await opened.transport.request(create);
  assert.deepEqual(opened.waits, [3_000, 3_000]);
});

test('a Retry-After that is longer than a caller can wait is not waited for', async () => {
  await using server = await startFakeServer((_, response) =>
    reply(response, 429, status(429, 'TooManyRequests'), { 'retry-after': '3600' }),
  );
  await using opened = open(server.connection);
  const error = await opened.transport.request(get).catch((error: unknown) => error);
  assert.ok(error instanceof ApiError);
  assert.equal(error.retryAfterMs, 3_600_000);
  assert.equal(server.requests.length, 1);
});

test('503 with Retry-After is repeated for a read, and not for a create', async () => {
  await using server = await startFakeServer((_, response, count) =>
    count === 2 ? reply(response, 200, {}) : reply(response, 503, status(503, 'X'), { 'retry-after': '1' }),
  );
  await using opened = open(server.connection);
  await opened.transport.request(get);
  assert.deepEqual(opened.waits, [1_000]);
  await assert.rejects(opened.transport.request(create), { status: 503 });
});

test('5xx is repeated with a growing wait, five times and not more', async () => {
  await using server = await startFakeServer((_, response) =>
    reply(response, 500, status(500, 'InternalError')),
  );
  await using opened = open(server.connection);
  await assert.rejects(opened.transport.request(get), { reason: 'InternalError' });
  assert.equal(server.requests.length, 6);
  assert.deepEqual(opened.waits, [100, 200, 400, 800, 1600]);
});

test('a connection that breaks before the answer: a read is repeated, a create is not and says that it was sent', async () => {
  await using server = await startFakeServer((_, response, count) => {
    if (count === 1 || count === 3) response.destroy();
    else reply(response, 200, { ok: true });
  });
  await using opened = open(server.connection);
  assert.deepEqual(await opened.transport.request(get), { ok: true });
  const error = await opened.transport.request(create).catch((error: unknown) => error);
  assert.ok(error instanceof ConnectionError);
  assert.equal(error.sent, true);
  assert.equal(server.requests.length, 3);
});

test('a connection that breaks in the middle of the answer is a lost answer', async () => {
  await using server = await startFakeServer((_, response, count) => {
    response.writeHead(200, { 'content-length': '100' });
    response.write('{"half":');
    if (count > 6) return;
    setImmediate(() => response.destroy());
  });
  await using opened = open(server.connection);
  await assert.rejects(opened.transport.request(get), ConnectionError);
  assert.equal(server.requests.length, 6);
});

test('a create that could not connect was never sent, so it is repeated', async () => {
  const nobody = createServer();
  const port = await new Promise<number>((resolve) =>
    nobody.listen(0, () => resolve((nobody.address() as { port: number }).port)),
  );
  await new Promise((resolve) => nobody.close(resolve));
  await using opened = open({ server: `http://127.0.0.1:${port}`, insecure: false });
  const error = await opened.transport.request(create).catch((error: unknown) => error);
  assert.ok(error instanceof ConnectionError);
  assert.equal(error.reason, 'ECONNREFUSED');
  assert.equal(error.sent, false);
  assert.equal(opened.waits.length, 5);
});

test('a server that does not answer in time is a lost answer', async () => {
  await using server = await startFakeServer(() => {});
  await using opened = open(server.connection, {
    timeoutMs: 50,
    clock: { ...hurriedClock([]), after: realAfter },
  });
  await assert.rejects(opened.transport.request(create), { reason: 'Timeout', sent: true });
});

test('an aborted signal ends the request with its reason, before, during and between tries', async () => {
  const reason = new Error('stop');
  const controller = new AbortController();
  await using server = await startFakeServer((_, _response, count) => {
    if (count === 1) controller.abort(reason);
  });
  await using opened = open(server.connection);
  await assert.rejects(opened.transport.request({ ...get, signal: controller.signal }), reason);
  await assert.rejects(opened.transport.request({ ...get, signal: controller.signal }), reason);
  assert.equal(server.requests.length, 1);
});

test('a transport that is closed tries nothing again', async () => {
  await using server = await startFakeServer((_, response) =>
    reply(response, 500, status(500, 'InternalError')),
  );
  const transport = createTransport(server.connection, { userAgent: 'test/1' });
  const request = transport.request(get);
  while (server.requests.length === 0) await new Promise((resolve) => setImmediate(resolve));
  await transport.close();
  await assert.rejects(request);
  await assert.rejects(transport.request(get), ConnectionError);
  assert.equal(server.requests.length, 1);
});

test('a token that is refused is read again at once, and only once', async () => {
  await using server = await startFakeServer((request, response) =>
    request.headers['authorization'] === 'Bearer new'
      ? reply(response, 200, {})
      : reply(response, 401, status(401, 'Unauthorized')),
  );
  const tokens = ['old', 'new', 'bad', 'bad'];
  const token = cachedToken(async () => tokens.shift());
  await using opened = open({ ...server.connection, token });
  await opened.transport.request(create);
  await opened.transport.request(create);
  assert.equal(server.requests.length, 3);
  token.forget();
  await assert.rejects(opened.transport.request(create), { status: 401 });
  assert.equal(server.requests.length, 5);
});

test('behind a fence that has fallen no write is sent, not even the repetition of one begun before', async () => {
  let leading = true;
  await using server = await startFakeServer((request, response) => {
    leading = false;
    if (request.method === 'GET') reply(response, 200, {});
    else reply(response, 429, status(429, 'TooManyRequests'), { 'retry-after': '1' });
  });
  await using opened = open(server.connection);
  const transport = withFence(opened.transport, () => leading);
  await assert.rejects(transport.request(create), FencedError);
  assert.equal(server.requests.length, 1);
  await transport.request(get);
});

test('nor one that waited for a free connection when the fence fell', async () => {
  let leading = true;
  const slow = Promise.withResolvers<void>();
  await using server = await startFakeServer(async (_, response) => {
    await slow.promise;
    reply(response, 200, {});
  });
  await using opened = open(server.connection, { connections: 1 });
  const transport = withFence(opened.transport, () => leading);
  const reading = transport.request(get);
  const writing = assert.rejects(transport.request(create), FencedError);
  leading = false;
  slow.resolve();
  await reading;
  await writing;
  await transport.request(get);
  assert.deepEqual(
    server.requests.map(({ method }) => method),
    ['GET', 'GET'],
  );
});

test('each try is counted with verb, resource, code and time', async () => {
  const finished: FinishedRequest[] = [];
  await using server = await startFakeServer((_, response, count) => {
    if (count === 1) reply(response, 500, status(500, 'InternalError'));
    else if (count === 2) response.destroy();
    else reply(response, 200, {});
  });
  await using opened = open(server.connection, { onFinished: (request) => finished.push(request) });
  await opened.transport.request(get);
  assert.deepEqual(
    finished.map(({ verb, resource, code }) => [verb, resource, code]),
    [
      ['get', 'things', '500'],
      ['get', 'things', 'UND_ERR_SOCKET'],
      ['get', 'things', '200'],
    ],
  );
  assert.ok(finished.every(({ seconds }) => seconds >= 0));
});

test('calls share connections, and no more than allowed', async () => {
  const sockets = new Set<unknown>();
  await using server = await startFakeServer((_, response) => {
    sockets.add(response.socket);
    setImmediate(() => reply(response, 200, {}));
  });
  await using opened = open(server.connection, { connections: 4 });
  await Promise.all(Array.from({ length: 40 }, () => opened.transport.request(get)));
  assert.equal(sockets.size, 4);
});

test('a stream hands its bytes on as they come, uses no connection of the pool, and ends with the server', async () => {
  await using server = await startFakeServer((request, response) => {
    if (request.url.pathname !== '/stream') return reply(response, 200, {});
    stream(response, { n: 1 });
    setImmediate(() => response.end('{"n":2}\n'));
  });
  await using opened = open(server.connection, { connections: 1 });
  let text = '';
  const call = { verb: 'watch', resource: 'things', path: '/stream', idleTimeoutMs: 1_000 };
  const streaming = opened.transport.stream({ ...call, onChunk: (chunk) => (text += chunk.toString()) });
  await opened.transport.request(get);
  await streaming;
  assert.equal(text, '{"n":1}\n{"n":2}\n');
});

test('a stream that falls silent is given up', async () => {
  await using server = await startFakeServer((_, response) => stream(response, { n: 1 }));
  await using opened = open(server.connection);
  const call = { verb: 'watch', resource: 'things', path: '/stream', idleTimeoutMs: 100, onChunk: () => {} };
  await assert.rejects(opened.transport.stream(call), { reason: 'UND_ERR_BODY_TIMEOUT' });
});

function realAfter(ms: number, callback: () => void): () => void {
  const timer = setTimeout(callback, ms);
  return () => clearTimeout(timer);
}
