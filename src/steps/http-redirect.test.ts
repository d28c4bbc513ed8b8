import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type HttpStep, httpStep } from '../api/http-step.ts';
import { type FakeWorld, fakeContext } from './fake-call.ts';
import { makeAuthority } from './fake-authority.ts';
import { type Answer, startFakeSite } from './fake-site.ts';
import { http } from './http.ts';
import { redirected } from './http-redirect.ts';
import type { PreparedRequest } from './http-request.ts';

function call(step: HttpStep, world?: FakeWorld) {
  const spec = { name: 'test', http: httpStep.parse(step) };
  return http.call(spec, fakeContext(http, spec, world));
}

/** Redirects each path to where this says. */
const redirecting =
  (paths: Record<string, string>, status = 302): Answer =>
  ({ target }, response) => {
    const location = paths[target];
    response.writeHead(location === undefined ? 200 : status, location === undefined ? {} : { location });
    response.end(target);
  };

const secretHeaders = { 'X-Api-Key': { name: 'api', key: 'token' } };
const secrets = { 'api/token': 's3cr3t' };
const headers = { Authorization: 'Basic abc', Cookie: 'a=b', 'X-Plain': 'c' };

describe('redirects', () => {
  test('are followed, and their last response is the one that counts', async () => {
    await using site = await startFakeSite(redirecting({ '/a': '/b', '/b': 'c?d' }));
    const result = await call({ url: `${site.url}/a`, outputs: { at: 'response.body' } });
    assert.deepEqual([result.outcome, result.outputs], ['Succeeded', { at: '/c?d' }]);
    assert.deepEqual(
      site.requests.map(({ target }) => target),
      ['/a', '/b', '/c?d'],
    );
  });

  test('end a loop, after as many as the step allows', async () => {
    await using site = await startFakeSite(redirecting({ '/a': '/b', '/b': '/a' }));
    const { reason, message = '' } = await call({ url: `${site.url}/a` });
    assert.equal(reason, 'TooManyRedirects');
    assert.match(message, /more often than 5 times.*http\.maxRedirects/);
    assert.equal(site.requests.length, 6);
    await call({ url: `${site.url}/a`, maxRedirects: 1 });
    assert.equal(site.requests.length, 8);
  });

  test('are the response where the step wants to follow none, or they say not where to', async () => {
    await using site = await startFakeSite(({ target }, response) => {
      response.writeHead(301, target === '/a' ? { location: '/b' } : {});
      response.end();
    });
    const outputs = { to: 'response.headers.location' };
    const none = await call({ url: `${site.url}/a`, maxRedirects: 0, expectedStatus: ['3xx'], outputs });
    assert.deepEqual([none.summary, none.outputs], ['HTTP 301 Moved Permanently', { to: '/b' }]);
    const nowhere = await call({ url: `${site.url}/c` });
    assert.deepEqual([nowhere.reason, nowhere.summary], ['UnexpectedStatus', 'HTTP 301 Moved Permanently']);
    assert.equal(site.requests.length, 2);
  });

  const refused: Record<string, string> = {
    'http://169.254.169.254/latest/meta-data/': 'AddressRefused',
    'http://127.0.0.2:80/': 'AddressRefused',
    '//[::1]/': 'AddressRefused',
    'file:///etc/passwd': 'InvalidUrl',
    'ftp://example.com/': 'InvalidUrl',
    'http://user:word@example.com/': 'InvalidUrl',
    'http://': 'InvalidUrl',
  };
  for (const [location, reason] of Object.entries(refused)) {
    test(`to ${location} fail the step as ${reason}`, async () => {
      await using site = await startFakeSite(redirecting({ '/': location }));
      const result = await call({ url: site.url });
      assert.equal(result.reason, reason, String(result.message));
    });
  }

  test('by 307 and 308 keep method and body, the others make a GET of a POST', async () => {
    for (const [status, method, body, type] of [
      [301, 'GET', '', undefined],
      [302, 'GET', '', undefined],
      [303, 'GET', '', undefined],
      [307, 'POST', 'x', 'text/plain; charset=utf-8'],
      [308, 'POST', 'x', 'text/plain; charset=utf-8'],
    ] as const) {
      await using site = await startFakeSite(redirecting({ '/a': '/b' }, status));
      await call({ url: `${site.url}/a`, method: 'POST', body: 'x' });
      const last = site.requests.at(-1);
      assert.deepEqual(
        [last?.target, last?.method, last?.body, last?.headers['content-type']],
        ['/b', method, body, type],
      );
    }
  });

  test('by 303 make a GET of everything but a HEAD, those by 301 and 302 of nothing but a POST', async () => {
    for (const [status, method, expected] of [
      [303, 'PUT', 'GET'],
      [303, 'DELETE', 'GET'],
      [303, 'HEAD', 'HEAD'],
      [302, 'PUT', 'PUT'],
      [301, 'DELETE', 'DELETE'],
    ] as const) {
      await using site = await startFakeSite(redirecting({ '/a': '/b' }, status));
      await call({ url: `${site.url}/a`, method });
      assert.equal(site.requests.at(-1)?.method, expected, `${status} ${method}`);
    }
  });
});

describe('what is secret', () => {
  test('stays with its origin, on the way back too, and what is not goes along', async () => {
    await using first = await startFakeSite(({ target }, response) => {
      if (target === '/a') response.writeHead(307, { location: `${second.url}/b` });
      response.end();
    });
    await using second = await startFakeSite((_request, response) => {
      response.writeHead(307, { location: `${first.url}/c` });
      response.end();
    });
    await call({ url: `${first.url}/a`, headers, secretHeaders }, { secrets });
    const seen = [...first.requests, ...second.requests].map(({ target, headers }) => [
      target,
      headers['x-api-key'],
      headers.authorization,
      headers.cookie,
      headers['x-plain'],
    ]);
    assert.deepEqual(seen, [
      ['/a', 's3cr3t', 'Basic abc', 'a=b', 'c'],
      ['/c', undefined, undefined, undefined, 'c'],
      ['/b', undefined, undefined, undefined, 'c'],
    ]);
  });

  test('goes along on the same origin', async () => {
    await using site = await startFakeSite(redirecting({ '/a': '/b' }));
    await call({ url: `${site.url}/a`, headers, secretHeaders }, { secrets });
    const { 'x-api-key': key, authorization } = site.requests[1]?.headers ?? {};
    assert.deepEqual([key, authorization], ['s3cr3t', 'Basic abc']);
  });

  test('is not sent in the clear after a redirect from https to http', async () => {
    await using plain = await startFakeSite();
    const { ca, ...tls } = makeAuthority('IP:127.0.0.1');
    await using site = await startFakeSite(redirecting({ '/': plain.url }), tls);
    const caFrom = { configMap: { name: 'ca', key: 'ca.crt' } };
    const world = { secrets, configMaps: { 'ca/ca.crt': ca } };
    const result = await call({ url: site.url, headers, secretHeaders, caFrom }, world);
    assert.equal(result.outcome, 'Succeeded', String(result.message));
    const { 'x-api-key': key, authorization, cookie } = plain.requests[0]?.headers ?? {};
    assert.deepEqual([key, authorization, cookie], [undefined, undefined, undefined]);
  });

  test('is not sent to another port, scheme or host', () => {
    const request: PreparedRequest = {
      method: 'GET',
      url: new URL('https://api.example.com/a'),
      headers: { 'x-api-key': 's3cr3t', authorization: 'x', 'x-plain': 'c' },
      signal: new AbortController().signal,
      connectTimeoutMs: 1000,
      maxBytes: 1000,
      secretNames: new Set(['x-api-key']),
      secrets: ['s3cr3t'],
    };
    const headersAt = (location: string) =>
      redirected(request, { status: 302, headers: { location }, body: Buffer.alloc(0) })?.headers;
    for (const location of [
      'https://api.example.com:8443/',
      'http://api.example.com/',
      '//example.com',
      'https://api.example.com./',
    ]) {
      assert.deepEqual(headersAt(location), { 'x-plain': 'c' }, location);
    }
    for (const location of ['/b', 'https://api.example.com:443/', 'HTTPS://API.example.com']) {
      assert.deepEqual(headersAt(location), request.headers, location);
    }
  });
});
