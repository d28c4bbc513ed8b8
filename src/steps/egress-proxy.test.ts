import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request as forward } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, describe, test } from 'node:test';
import { createEgress, type Lookup } from './egress.ts';
import { makeAuthority } from './fake-authority.ts';
import { outgoing } from './fake-request.ts';
import { startFakeSite } from './fake-site.ts';
import { CallError } from './step-type.ts';

const VARIABLES = ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'http_proxy', 'https_proxy', 'no_proxy'];
const before = VARIABLES.map((name) => [name, process.env[name]] as const);
for (const name of VARIABLES) delete process.env[name];
afterEach(() => {
  for (const [name, value] of before) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
});

/** A fake proxy, to which every name means the same port of this machine. */
async function startFakeProxy(port: number, options: { refuses?: boolean; hangs?: boolean } = {}) {
  /** What was asked of it, as method and target. */
  const asked: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer(({ method, url, headers }, response) => {
    asked.push(`${method} ${url} ${headers['proxy-authorization'] ?? ''}`.trimEnd());
    const target = { host: '127.0.0.1', port, path: URL.parse(url ?? '')?.pathname };
    forward(target, (answer) => answer.pipe(response.writeHead(answer.statusCode ?? 500))).end();
  });
  server.on('connection', (socket) => sockets.add(socket));
  server.on('connect', ({ url }, socket: Socket) => {
    asked.push(`CONNECT ${url}`);
    socket.on('error', () => {});
    if (options.hangs) return;
    if (options.refuses) {
      socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
      return;
    }
    socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
    socket.pipe(connect(port, '127.0.0.1').on('error', () => {})).pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

const nothingAllowed = { allow: [], deny: [] };
const noLookup: Lookup = () => assert.fail('a name was looked up');

const isCallError = (reason: string) => (error: unknown) => {
  assert.ok(error instanceof CallError, String(error));
  assert.equal(error.reason, reason, error.message);
  return true;
};

describe('through a proxy', () => {
  test('http goes, with its address allowed and the name left for it to resolve', async () => {
    await using site = await startFakeSite();
    await using proxy = await startFakeProxy(site.port);
    process.env['HTTP_PROXY'] = `http://user:word@${proxy.host}`;
    const egress = createEgress(nothingAllowed, noLookup);
    const { status, body } = await egress.request(outgoing('http://api.example.com/health'));
    assert.deepEqual([status, body.toString()], [200, 'ok']);
    const credentials = Buffer.from('user:word').toString('base64');
    assert.deepEqual(proxy.asked, [`GET http://api.example.com/health Basic ${credentials}`]);
    assert.equal(site.requests[0]?.headers['proxy-authorization'], undefined);
  });

  test('https goes by a tunnel, with the CA of the request checked at its end', async () => {
    const authority = makeAuthority('DNS:api.example.com');
    await using site = await startFakeSite(undefined, authority);
    await using proxy = await startFakeProxy(site.port);
    process.env['HTTPS_PROXY'] = `http://${proxy.host}`;
    const egress = createEgress(nothingAllowed, noLookup);
    const trusting = { ca: authority.ca };
    assert.equal((await egress.request(outgoing('https://api.example.com/', trusting))).status, 200);
    await assert.rejects(
      egress.request(outgoing('https://web.example.com/', trusting)),
      isCallError('TlsFailed'),
    );
    await assert.rejects(egress.request(outgoing('https://api.example.com/')), isCallError('TlsFailed'));
    const names = ['api', 'web', 'api'];
    assert.deepEqual(
      proxy.asked,
      names.map((name) => `CONNECT ${name}.example.com:443`),
    );
  });

  test('no address goes that is refused', async () => {
    await using site = await startFakeSite();
    await using proxy = await startFakeProxy(site.port);
    process.env['HTTP_PROXY'] = `http://${proxy.host}`;
    const egress = createEgress(nothingAllowed, noLookup);
    for (const url of ['http://127.0.0.1/', 'http://169.254.169.254/', 'https://[::1]/', 'http://0x7f.1/']) {
      await assert.rejects(egress.request(outgoing(url)), isCallError('AddressRefused'), url);
    }
    assert.deepEqual(proxy.asked, []);
  });

  test('what NO_PROXY names does not go, and is checked where it is connected to', async () => {
    await using site = await startFakeSite();
    await using proxy = await startFakeProxy(site.port);
    process.env['HTTP_PROXY'] = `http://${proxy.host}`;
    process.env['NO_PROXY'] = '.example.com';
    const lookup: Lookup = (_host, _options, callback) =>
      callback(null, [{ address: '127.0.0.1', family: 4 }]);
    const url = `http://api.example.com:${site.port}/`;
    await assert.rejects(
      createEgress(nothingAllowed, lookup).request(outgoing(url)),
      isCallError('AddressRefused'),
    );
    const { status } = await createEgress({ allow: ['127.0.0.1'], deny: [] }, lookup).request(outgoing(url));
    assert.equal(status, 200);
    assert.deepEqual(proxy.asked, []);
  });
});

describe('a proxy', () => {
  test('that refuses, or is not there, is a connection that failed', async () => {
    await using site = await startFakeSite();
    const proxy = await startFakeProxy(site.port, { refuses: true });
    process.env['HTTPS_PROXY'] = `http://${proxy.host}`;
    const egress = createEgress(nothingAllowed, noLookup);
    await assert.rejects(egress.request(outgoing('https://api.example.com/')), (error: Error) => {
      assert.match(error.message, /^No connection to api\.example\.com: .*403/);
      return isCallError('ConnectFailed')(error);
    });
    await proxy[Symbol.asyncDispose]();
    await assert.rejects(egress.request(outgoing('https://api.example.com/')), isCallError('ConnectFailed'));
  });

  test('that hangs is left when the signal says so', async () => {
    await using site = await startFakeSite();
    await using proxy = await startFakeProxy(site.port, { hangs: true });
    process.env['HTTPS_PROXY'] = `http://${proxy.host}`;
    const stop = new AbortController();
    const sent = createEgress(nothingAllowed, noLookup).request(
      outgoing('https://api.example.com/', { signal: stop.signal }),
    );
    setTimeout(() => stop.abort(new CallError('DeadlineExceeded', 'Too long.')), 50);
    await assert.rejects(sent, isCallError('DeadlineExceeded'));
  });

  test('whose address can not be read is named as what is wrong', async () => {
    process.env['HTTP_PROXY'] = 'not an address';
    const egress = createEgress(nothingAllowed, noLookup);
    await assert.rejects(egress.request(outgoing('http://api.example.com/')), isCallError('InvalidProxy'));
  });
});
