import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { startFakeServer } from '../../src/kube/fake-server.ts';
import { relayWatch } from './watch-relay.ts';

for (const kind of ['End', 'Expire', 'Drop'] as const) {
  test(`what still comes when a watch has been ended is not passed on: ${kind}`, async () => {
    const struck = Promise.withResolvers<void>();
    const late = Promise.withResolvers<unknown>();
    await using server = await startFakeServer((_, response) => {
      response.writeHead(200).flushHeaders();
      response.once('error', late.resolve).once('close', () => late.resolve(undefined));
      const body = new PassThrough();
      relayWatch(body, response, { draw: () => ({ kind, afterMs: 0 }), struck: () => struck.resolve() });
      body.emit('data', Buffer.from('{"type":"ADDED"}\n'));
    });
    const text = fetch(server.connection.server).then((response) => response.text());
    await struck.promise;
    assert.equal(await late.promise, undefined);
    assert.doesNotMatch(await text.catch(() => 'broken'), /ADDED/);
  });
}
