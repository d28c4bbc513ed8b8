import assert from 'node:assert/strict';
import { connect as connectPlain, type Socket } from 'node:net';
import { suite, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { fakeStorage } from '../storage/fake-storage.ts';
import { nobody } from './admission/fake-review.ts';
import { startAdmissionServer } from './admission/server.ts';
import { readBody } from './body.ts';
import { makeAuthority, makeServerCertificate } from './certificates.ts';
import { startHttpsServer } from './https-server.ts';
import { createMetrics } from './metrics.ts';
import { Refusal } from './refusal.ts';
import { startRunnerApi } from './runner-api.ts';
import { startGateway } from './server.ts';

// Whoever can reach a port of the operator, and sends too much, too slowly, or without an end.

const LIMIT_MS = 20_000;
const MIB = 2 ** 20;

const validity = { from: Date.now() - 60_000, to: Date.now() + 600_000 };
const authority = makeAuthority('test', validity);
const made = makeServerCertificate(authority, ['localhost'], validity);
const current = { cert: made.certificate, key: made.key, ca: authority.certificate };
const serving = {
  current: () => current,
  subscribe: () => undefined,
  run: async () => undefined,
  check: async () => undefined,
};
const head = (method: string, path: string, ...headers: string[]) =>
  [`${method} ${path} HTTP/1.1`, 'Host: localhost', ...headers, '', ''].join('\r\n');

interface Port {
  number: number;
  tls: boolean;
}

/** Sends what it is given, as far as the other side takes it, and gives all that was answered when the connection ends. */
async function attack(port: Port, pieces: AsyncIterable<string | Buffer>): Promise<string> {
  const options = { port: port.number, host: 'localhost', ca: authority.certificate };
  const socket: Socket = port.tls ? connectTls(options) : connectPlain(options);
  let answer = '';
  const ended = new Promise<string>((resolve) => socket.once('close', () => resolve(answer)));
  socket.on('data', (data: Buffer) => (answer += data.toString()));
  // That it is cut off is what is hoped for.
  socket.on('error', () => undefined);
  socket.setTimeout(LIMIT_MS, () => socket.destroy(new Error('nobody ended it')));
  for await (const piece of pieces) {
    if (socket.destroyed) break;
    if (!socket.write(piece)) await Promise.race([ended, new Promise((done) => socket.once('drain', done))]);
  }
  return ended;
}

async function* once(...pieces: (string | Buffer)[]) {
  yield* pieces;
}

/** A body in chunks of a mebibyte that never ends. */
async function* endless(start: string) {
  yield start;
  const piece = Buffer.alloc(MIB, 'x');
  const chunk = Buffer.concat([Buffer.from(`${MIB.toString(16)}\r\n`), piece, Buffer.from('\r\n')]);
  for (;;) yield chunk;
}

/** A byte now and then, for as long as anybody listens. */
async function* dripping(start: string, byte = 'x') {
  yield start;
  for (;;) {
    await sleep(50);
    yield byte;
  }
}

async function operator(t: TestContext): Promise<Record<'http' | 'runnerApi' | 'admission', Port>> {
  const { storage, transport } = await fakeStorage(t);
  const gateway = await startGateway({ port: 0, metrics: createMetrics(), notReady: () => undefined });
  const api = await startRunnerApi({
    port: 0,
    names: ['localhost'],
    serving,
    storage,
    transport,
    findPod: async () => undefined,
    now: () => Date.now(),
    onAnswered: () => undefined,
  });
  const admission = await startAdmissionServer({
    port: 0,
    serving,
    transport,
    neighbours: nobody,
    ballot: {
      runBy: () => '',
      judgeCreate: async () => ({ allowed: false, message: 'no' }),
      judgeUpdate: async () => ({ allowed: false, message: 'no' }),
    },
    onAnswered: () => undefined,
  });
  t.after(() => Promise.all([gateway.close(), api.close(), admission.close()]));
  return {
    http: { number: gateway.port, tls: false },
    runnerApi: { number: api.port, tls: true },
    admission: { number: admission.port, tls: true },
  };
}

suite('whoever can reach a port of the operator', () => {
  test('can send headers of a few KiB, and no more, to any of them', async (t) => {
    const large = head('GET', '/metrics', `X-Large: ${'x'.repeat(100_000)}`);
    for (const port of Object.values(await operator(t))) {
      assert.match(await attack(port, once(large)), /^HTTP\/1\.1 431 /);
    }
  });

  test('can send the webhooks a review of 7 MiB, and no more, whether it says how long it is or not', async (t) => {
    const { admission } = await operator(t);
    const path = '/admission/workflowruns';
    const announced = head('POST', path, `Content-Length: ${8 * MIB}`, 'Connection: close');
    assert.match(
      await attack(admission, once(announced, Buffer.alloc(8 * MIB))),
      /^HTTP\/1\.1 413 .*ReviewTooLarge/s,
    );
    const chunked = head('POST', path, 'Transfer-Encoding: chunked', 'Connection: close');
    assert.match(await attack(admission, endless(chunked)), /^HTTP\/1\.1 413 .*ReviewTooLarge/s);
  });

  test('is refused by the runner API before a byte of a body without an end is kept', async (t) => {
    const { runnerApi } = await operator(t);
    const chunked = head('PUT', '/v1/bundle', 'Transfer-Encoding: chunked', 'Connection: close');
    assert.match(await attack(runnerApi, endless(chunked)), /^HTTP\/1\.1 401 .*TokenMissing/s);
  });

  test('has the port of health and metrics hang up on a body without an end, and on headers that never end', async (t) => {
    const { http } = await operator(t);
    const chunked = head('POST', '/metrics', 'Transfer-Encoding: chunked', 'Connection: close');
    assert.match(await attack(http, endless(chunked)), /^HTTP\/1\.1 (200|408) /);
    const answer = await attack(http, dripping('GET /metrics HTTP/1.1\r\nX-Slow: '));
    assert.match(answer, /^HTTP\/1\.1 408 /);
  });

  test('holds nothing by a body that arrives a byte at a time: it is cut off, and what it held is free', async (t) => {
    const refused = Promise.withResolvers<unknown>();
    const server = await startHttpsServer({ port: 0, serving, requestTimeoutMs: 300 }, (incoming) => {
      readBody(incoming, MIB, 'TooLarge').then(refused.reject, refused.resolve);
    });
    t.after(server.close);
    const slow = head('POST', '/', 'Content-Length: 1000000');
    const [answer, error] = await Promise.all([
      attack({ number: server.port, tls: true }, dripping(slow)),
      refused.promise,
    ]);
    assert.match(answer, /^HTTP\/1\.1 408 /);
    assert.ok(error instanceof Refusal);
    assert.equal(error.reason, 'BodyCutOff');
  });
});
