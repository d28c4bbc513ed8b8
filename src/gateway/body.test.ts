import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { announcedLength, createRoom, readBody } from './body.ts';
import { refusalOf } from './refusal.ts';

/** The last piece of a body that does not come to its end. */
const CUT = '3';

/** What `work` makes of a request with this body, sent in pieces without saying how long it is. */
async function receive(work: (incoming: IncomingMessage) => Promise<unknown>, pieces: readonly string[]) {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  const server = createServer((incoming, response) => {
    void work(incoming)
      .catch((error: unknown) => `${refusalOf(error).status} ${refusalOf(error).reason}`)
      .then((outcome) => {
        resolve(outcome);
        response.end();
        incoming.resume();
      });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const sent = request({ port: (server.address() as AddressInfo).port, method: 'PUT' });
  sent.on('error', () => {});
  for (const piece of pieces) sent.write(piece);
  if (pieces.at(-1) === CUT) await once(server, 'request').then(() => sent.destroy());
  else sent.end();
  const outcome = await promise;
  server.closeAllConnections();
  server.close();
  return outcome;
}

test('a body is read to its end, and no further than its limit', async () => {
  const read = async (incoming: IncomingMessage) => (await readBody(incoming, 8, 'TooLarge')).toString();
  assert.equal(await receive(read, ['12', '345678']), '12345678');
  assert.equal(await receive(read, ['12345', '67890']), '413 TooLarge');
  assert.equal(await receive(read, ['12', CUT]), '400 BodyCutOff');
});

test('a body that does not say how long it is may be as long as the limit', async () => {
  const length = async (incoming: IncomingMessage) => announcedLength(incoming, 8, 'TooLarge');
  assert.equal(await receive(length, ['1']), 8);
});

test('what has no room has to come again', async () => {
  const room = createRoom(10);
  const { promise, resolve } = Promise.withResolvers<void>();
  const first = room.with(6, () => promise);
  assert.equal(await room.with(4, async () => 'fits'), 'fits');
  const refused = await room.with(5, async () => 'fits').catch((error: unknown) => refusalOf(error));
  assert.deepEqual(refused instanceof Error && refusalOf(refused).reason, 'Busy');
  resolve();
  await first;
  await assert.rejects(
    room.with(10, () => Promise.reject(new Error('x'))),
    /x/,
  );
  assert.equal(await room.with(10, async () => 'fits'), 'fits');
});
