import assert from 'node:assert/strict';
import { setTimeout as wait } from 'node:timers/promises';
import { type TestContext, test } from 'node:test';
import type { Lease } from 'kubernetes-types/coordination/v1.d.ts';
import { type FakeClock, fakeClock } from './fake-clock.ts';
import { type FakeServer, reply, startFakeServer, status } from './fake-server.ts';
import { createElector, type ElectorOptions, LEASES } from './lease.ts';
import { resourceClient } from './resource.ts';
import { LeaseLostError } from './term.ts';
import { createTransport } from './transport.ts';

interface LeaseServer extends FakeServer {
  lease?: Lease;
  /** Answers every request with an error. */
  down: boolean;
  /** Called before each answer. */
  onRequest: () => void;
  /** Changes the lease as somebody else would. */
  touch: (spec?: object) => void;
}

/** A fake API server that keeps one lease, checks its resourceVersion, and can stop answering. */
async function startLeaseServer(): Promise<LeaseServer> {
  let version = 0;
  const server = await startFakeServer((request, response) => {
    state.onRequest();
    if (state.down) return reply(response, 400, status(400, 'BadRequest', 'down'));
    const body = request.body ? (JSON.parse(request.body) as Lease) : {};
    switch (request.method) {
      case 'GET':
        return state.lease
          ? reply(response, 200, state.lease)
          : reply(response, 404, status(404, 'NotFound'));
      case 'POST':
        if (state.lease) return reply(response, 409, status(409, 'AlreadyExists'));
        write(body);
        return reply(response, 201, state.lease);
      default:
        if (body.metadata?.resourceVersion !== state.lease?.metadata?.resourceVersion) {
          return reply(response, 409, status(409, 'Conflict'));
        }
        write(body);
        return reply(response, 200, state.lease);
    }
  });
  const write = ({ spec }: Lease) => {
    state.lease = {
      metadata: { resourceVersion: String(++version) },
      spec: { ...state.lease?.spec, ...spec },
    };
  };
  const state: LeaseServer = Object.assign(server, {
    down: false,
    onRequest: () => {},
    touch: (spec: object = {}) => write({ spec }),
  });
  return state;
}

interface Leader {
  terms: AbortSignal[];
  errors: unknown[];
  isLeader: () => boolean;
  /** Lets the work of the latest term end. */
  settle: () => void;
  stop: () => void;
  running: Promise<void>;
}

function campaign(
  t: TestContext,
  server: FakeServer,
  clock: FakeClock,
  identity: string,
  more: Partial<ElectorOptions> = {},
): Leader {
  const transport = createTransport(server.connection, { userAgent: identity });
  const errors: unknown[] = [];
  const elector = createElector({
    client: resourceClient<Lease>(transport, LEASES),
    namespace: 'ns',
    name: 'operator',
    identity,
    onError: (error) => errors.push(error),
    clock,
    wallClock: () => 0,
    random: () => 0,
    ...more,
  });
  const controller = new AbortController();
  const terms: AbortSignal[] = [];
  let settle = () => {};
  const running = elector.run({
    signal: controller.signal,
    lead: (term) => {
      terms.push(term);
      return new Promise((resolve) => {
        settle = resolve;
        term.addEventListener('abort', () => resolve());
      });
    },
  });
  t.after(async () => {
    controller.abort();
    settle();
    await transport.close();
    await running.catch(() => {});
  });
  return {
    terms,
    errors,
    isLeader: elector.isLeader,
    settle: () => settle(),
    stop: () => controller.abort(),
    running,
  };
}

/** Real requests need real time: looks again until it is so, for at most five seconds. */
async function until(what: string, condition: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 5_000; !condition(); await wait(2)) {
    assert.ok(Date.now() < deadline, `it never came to be that ${what}`);
  }
}

/** Lets time pass in steps, each with time for the requests that it sets off. */
async function pass(clock: FakeClock, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 1_000) {
    await clock.advance(Math.min(1_000, ms - passed));
    await wait(3);
  }
}

async function setUp(t: TestContext) {
  const server = await startLeaseServer();
  t.after(() => server[Symbol.asyncDispose]());
  return { server, clock: fakeClock() };
}

test('the first takes the lease and renews it; the second waits', async (t) => {
  const { server, clock } = await setUp(t);
  const a = campaign(t, server, clock, 'a');
  await until('a leads', () => a.terms.length === 1);
  const b = campaign(t, server, clock, 'b');
  await pass(clock, 60_000);
  assert.equal(a.isLeader(), true);
  assert.equal(a.terms[0]?.aborted, false);
  assert.deepEqual([b.isLeader(), b.terms.length], [false, 0]);
  assert.equal(server.lease?.spec?.holderIdentity, 'a');
  assert.equal(server.lease?.spec?.renewTime, '1970-01-01T00:00:00.000000Z');
  assert.equal(server.lease?.spec?.leaseDurationSeconds, 15);
});

test('a dead holder is replaced only when its lease was seen unchanged for its whole duration, by our own clock', async (t) => {
  const { server, clock } = await setUp(t);
  // A time far in the future: from another machine's clock nothing can be told.
  server.touch({
    holderIdentity: 'dead',
    leaseDurationSeconds: 20,
    renewTime: '2999-01-01T00:00:00.000000Z',
  });
  const b = campaign(t, server, clock, 'b');
  await until('b looked', () => server.requests.length === 1);
  await pass(clock, 10_000);
  server.touch();
  await pass(clock, 19_000);
  assert.equal(b.isLeader(), false);
  await pass(clock, 4_000);
  await until('b leads', () => b.isLeader());
  assert.equal(server.lease?.spec?.holderIdentity, 'b');
});

test('a holder that cannot renew gives up before the lease ends for others', async (t) => {
  const { server, clock } = await setUp(t);
  const a = campaign(t, server, clock, 'a');
  await until('a leads', () => a.terms.length === 1);
  server.down = true;
  await pass(clock, 9_000);
  assert.equal(a.isLeader(), true);
  await pass(clock, 1_000);
  assert.equal(a.terms[0]?.aborted, true);
  assert.equal(a.isLeader(), false);
  assert.ok(a.terms[0].reason instanceof LeaseLostError);
  assert.equal(a.terms[0].reason.reason, 'Expired');
  assert.ok(a.errors.length > 0);
  server.down = false;
  await pass(clock, 4_000);
  await until('a leads again', () => a.terms.length === 2);
});

test('a process that was frozen knows that it lost before any timer tells it', async (t) => {
  const { server, clock } = await setUp(t);
  let frozenFor = 0;
  const stopped = { ...clock, now: () => clock.now() + frozenFor };
  const a = campaign(t, server, clock, 'a', { clock: stopped });
  await until('a leads', () => a.terms.length === 1);
  frozenFor = 60_000;
  assert.equal(a.isLeader(), false);
  assert.equal(a.terms[0]?.aborted, true);
});

test('the answer to a renewal that comes after the end of the term does not revive it', async (t) => {
  const { server, clock } = await setUp(t);
  let frozenFor = 0;
  const stopped = { ...clock, now: () => clock.now() + frozenFor };
  const a = campaign(t, server, clock, 'a', { clock: stopped });
  await until('a leads', () => a.terms.length === 1);
  server.onRequest = () => (frozenFor = 60_000);
  await pass(clock, 2_000);
  await until('the renewal was answered', () => frozenFor > 0);
  await wait(20);
  assert.equal(a.terms[0]?.aborted, true);
});

test('a holder whose lease another one took stops at its next renewal', async (t) => {
  const { server, clock } = await setUp(t);
  const a = campaign(t, server, clock, 'a');
  await until('a leads', () => a.terms.length === 1);
  server.touch({ holderIdentity: 'b' });
  await pass(clock, 2_000);
  await until('a stopped', () => a.terms[0]?.aborted === true);
  assert.deepEqual(a.terms[0]?.reason, new LeaseLostError('Taken'));
  assert.equal(server.lease?.spec?.holderIdentity, 'b');
});

test('a lease that was deleted is lost at the next renewal, and not taken by others before its end', async (t) => {
  const { server, clock } = await setUp(t);
  const a = campaign(t, server, clock, 'a');
  await until('a leads', () => a.terms.length === 1);
  const b = campaign(t, server, clock, 'b', { retryPeriodMs: 300 });
  await pass(clock, 1_000);
  delete server.lease;
  await pass(clock, 1_000);
  await until('a stopped', () => a.terms[0]?.aborted === true);
  await pass(clock, 11_000);
  assert.equal(b.terms.length, 0);
});

test('a lease that was touched by others, not taken, stays ours', async (t) => {
  const { server, clock } = await setUp(t);
  const a = campaign(t, server, clock, 'a');
  await until('a leads', () => a.terms.length === 1);
  for (let i = 0; i < 10; i++) {
    server.touch();
    await pass(clock, 2_000);
  }
  assert.equal(a.isLeader(), true);
  assert.equal(a.terms.length, 1);
});

test('a graceful end waits for the work, still leading, then releases, and the next one leads at its next try', async (t) => {
  const { server, clock } = await setUp(t);
  const a = campaign(t, server, clock, 'a');
  await until('a leads', () => a.terms.length === 1);
  const b = campaign(t, server, clock, 'b');
  await pass(clock, 5_000);
  a.stop();
  await a.running;
  assert.equal(server.lease?.spec?.holderIdentity, '');
  assert.equal(a.isLeader(), false);
  await pass(clock, 3_000);
  await until('b leads', () => b.isLeader());
  assert.equal(server.lease?.spec?.leaseTransitions, 1);
});

test('while the work comes to its end the lease is kept', async (t) => {
  const { server, clock } = await setUp(t);
  const transport = createTransport(server.connection, { userAgent: 'a' });
  t.after(() => transport.close());
  const client = resourceClient<Lease>(transport, LEASES);
  const elector = createElector({
    client,
    namespace: 'ns',
    name: 'operator',
    identity: 'a',
    onError: unexpected,
    clock,
    random: () => 0,
  });
  const controller = new AbortController();
  const work = Promise.withResolvers<void>();
  const running = elector.run({ signal: controller.signal, lead: () => work.promise });
  await until('a leads', () => elector.isLeader());
  controller.abort();
  await pass(clock, 30_000);
  assert.equal(elector.isLeader(), true);
  assert.equal(server.lease?.spec?.holderIdentity, 'a');
  work.resolve();
  await running;
  assert.equal(server.lease?.spec?.holderIdentity, '');
});

test('work that fails releases the lease and is told', async (t) => {
  const { server, clock } = await setUp(t);
  const transport = createTransport(server.connection, { userAgent: 'a' });
  t.after(() => transport.close());
  const client = resourceClient<Lease>(transport, LEASES);
  const elector = createElector({
    client,
    namespace: 'ns',
    name: 'operator',
    identity: 'a',
    onError: unexpected,
    clock,
    random: () => 0,
  });
  const lead = () => Promise.reject(new Error('broken'));
  await assert.rejects(elector.run({ signal: new AbortController().signal, lead }), /broken/);
  assert.equal(server.lease?.spec?.holderIdentity, '');
});

test('times that cannot work are refused', () => {
  const transport = createTransport({ server: 'http://127.0.0.1:1', insecure: true }, { userAgent: 'a' });
  const client = resourceClient<Lease>(transport, LEASES);
  const options = { client, namespace: 'ns', name: 'operator', identity: 'a', onError: () => {} };
  assert.throws(
    () => createElector({ ...options, leaseDurationMs: 10_000, renewDeadlineMs: 10_000 }),
    RangeError,
  );
  assert.throws(
    () => createElector({ ...options, renewDeadlineMs: 2_000, retryPeriodMs: 2_000 }),
    RangeError,
  );
});

function unexpected(error: unknown): void {
  assert.fail(String(error));
}
