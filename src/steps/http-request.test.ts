import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type HttpStep, httpStep } from '../api/http-step.ts';
import { makeAuthority } from './fake-authority.ts';
import { type FakeWorld, fakeContext, NOW } from './fake-call.ts';
import { type FakeSite, startFakeSite } from './fake-site.ts';
import { http } from './http.ts';

const stepOf = (step: HttpStep) => ({ name: 'test', http: httpStep.parse(step) });

function call(step: HttpStep, world?: FakeWorld) {
  const spec = stepOf(step);
  return http.call(spec, fakeContext(http, spec, world));
}

const headersOf = (site: FakeSite) => site.requests[0]?.headers ?? {};

describe('a request', () => {
  test('says who makes it, and of which attempt it is', async () => {
    await using site = await startFakeSite();
    const result = await call({ url: `${site.url}/health` });
    assert.deepEqual(result, {
      outcome: 'Succeeded',
      reason: 'Completed',
      summary: 'HTTP 200 OK',
      finishedAt: NOW,
    });
    const { host: _host, connection: _connection, ...headers } = headersOf(site);
    assert.deepEqual(headers, {
      accept: '*/*',
      'accept-encoding': 'identity',
      'user-agent': 'signalbox',
      'idempotency-key': 'deploy-test-1',
    });
  });

  test('has the headers of the step before those of its own', async () => {
    await using site = await startFakeSite();
    const headers = { 'Idempotency-Key': 'mine', ACCEPT: 'text/html', 'X-Empty': '', 'X-Tab': 'a\tb' };
    await call({ url: site.url, headers });
    const { accept, 'idempotency-key': key, 'x-empty': empty, 'x-tab': tab } = headersOf(site);
    assert.deepEqual([accept, key, empty, tab], ['text/html', 'mine', '', 'a\tb']);
  });

  const bodies: [string, Partial<HttpStep>, string, string][] = [
    ['text', { body: 'grün' }, 'text/plain; charset=utf-8', 'grün'],
    [
      'JSON',
      { json: { a: [1, 'x', null, true], b: {} } },
      'application/json',
      '{"a":[1,"x",null,true],"b":{}}',
    ],
    [
      'a form',
      { form: { a: 'x y', 'b&c': '=ü' } },
      'application/x-www-form-urlencoded',
      'a=x+y&b%26c=%3D%C3%BC',
    ],
    [
      'its own type',
      { json: [], headers: { 'content-type': 'application/x-ndjson' } },
      'application/x-ndjson',
      '[]',
    ],
  ];
  for (const [title, step, type, text] of bodies) {
    test(`sends ${title}`, async () => {
      await using site = await startFakeSite();
      await call({ url: site.url, method: 'POST', ...step });
      assert.deepEqual([site.requests[0]?.body, headersOf(site)['content-type']], [text, type]);
    });
  }

  test('is not made with a body that is too large or too deep', async () => {
    await using site = await startFakeSite();
    const deep = JSON.parse(`${'['.repeat(70)}${']'.repeat(70)}`) as unknown;
    const post = { url: site.url, method: 'POST' } as const;
    assert.equal((await call({ ...post, json: deep })).reason, 'InvalidBody');
    const large = Array.from({ length: 17 }, () => 'x'.repeat(65_536));
    assert.equal((await call({ ...post, json: large })).reason, 'RequestTooLarge');
    assert.deepEqual(site.requests, []);
  });

  const bad: [string, Partial<HttpStep>, string, RegExp][] = [
    ['another scheme', { url: 'ftp://example.com' }, 'InvalidUrl', /^http\.url goes to ftp:/],
    ['no address', { url: 'https://' }, 'InvalidUrl', /^http\.url is no address/],
    [
      'a line break in its address',
      { url: 'https://a\n.example.com' },
      'InvalidUrl',
      /^http\.url has a line break/,
    ],
    [
      'credentials in its address',
      { url: 'https://a:b@example.com' },
      'InvalidUrl',
      /^http\.url has a user name.*secretHeaders/,
    ],
    [
      'a line break in a header',
      { headers: { 'X-Foo': 'a\r\nCookie: b' } },
      'InvalidHeader',
      /^http\.headers\.X-Foo has a line break/,
    ],
    ['a NUL in a header', { headers: { 'X-Foo': 'a\0' } }, 'InvalidHeader', /^http\.headers\.X-Foo has /],
    ['letters beyond ASCII in a header', { headers: { 'X-Foo': 'ü' } }, 'InvalidHeader', /not ASCII/],
    [
      'a line break in the name of a header',
      { headers: { 'X\r\nCookie': 'a' } },
      'InvalidHeader',
      /is no name of a header/,
    ],
    [
      'a host of its own',
      { headers: { Host: 'inside' } },
      'InvalidHeader',
      /^http\.headers\.Host is set by the operator/,
    ],
    [
      'a framing of its own',
      { headers: { 'Transfer-Encoding': 'chunked' } },
      'InvalidHeader',
      /is set by the operator/,
    ],
    [
      'a header twice',
      { headers: { 'X-A': '1', 'x-a': '2' } },
      'InvalidHeader',
      /^http\.headers\.x-a is the same header as http\.headers\.X-A/,
    ],
  ];
  for (const [title, step, reason, message] of bad) {
    test(`is not made with ${title}`, async () => {
      await using site = await startFakeSite();
      const spec = { name: 'test', http: { url: site.url, ...step } };
      const result = await http.call(spec, fakeContext(http, spec));
      assert.deepEqual([result.outcome, result.reason], ['Failed', reason]);
      assert.match(result.message ?? '', message);
      assert.equal(site.connections(), 0);
    });
  }
});

describe('caFrom', () => {
  const { ca, ...tls } = makeAuthority('IP:127.0.0.1');
  const secret = { name: 'ca', key: 'ca.crt' };

  test('names the CA to trust, in a Secret or a ConfigMap', async () => {
    await using site = await startFakeSite(undefined, tls);
    const bySecret = await call({ url: site.url, caFrom: { secret } }, { secrets: { 'ca/ca.crt': ca } });
    assert.equal(bySecret.outcome, 'Succeeded', String(bySecret.message));
    const byMap = await call(
      { url: site.url, caFrom: { configMap: secret } },
      { configMaps: { 'ca/ca.crt': ca } },
    );
    assert.equal(byMap.outcome, 'Succeeded', String(byMap.message));
    assert.equal((await call({ url: site.url })).reason, 'TlsFailed');
  });

  test('must hold certificates', async () => {
    for (const value of ['', 'ca', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n']) {
      const world = { configMaps: { 'ca/ca.crt': value } };
      const { reason, message = '' } = await call(
        { url: 'https://127.0.0.1', caFrom: { configMap: secret } },
        world,
      );
      assert.equal(reason, 'InvalidCa');
      assert.match(message, /key ca\.crt of ConfigMap ca holds no certificate/);
    }
  });
});
