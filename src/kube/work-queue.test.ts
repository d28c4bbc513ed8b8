import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fakeClock, settled } from './fake-clock.ts';
import { createWorkQueue, type ProcessedWork } from './work-queue.ts';

/** A queue whose keys are processed until the test lets each go. */
function start({ workers = 2, handle }: { workers?: number; handle?: (key: string) => Promise<void> } = {}) {
  const clock = fakeClock();
  const processed: ProcessedWork[] = [];
  const queue = createWorkQueue({
    clock,
    random: () => 1,
    retry: { initialMs: 100, maxMs: 1_000 },
    onProcessed: (work) => processed.push(work),
  });
  const started: string[] = [];
  const open = new Map<string, PromiseWithResolvers<void>>();
  const controller = new AbortController();
  const process = (key: string): Promise<void> => {
    started.push(key);
    if (handle) return handle(key);
    assert.ok(!open.has(key), `${key} is processed twice at once`);
    const gate = Promise.withResolvers<void>();
    open.set(key, gate);
    return gate.promise;
  };
  const running = queue.run({ workers, process, signal: controller.signal });
  const end = async (key: string, error?: Error) => {
    const gate = open.get(key);
    open.delete(key);
    if (error) gate?.reject(error);
    else gate?.resolve();
    await settled();
  };
  return { clock, queue, started, processed, end, running, stop: () => controller.abort() };
}

test('a key that waits is there once; workers are bounded; order is that of arrival', async () => {
  const { queue, started, end } = start();
  for (const key of ['a', 'b', 'c', 'a', 'c', 'd']) queue.add(key);
  await settled();
  assert.deepEqual(started, ['a', 'b']);
  assert.equal(queue.depth, 2);
  await end('b');
  await end('c');
  assert.deepEqual(started, ['a', 'b', 'c', 'd']);
});

test('a key added while it is processed is processed once more afterwards', async () => {
  const { queue, started, end } = start();
  queue.add('a');
  await settled();
  queue.add('a');
  queue.add('a');
  await settled();
  assert.deepEqual(started, ['a']);
  await end('a');
  await end('a');
  assert.deepEqual(started, ['a', 'a']);
});

test('of several delays the earliest counts, and once', async () => {
  const { queue, clock, started } = start({ handle: async () => {} });
  queue.addAfter('a', 500);
  queue.addAfter('a', 300);
  queue.addAfter('a', 900);
  await clock.advance(299);
  assert.deepEqual(started, []);
  await clock.advance(1);
  assert.deepEqual(started, ['a']);
  await clock.advance(10_000);
  assert.deepEqual(started, ['a']);
});

test('no delay is at once', async () => {
  const { queue, started } = start({ handle: async () => {} });
  queue.addAfter('a', 0);
  await settled();
  assert.deepEqual(started, ['a']);
});

test('a key that fails comes again after a growing wait, others meanwhile go on, and success starts over', async () => {
  const outcomes = ['fail', 'fail', 'ok', 'fail'];
  const { queue, clock, processed } = start({
    handle: async (key) => {
      if (key === 'a' && outcomes.shift() === 'fail') throw new Error('no');
    },
  });
  queue.add('a');
  queue.add('b');
  await settled();
  await clock.advance(100);
  await clock.advance(200);
  queue.add('a');
  await settled();
  assert.deepEqual(
    processed.map(({ key, failure }) => [key, failure?.retryMs]),
    [
      ['a', 100],
      ['b', undefined],
      ['a', 200],
      ['a', undefined],
      ['a', 100],
    ],
  );
});

test('the wait is bounded', async () => {
  const { queue, clock, processed } = start({
    handle: async () => {
      throw new Error('no');
    },
  });
  queue.add('a');
  await settled();
  for (const wait of [100, 200, 400, 800, 1_000]) await clock.advance(wait);
  assert.deepEqual(
    processed.map(({ failure }) => failure?.retryMs),
    [100, 200, 400, 800, 1_000, 1_000],
  );
});

test('the time in the queue counts from the first add, the time of work from its start', async () => {
  const { queue, clock, processed, end } = start({ workers: 1 });
  queue.add('a');
  await settled();
  queue.add('b');
  await clock.advance(2_000);
  queue.add('b');
  await end('a');
  await clock.advance(1_000);
  await end('b');
  assert.deepEqual(processed.at(-1), { key: 'b', queuedSeconds: 2, workSeconds: 1 });
});

test('once stopped, what has begun may end and nothing else begins', async () => {
  const { queue, clock, started, end, running, stop } = start({ workers: 1 });
  queue.add('a');
  queue.addAfter('late', 100);
  await settled();
  queue.add('a');
  queue.add('b');
  stop();
  let stopped = false;
  void running.then(() => (stopped = true));
  await clock.advance(1_000);
  assert.equal(stopped, false);
  await end('a', new Error('interrupted'));
  await running;
  queue.add('c');
  await clock.advance(100_000);
  assert.deepEqual(started, ['a']);
  assert.deepEqual(clock.pending, []);
});

test('work that never waits for anything leaves the event loop its turns', async () => {
  const { queue, started } = start({ handle: async () => {} });
  for (let i = 0; i < 1_000; i++) queue.add(String(i));
  await settled();
  assert.ok(started.length < 100, `${started.length} keys before the loop came round five times`);
});
