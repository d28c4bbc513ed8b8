import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiError, isExpired } from '../../../src/kube/errors.ts';
import { createTransport, type FinishedRequest, type Transport } from '../../../src/kube/transport.ts';
import { start, stop } from '../../cluster/cluster.ts';
import { type Bench, bench, configMap, existing, until, type Watching, watchConfigMaps } from './setup.ts';
import { startProxy } from './tcp-proxy.ts';

let real: Bench;
before(async () => {
  real = await bench('kube-watch');
});
after(() => real[Symbol.asyncDispose]());

/** Waits until the store holds what the server has. */
async function agrees(watching: Watching, namespace: string): Promise<void> {
  const expected = await existing(real.configMaps, namespace);
  await until('the store holds what the server has', () => watching.held().join() === expected.join());
}

/** A transport of its own that counts its requests. */
function counted(connection = real.connection) {
  const finished: FinishedRequest[] = [];
  const opened: string[] = [];
  const inner = createTransport(connection, {
    userAgent: 'kube-test/1',
    onFinished: (request) => finished.push(request),
  });
  const transport: Transport = {
    ...inner,
    stream(call) {
      opened.push(call.path);
      return inner.stream(call);
    },
  };
  return { transport, opened, finished, [Symbol.asyncDispose]: () => inner.close() };
}

const isStreamingList = (path: string) => path.includes('sendInitialEvents=true');

/** Creates, changes and deletes ConfigMaps of about this size. */
async function churn(namespace: string, count: number, bytes: number): Promise<void> {
  const fill = 'x'.repeat(bytes);
  for (let n = 0; n < count; n++) {
    const name = `churn-${n % 7}`;
    const made = await real.configMaps.ensure(configMap(namespace, name, { n: String(n), fill }));
    if (!made.created) await real.configMaps.patch({ namespace, name }, { data: { n: String(n) } });
    if (n % 5 === 4) await real.configMaps.delete({ namespace, name });
  }
}

test('a streaming list is one request, and goes on as a watch', async () => {
  const namespace = await real.namespace('streaming');
  await real.configMaps.create(configMap(namespace, 'first'));
  await using counting = counted();
  await using watching = watchConfigMaps(counting.transport, namespace);
  await watching.synced;
  assert.deepEqual(watching.changes, ['Added first']);
  await real.configMaps.create(configMap(namespace, 'second'));
  await real.configMaps.patch({ namespace, name: 'first' }, { data: { changed: 'yes' } });
  await real.configMaps.delete({ namespace, name: 'second' });
  await agrees(watching, namespace);
  assert.deepEqual(watching.changes, ['Added first', 'Added second', 'Updated first', 'Deleted second']);
  assert.equal(counting.opened.length, 1);
  assert.deepEqual(counting.finished, []);
});

test('where streaming lists are refused, pages and a watch do the same', async () => {
  const namespace = await real.namespace('paged');
  await Promise.all(
    Array.from({ length: 503 }, (_, n) => real.configMaps.create(configMap(namespace, `n-${n}`))),
  );
  await using counting = counted();
  const refusing: Transport = {
    ...counting.transport,
    stream: (call) =>
      isStreamingList(call.path)
        ? Promise.reject(
            new ApiError(call, { code: 422, reason: 'Invalid', message: 'sendInitialEvents is forbidden' }),
          )
        : counting.transport.stream(call),
  };
  await using watching = watchConfigMaps(refusing, namespace);
  await watching.synced;
  assert.equal(watching.held().length, 503);
  assert.deepEqual(
    counting.finished.map(({ verb, code }) => `${verb} ${code}`),
    ['list 200', 'list 200'],
  );
  await real.configMaps.delete({ namespace, name: 'n-7' });
  await agrees(watching, namespace);
  assert.equal(watching.changes.at(-1), 'Deleted n-7');
});

test('a watch that breaks again and again, mostly within a line, loses nothing and tells nothing twice', async () => {
  const namespace = await real.namespace('broken');
  await using proxy = await startProxy(real.connection);
  // Enough for the TLS handshake and a few events of 20 KiB.
  proxy.budget = () => 10_000 + Math.floor(Math.random() * 100_000);
  await using counting = counted(proxy.connection);
  await using watching = watchConfigMaps(counting.transport, namespace);
  await watching.synced;
  await churn(namespace, 100, 20_000);
  await agrees(watching, namespace);
  assert.ok(proxy.count > 10, `only ${proxy.count} connections: nothing was broken`);
  assert.equal(counting.opened.filter(isStreamingList).length, 1, 'a broken watch needs no new list');
  const problems = watching.errors.filter((error) => error instanceof Error && error.name === 'Error');
  assert.deepEqual(problems, []);
});

test('a peer that is there and says nothing is given up', async () => {
  const namespace = await real.namespace('silent');
  await using proxy = await startProxy(real.connection);
  await using counting = counted(proxy.connection);
  await using watching = watchConfigMaps(counting.transport, namespace, { idleTimeoutMs: 1_500 });
  await watching.synced;
  proxy.freeze();
  await real.configMaps.create(configMap(namespace, 'unseen'));
  await agrees(watching, namespace);
  assert.ok(proxy.count >= 2);
});

test('a consumer that is too slow for the server is cut off by it, and catches up', async () => {
  const namespace = await real.namespace('slow');
  await using proxy = await startProxy(real.connection);
  await using counting = counted(proxy.connection);
  await using watching = watchConfigMaps(counting.transport, namespace);
  await watching.synced;
  proxy.freeze();
  // More than the sockets between can hold, so that the server itself has to wait.
  const fill = 'x'.repeat(400_000);
  for (let n = 0; n < 40; n++) {
    const name = `n-${n}`;
    await real.configMaps.create(configMap(namespace, name, { fill }));
    if (n % 8 !== 0) await real.configMaps.delete({ namespace, name });
  }
  await sleep(500);
  proxy.thaw();
  await agrees(watching, namespace);
  assert.ok(counting.opened.length > 1, 'the server has cut the watch off');
  assert.equal(counting.opened.filter(isStreamingList).length, 1);
});

/** Ends the API server as a crash would, and waits until its port is free again. */
async function killApiServer(): Promise<void> {
  await stop(real.cluster, 'kube-apiserver', 'SIGKILL');
  await using counting = counted();
  await until('nobody listens any more', async () => {
    await counting.transport
      .request({ verb: 'get', resource: 'version', method: 'GET', path: '/version', idempotent: false })
      .catch(() => {});
    return counting.finished.at(-1)?.code === 'ECONNREFUSED';
  });
}

test('410 Gone after an interruption: a new list, and what went meanwhile is reported as deleted', async () => {
  const namespace = await real.namespace('gone');
  await real.configMaps.create(configMap(namespace, 'goes'));
  await real.configMaps.create(configMap(namespace, 'stays'));
  await using proxy = await startProxy(real.connection);
  await using counting = counted(proxy.connection);
  await using watching = watchConfigMaps(counting.transport, namespace);
  await watching.synced;
  proxy.open = false;
  proxy.cut();
  await real.configMaps.delete({ namespace, name: 'goes' });
  await real.configMaps.create(configMap(namespace, 'comes'));
  // A server that starts anew remembers no event from before.
  await killApiServer();
  await start(real.cluster, 'kube-apiserver');
  proxy.open = true;
  await agrees(watching, namespace);
  assert.deepEqual(watching.changes.slice(2).sort(), ['Added comes', 'Deleted goes']);
  assert.ok(watching.errors.some(isExpired), 'the server answered 410');
  assert.equal(counting.opened.filter(isStreamingList).length, 2);
});

test('the API server killed and started again: calls and watches go on by themselves', async () => {
  const namespace = await real.namespace('restart');
  await using counting = counted();
  await using watching = watchConfigMaps(counting.transport, namespace);
  await watching.synced;
  await killApiServer();
  const restarted = start(real.cluster, 'kube-apiserver');
  const deadline = performance.now() + 30_000;
  let failures = 0;
  for (;;) {
    try {
      await real.configMaps.ensure(configMap(namespace, 'after'));
      break;
    } catch (error) {
      failures++;
      if (performance.now() > deadline) throw error;
    }
  }
  await restarted;
  await agrees(watching, namespace);
  assert.ok(failures <= 10, `${failures} calls failed: the retries of each were in vain`);
});
