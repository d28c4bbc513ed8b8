import assert from 'node:assert/strict';
import { request } from 'node:https';
import { type TestContext, test } from 'node:test';
import { connect } from 'node:tls';
import { fakeStorage } from '../storage/fake-storage.ts';
import { makeAuthority, makeServerCertificate } from './certificates.ts';
import { type AnsweredRequest, startRunnerApi } from './runner-api.ts';
import type { Serving, ServingCertificate } from './serving.ts';

const validity = { from: Date.now() - 60_000, to: Date.now() + 60_000 };

function certificate(): ServingCertificate {
  const authority = makeAuthority('test', validity);
  const { certificate: cert, key } = makeServerCertificate(authority, ['localhost'], validity);
  return { cert, key, ca: authority.certificate };
}

/** Serves with a certificate that the test replaces. */
async function serve(t: TestContext) {
  const { storage, transport } = await fakeStorage(t);
  let current = certificate();
  let tell: (certificate: ServingCertificate) => void = () => {};
  const serving: Serving = {
    current: () => current,
    subscribe: (listener) => (tell = listener),
    run: async () => {},
    check: async () => {},
  };
  const answered: AnsweredRequest[] = [];
  const api = await startRunnerApi({
    port: 0,
    names: ['signalbox.system.svc', 'localhost'],
    serving,
    storage,
    transport,
    findPod: async () => undefined,
    now: () => Date.now(),
    onAnswered: (request) => answered.push(request),
  });
  t.after(api.close);
  const renew = () => {
    current = certificate();
    tell(current);
  };
  return { api, answered, renew };
}

/** `<status> <body>` of a request without credentials. */
function get(port: number, ca: string, path: string, body = ''): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const url = `https://localhost:${port}${path}`;
  const sent = request(url, { ca, method: 'PUT', agent: false }, (response) => {
    let text = '';
    response.on('data', (chunk: Buffer) => (text += chunk.toString()));
    response.on('end', () => resolve(`${response.statusCode} ${text}`));
  });
  sent.on('error', reject);
  sent.end(body);
  return promise;
}

test('a new certificate is served without a restart', async (t) => {
  const { api, renew } = await serve(t);
  const before = api.ca();
  assert.match(await get(api.port, before, '/v1/bundle'), /^401 /);
  renew();
  assert.notEqual(api.ca(), before);
  assert.match(await get(api.port, api.ca(), '/v1/bundle'), /^401 /);
  await assert.rejects(get(api.port, before, '/v1/bundle'));
});

test('an answer that is no is JSON, also when the body is large, and is told with its route', async (t) => {
  const { api, answered } = await serve(t);
  const large = 'x'.repeat(5 * 2 ** 20);
  assert.equal(
    await get(api.port, api.ca(), '/v1/bundle', large),
    '401 {"reason":"TokenMissing","message":"the request carries no bearer token"}',
  );
  assert.match(await get(api.port, api.ca(), '/other', large), /^404 \{"reason":"NotFound"/);
  assert.deepEqual(
    answered.map(({ route, status, refusal }) => `${route} ${status} ${refusal?.reason}`),
    ['PUT /v1/bundle 401 TokenMissing', 'other 404 NotFound'],
  );
});

test('its address is the first of its names; what is no TLS is not answered', async (t) => {
  const { api } = await serve(t);
  assert.equal(api.url, `https://signalbox.system.svc:${api.port}`);
  const { promise, resolve } = Promise.withResolvers<string>();
  const options = { port: api.port, host: 'localhost', maxVersion: 'TLSv1.1', ca: api.ca() } as const;
  const socket = connect({ ...options, minVersion: 'TLSv1' });
  socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
  socket.on('secureConnect', () => resolve('connected'));
  assert.notEqual(await promise, 'connected');
  socket.destroy();
});
