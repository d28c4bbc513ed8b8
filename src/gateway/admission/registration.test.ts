import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTransport } from '../../kube/transport.ts';
import { reply, startFakeServer } from '../../kube/fake-server.ts';
import { createRegistration } from './registration.ts';

const base64 = (text: string) => Buffer.from(text).toString('base64');

test('writes the authorities into each webhook that has others, and again when there are new ones', async (t) => {
  const configuration = (plural: string) => ({
    metadata: { name: 'signalbox', resourceVersion: '1' },
    webhooks:
      plural === 'mutatingwebhookconfigurations'
        ? [
            { name: 'a', clientConfig: { caBundle: base64('old') } },
            { name: 'b', clientConfig: {} },
          ]
        : [{ name: 'c', clientConfig: { caBundle: base64('first') } }],
  });
  const applied: unknown[] = [];
  const { promise: renewed, resolve } = Promise.withResolvers<void>();
  const api = await startFakeServer(({ method, url, body }, response) => {
    const plural = url.pathname.split('/')[4] ?? '';
    if (method === 'PATCH') {
      const { webhooks } = JSON.parse(body) as { webhooks: unknown[] };
      applied.push({ plural, manager: url.searchParams.get('fieldManager'), webhooks });
      if (body.includes(base64('second')) && webhooks.length === 1) resolve();
      return reply(response, 200, configuration(plural));
    }
    assert.equal(url.searchParams.get('fieldSelector'), 'metadata.name=signalbox');
    // A server without WatchList: lists, and a watch that stays open.
    if (url.searchParams.has('sendInitialEvents')) {
      return reply(response, 400, { kind: 'Status', code: 400, reason: 'Invalid', message: 'no' });
    }
    if (url.searchParams.get('watch')) return response.writeHead(200).flushHeaders();
    reply(response, 200, { items: [configuration(plural)], metadata: { resourceVersion: '1' } });
  });
  const transport = createTransport(api.connection, { userAgent: 'test' });
  const stop = new AbortController();
  let ca = 'first';
  const listeners: (() => void)[] = [];
  const registration = createRegistration({
    transport,
    name: 'signalbox',
    serving: {
      current: () => ({ cert: '', key: '', ca }),
      subscribe: (listener) => void listeners.push(() => listener({ cert: '', key: '', ca })),
    },
    onError: () => {},
  });
  const running = registration.run(stop.signal);
  t.after(async () => {
    stop.abort();
    await running;
    await transport.close();
    await api[Symbol.asyncDispose]();
  });
  await registration.settled;
  const trusting = (name: string, text: string) => ({ name, clientConfig: { caBundle: base64(text) } });
  const [first] = applied;
  assert.deepEqual(first, {
    plural: 'mutatingwebhookconfigurations',
    manager: 'signalbox-admission',
    webhooks: [trusting('a', 'first'), trusting('b', 'first')],
  });
  ca = 'second';
  for (const listener of listeners) listener();
  await renewed;
  const [last] = applied.slice(-1);
  assert.deepEqual(last, {
    plural: 'validatingwebhookconfigurations',
    manager: 'signalbox-admission',
    webhooks: [trusting('c', 'second')],
  });
});
