import assert from 'node:assert/strict';
import { setTimeout as wait } from 'node:timers/promises';
import { type TestContext, test } from 'node:test';
import type { Event } from 'kubernetes-types/events/v1.d.ts';
import { createEventRecorder, EventDropped, EVENTS, type Happening } from './events.ts';
import { reply, startFakeServer, status } from './fake-server.ts';
import { resourceClient } from './resource.ts';
import { createTransport } from './transport.ts';

const happening = (more: Partial<Happening> & { uid?: string } = {}): Happening => ({
  regarding: { apiVersion: 'v1', kind: 'Thing', namespace: 'ns', name: 'a', uid: more.uid ?? 'uid-a' },
  type: 'Warning',
  reason: 'Broken',
  note: 'It does not work',
  ...more,
});

/** A recorder before a fake server that keeps events by name. */
async function setUp(t: TestContext) {
  const kept = new Map<string, Event>();
  const faults: ('gone' | 'broken' | 'hang')[] = [];
  const server = await startFakeServer((request, response) => {
    switch (faults.shift()) {
      case 'hang':
        return;
      case 'broken':
        return reply(response, 400, status(400, 'BadRequest'));
      case 'gone':
        return reply(response, 404, status(404, 'NotFound'));
      case undefined:
    }
    const event = JSON.parse(request.body) as Event;
    const name = event.metadata?.name ?? request.url.pathname.split('/').at(-1) ?? '';
    kept.set(name, { ...kept.get(name), ...event });
    reply(response, 200, event);
  });
  const transport = createTransport(server.connection, { userAgent: 'test' });
  t.after(async () => {
    await transport.close();
    await server[Symbol.asyncDispose]();
  });
  let now = Date.parse('2030-01-01T00:00:00Z');
  const errors: unknown[] = [];
  const recorder = createEventRecorder({
    client: resourceClient<Event>(transport, EVENTS),
    controller: 'test.dev/operator',
    instance: 'pod-1',
    onError: (error) => errors.push(error),
    wallClock: () => now,
  });
  /** Waits until everything recorded was sent. */
  const sent = async (count: number) => {
    for (const deadline = Date.now() + 5_000; server.requests.length < count; await wait(2)) {
      assert.ok(Date.now() < deadline, `${server.requests.length} of ${count} requests came`);
    }
    await wait(20);
    assert.equal(server.requests.length, count);
  };
  return {
    recorder,
    requests: server.requests,
    kept,
    errors,
    faults,
    sent,
    pass: (ms: number) => (now += ms),
  };
}

test('an event says what, about whom and by whom', async (t) => {
  const { recorder, requests, kept, sent } = await setUp(t);
  recorder.record(happening());
  await sent(1);
  assert.equal(requests[0]?.url.pathname, '/apis/events.k8s.io/v1/namespaces/ns/events');
  const [[name, event] = []] = [...kept];
  assert.match(name ?? '', /^a\.[0-9a-f]{16}$/);
  assert.deepEqual(event, {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { namespace: 'ns', name },
    regarding: happening().regarding,
    type: 'Warning',
    reason: 'Broken',
    note: 'It does not work',
    action: 'Broken',
    eventTime: '2030-01-01T00:00:00.000000Z',
    reportingController: 'test.dev/operator',
    reportingInstance: 'pod-1',
  });
});

test('the same again is counted on the first; anything else is an event of its own', async (t) => {
  const { recorder, kept, sent, pass } = await setUp(t);
  recorder.record(happening());
  await sent(1);
  pass(60_000);
  recorder.record(happening());
  recorder.record(happening({ uid: 'uid-b' }));
  recorder.record(happening({ note: 'Other' }));
  await sent(4);
  const counts = [...kept.values()].map(({ series }) => series?.count);
  assert.deepEqual(counts, [2, undefined, undefined]);
  assert.equal([...kept.values()][0]?.series?.lastObservedTime, '2030-01-01T00:01:00.000000Z');
});

test('after ten quiet minutes it is a new event', async (t) => {
  const { recorder, kept, sent, pass } = await setUp(t);
  recorder.record(happening());
  await sent(1);
  pass(10 * 60_000);
  recorder.record(happening());
  await sent(2);
  assert.equal(kept.size, 2);
});

test('an event that the server has forgotten is made again, with its count', async (t) => {
  const { recorder, kept, sent, faults } = await setUp(t);
  recorder.record(happening());
  await sent(1);
  kept.clear();
  faults.push('gone');
  recorder.record(happening());
  await sent(3);
  assert.deepEqual(
    [...kept.values()].map(({ series }) => series?.count),
    [2],
  );
});

test('an event that cannot be kept is reported, and the next one is sent', async (t) => {
  const { recorder, kept, sent, faults, errors } = await setUp(t);
  faults.push('broken');
  recorder.record(happening());
  recorder.record(happening({ note: 'Other' }));
  await sent(2);
  assert.equal(errors.length, 1);
  assert.deepEqual(
    [...kept.values()].map(({ note }) => note),
    ['Other'],
  );
});

test('one object may not drown out the others, and is heard again after a while', async (t) => {
  const { recorder, sent, errors, pass } = await setUp(t);
  for (let n = 0; n < 40; n++) recorder.record(happening({ note: `number ${n}` }));
  recorder.record(happening({ uid: 'uid-b' }));
  await sent(26);
  assert.equal(errors.length, 15);
  assert.ok(errors.every((error) => error instanceof EventDropped && error.reason === 'ObjectLimit'));
  pass(10_000);
  recorder.record(happening({ note: 'later' }));
  recorder.record(happening({ note: 'too many again' }));
  await sent(27);
});

test('a server that does not answer costs memory up to a limit, and never the caller', async (t) => {
  const { recorder, errors, faults, requests } = await setUp(t);
  faults.push('hang');
  for (let n = 0; n < 1_500; n++) recorder.record(happening({ uid: `uid-${n}` }));
  const dropped = errors.filter((error) => error instanceof EventDropped && error.reason === 'QueueFull');
  assert.equal(dropped.length, 1_500 - 1_001);
  await recorder.close();
  recorder.record(happening());
  assert.equal(requests.length, 1);
});

test('closing sends what waits', async (t) => {
  const { recorder, kept } = await setUp(t);
  for (let n = 0; n < 10; n++) recorder.record(happening({ note: `number ${n}` }));
  await recorder.close();
  assert.equal(kept.size, 10);
});

test('a note is cut to what the server takes, between characters', async (t) => {
  const { recorder, kept, sent } = await setUp(t);
  for (const note of ['ü'.repeat(600), `x${'ü'.repeat(600)}`, '🙂'.repeat(300)])
    recorder.record(happening({ note }));
  await sent(3);
  for (const { note = '' } of kept.values()) {
    assert.ok(Buffer.byteLength(note) <= 1_024 && Buffer.byteLength(note) > 1_010);
    assert.match(note, /^x?(ü+|(🙂)+)\.\.\.$/u);
  }
});
