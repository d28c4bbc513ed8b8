import assert from 'node:assert/strict';
import type { LookupAddress } from 'node:dns';
import { getEventListeners, once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { describe, test } from 'node:test';
import { createEgress, type Lookup } from './egress.ts';
import { makeAuthority } from './fake-authority.ts';
import { errorOf, outgoing } from './fake-request.ts';
import { type Answer, startFakeSite } from './fake-site.ts';
import { CallError } from './step-type.ts';

const allowed = { allow: ['127.0.0.1'], deny: [] };
const nothingAllowed = { allow: [], deny: [] };

/** A fake resolver that gives these answers, one after the other, and counts. */
function fakeLookup(...answers: string[][]) {
  let count = 0;
  const lookup: Lookup = (_host, _options, callback) => {
    const answer = answers[Math.min(count, answers.length - 1)] ?? [];
    count += 1;
    const found: LookupAddress[] = answer.map((address) => ({
      address,
      family: address.includes(':') ? 6 : 4,
    }));
    process.nextTick(() => callback(null, found));
  };
  return { lookup, count: () => count };
}

/** A server that does with each connection as the test says, and speaks no HTTP. */
async function startRawServer(onSocket: (socket: Socket) => void = () => {}) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}));
    onSocket(socket.resume());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

describe('a request', () => {
  test('is sent as it is described, and answered with status, headers and body', async () => {
    await using site = await startFakeSite((_request, response) => {
      response.writeHead(201, { 'X-One': 'a', 'Set-Cookie': ['b=1', 'c=2'] });
      response.end('made');
    });
    const egress = createEgress(allowed);
    const headers = { 'x-trace': '7', 'content-type': 'text/plain' };
    const sent = outgoing(`${site.url}/a%20b?q=1#part`, { method: 'POST', headers, body: 'grün' });
    const { status, headers: got, body } = await egress.request(sent);
    assert.deepEqual(
      [status, got['x-one'], got['set-cookie'], body.toString()],
      [201, 'a', 'b=1, c=2', 'made'],
    );
    const [seen] = site.requests;
    assert.deepEqual([seen?.method, seen?.target, seen?.body], ['POST', '/a%20b?q=1', 'grün']);
    assert.equal(seen?.headers['x-trace'], '7');
    assert.equal(seen?.headers.host, `127.0.0.1:${site.port}`);
  });

  test('has a connection of its own, and many go at once', async () => {
    const waiting: (() => void)[] = [];
    await using site = await startFakeSite((_request, response) => {
      waiting.push(() => void response.end('ok'));
      // Nobody is answered until all have come.
      if (waiting.length === 200) for (const end of waiting) end();
    });
    const egress = createEgress(allowed);
    const all = Array.from({ length: 200 }, () => egress.request(outgoing(site.url)));
    const statuses = (await Promise.all(all)).map(({ status }) => status);
    assert.deepEqual(new Set(statuses), new Set([200]));
    assert.equal(site.connections(), 200);
  });

  test('leaves no connection behind, and nobody who listens to its signal', async () => {
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    await using site = await startFakeSite((_request, response, incoming) => {
      incoming.socket.on('close', resolve);
      response.end('ok');
    });
    const { signal } = new AbortController();
    await createEgress(allowed).request(outgoing(site.url, { signal }));
    await closed;
    assert.deepEqual(getEventListeners(signal, 'abort'), []);
  });
});

describe('an address that is refused', () => {
  const literals = [
    '127.0.0.1',
    '127.1',
    '0x7f.1',
    '0x7f000001',
    '2130706433',
    '017700000001',
    '0',
    '127.0.0.1.',
  ];
  literals.push(
    '[::1]',
    '[::]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '[::127.0.0.1]',
    '①②⑦.⓪.⓪.①',
    '%31%32%37.0.0.1',
  );

  test('is not connected to, however it is written', async () => {
    await using site = await startFakeSite();
    const { lookup, count } = fakeLookup(['127.0.0.1']);
    const egress = createEgress(nothingAllowed, lookup);
    for (const host of literals) {
      const { reason, message } = await errorOf(egress, outgoing(`http://${host}:${site.port}/`));
      assert.equal(reason, 'AddressRefused', host);
      assert.match(message, /is (a loopback|an unspecified) address, .*--http-allow/, host);
    }
    assert.equal(site.connections(), 0);
    assert.equal(count(), 0);
  });

  test('is not connected to when a name resolves to it', async () => {
    await using site = await startFakeSite();
    const { reason, message } = await errorOf(
      createEgress(nothingAllowed, fakeLookup(['127.0.0.1']).lookup),
      outgoing(`http://inside.example.com:${site.port}/`),
    );
    assert.equal(reason, 'AddressRefused');
    assert.match(message, /^inside\.example\.com resolves to 127\.0\.0\.1, a loopback address/);
    assert.equal(site.connections(), 0);
  });

  test('is not connected to as localhost, by the resolver of the machine', async () => {
    await using site = await startFakeSite();
    const { reason } = await errorOf(
      createEgress(nothingAllowed),
      outgoing(`http://localhost:${site.port}/`),
    );
    assert.equal(reason, 'AddressRefused');
    assert.equal(site.connections(), 0);
  });

  test('does not get through beside a good one in one answer', async () => {
    await using site = await startFakeSite();
    for (const answer of [
      ['127.0.0.1', '127.0.0.2'],
      ['127.0.0.2', '127.0.0.1'],
      ['127.0.0.1', '::1'],
    ]) {
      const egress = createEgress(allowed, fakeLookup(answer).lookup);
      const { reason } = await errorOf(egress, outgoing(`http://rebind.example.com:${site.port}/`));
      assert.equal(reason, 'AddressRefused', answer.join());
    }
    assert.equal(site.connections(), 0);
  });

  test('does not get through when a name changes its meaning: the checked answer is the one that is used', async () => {
    await using site = await startFakeSite();
    const { lookup, count } = fakeLookup(['127.0.0.1'], ['127.0.0.2']);
    const egress = createEgress(allowed, lookup);
    const url = `http://rebind.example.com:${site.port}/`;
    assert.equal((await egress.request(outgoing(url))).status, 200);
    assert.equal(count(), 1);
    assert.equal((await errorOf(egress, outgoing(url))).reason, 'AddressRefused');
    assert.equal(count(), 2);
    assert.equal(site.connections(), 1);
  });

  test('is connected to when an administrator allows the name', async () => {
    await using site = await startFakeSite();
    const policy = { allow: ['site.example.com'], deny: ['10.0.0.0/8'] };
    const egress = createEgress(policy, fakeLookup(['127.0.0.1']).lookup);
    assert.equal((await egress.request(outgoing(`http://site.example.com:${site.port}/`))).status, 200);
    const other = await errorOf(egress, outgoing(`http://other.example.com:${site.port}/`));
    assert.equal(other.reason, 'AddressRefused');
  });
});

describe('a connection that fails', () => {
  /** A port on which nobody listens. */
  async function freePort(): Promise<number> {
    await using server = await startRawServer();
    return server.port;
  }

  test('is ConnectFailed when nobody listens', async () => {
    const { reason, message } = await errorOf(
      createEgress(allowed),
      outgoing(`http://127.0.0.1:${await freePort()}`),
    );
    assert.equal(reason, 'ConnectFailed');
    assert.match(message, /^No connection to 127\.0\.0\.1:\d+: connect ECONNREFUSED/);
  });

  test('is ConnectFailed with every try when a name has several addresses', async () => {
    const policy = { allow: ['127.0.0.0/8'], deny: [] };
    const egress = createEgress(policy, fakeLookup(['127.0.0.1', '127.0.0.2']).lookup);
    const { reason, message } = await errorOf(egress, outgoing(`http://a.example.com:${await freePort()}`));
    assert.equal(reason, 'ConnectFailed');
    assert.match(message, /127\.0\.0\.1:.*127\.0\.0\.2:/);
  });

  test('is NameNotResolved when the name does not exist', async () => {
    const lookup: Lookup = (host, _options, callback) =>
      callback(Object.assign(new Error(`getaddrinfo ENOTFOUND ${host}`), { code: 'ENOTFOUND' }), []);
    const { reason, message } = await errorOf(
      createEgress(allowed, lookup),
      outgoing('http://no.example.com'),
    );
    assert.equal(reason, 'NameNotResolved');
    assert.match(message, /no\.example\.com/);
    const empty = await errorOf(
      createEgress(allowed, fakeLookup([]).lookup),
      outgoing('http://no.example.com'),
    );
    assert.equal(empty.reason, 'NameNotResolved');
  });

  test('is ConnectTimeout when the other side says nothing, or the resolver does not', async () => {
    await using server = await startRawServer();
    const silent = outgoing(`https://127.0.0.1:${server.port}`, { connectTimeoutMs: 50 });
    assert.equal((await errorOf(createEgress(allowed), silent)).reason, 'ConnectTimeout');
    const unresolved = outgoing('http://slow.example.com', { connectTimeoutMs: 50 });
    assert.equal(
      (
        await errorOf(
          createEgress(allowed, () => {}),
          unresolved,
        )
      ).reason,
      'ConnectTimeout',
    );
  });

  test('is ConnectionLost when it breaks before the answer is complete', async () => {
    const answers: Answer[] = [
      (_request, response) => response.destroy(),
      (_request, response) => {
        response.writeHead(200, { 'content-length': '100' });
        response.write('half', () => response.destroy());
      },
      (_request, response) => {
        response.writeHead(200, { 'content-length': '100', connection: 'close' });
        response.write('half', () => response.destroy());
      },
      (_request, response) => {
        response.writeHead(200, { connection: 'close' });
        response.write('half', () => response.destroy());
      },
    ];
    for (const answer of answers) {
      await using site = await startFakeSite(answer);
      assert.equal((await errorOf(createEgress(allowed), outgoing(site.url))).reason, 'ConnectionLost');
    }
  });

  test('is InvalidResponse when it is not HTTP that comes back', async () => {
    await using server = await startRawServer((socket) => void socket.end('SSH-2.0-OpenSSH\r\n'));
    const { reason, message } = await errorOf(
      createEgress(allowed),
      outgoing(`http://127.0.0.1:${server.port}`),
    );
    assert.equal(reason, 'InvalidResponse', message);
  });
});

describe('TLS', () => {
  const trusted = makeAuthority('IP:127.0.0.1');
  const other = makeAuthority('DNS:api.example.com');

  test('trusts the CA that a request names, for that request alone', async () => {
    await using site = await startFakeSite(undefined, trusted);
    const egress = createEgress(allowed);
    assert.equal((await egress.request(outgoing(site.url, { ca: trusted.ca }))).status, 200);
    const { reason, message } = await errorOf(egress, outgoing(site.url));
    assert.equal(reason, 'TlsFailed');
    assert.match(message, /SELF_SIGNED_CERT_IN_CHAIN.*caFrom/);
    assert.equal((await errorOf(egress, outgoing(site.url, { ca: other.ca }))).reason, 'TlsFailed');
    assert.equal(site.requests.length, 1);
  });

  test('checks the name in the certificate', async () => {
    await using site = await startFakeSite(undefined, other);
    const egress = createEgress(allowed, fakeLookup(['127.0.0.1']).lookup);
    const at = (host: string) => outgoing(`https://${host}:${site.port}`, { ca: other.ca });
    assert.equal((await egress.request(at('api.example.com'))).status, 200);
    assert.equal((await errorOf(egress, at('web.example.com'))).reason, 'TlsFailed');
    assert.equal((await errorOf(egress, at('127.0.0.1'))).reason, 'TlsFailed');
  });

  test('is TlsFailed when the other side does not speak it, and ConnectFailed when it hangs up', async () => {
    await using site = await startFakeSite();
    assert.equal(
      (await errorOf(createEgress(allowed), outgoing(`https://127.0.0.1:${site.port}`))).reason,
      'TlsFailed',
    );
    await using server = await startRawServer((socket) => void socket.end());
    const { reason } = await errorOf(createEgress(allowed), outgoing(`https://127.0.0.1:${server.port}`));
    assert.equal(reason, 'ConnectFailed');
  });
});

describe('the signal', () => {
  const stages: Record<string, Answer> = {
    'before the response': () => {},
    'in the middle of the body': (_request, response) => void response.write('half'),
  };
  for (const [stage, answer] of Object.entries(stages)) {
    test(`ends a request ${stage}, with its reason`, async () => {
      const { promise: closed, resolve } = Promise.withResolvers<void>();
      const stop = new AbortController();
      const why = new CallError('DeadlineExceeded', 'Too long.');
      await using site = await startFakeSite((...seen) => {
        seen[2].socket.on('close', resolve);
        answer(...seen);
        setTimeout(() => stop.abort(why), 20);
      });
      const { signal } = stop;
      assert.equal(await errorOf(createEgress(allowed), outgoing(site.url, { signal })), why);
      await closed;
    });
  }

  test('ends a request while its name is looked up, and one that has not begun', async () => {
    const stop = new AbortController();
    const why = new CallError('DeadlineExceeded', 'Too long.');
    const egress = createEgress(allowed, () => setImmediate(() => stop.abort(why)));
    const unresolved = outgoing('http://slow.example.com', {
      signal: stop.signal,
      connectTimeoutMs: 3_600_000,
    });
    assert.equal(await errorOf(egress, unresolved), why);
    assert.equal(await errorOf(egress, unresolved), why);
  });

  test('ends a request in the middle of the TLS handshake, and the connection with it', async () => {
    const stop = new AbortController();
    const why = new CallError('DeadlineExceeded', 'Too long.');
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    await using server = await startRawServer((socket) => {
      socket.on('close', resolve);
      setImmediate(() => stop.abort(why));
    });
    const silent = { signal: stop.signal, connectTimeoutMs: 3_600_000 };
    assert.equal(
      await errorOf(createEgress(allowed), outgoing(`https://127.0.0.1:${server.port}`, silent)),
      why,
    );
    await closed;
  });

  test('is not needed to end what is under way when the egress is closed', async () => {
    const egress = createEgress(allowed);
    await using site = await startFakeSite(() => void egress.close());
    assert.equal((await errorOf(egress, outgoing(site.url))).reason, 'Stopped');
  });
});
