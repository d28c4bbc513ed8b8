import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type HttpStep, httpStep } from '../api/http-step.ts';
import type { Scalar } from '../api/common.ts';
import { type FakeWorld, fakeContext, NOW } from './fake-call.ts';
import { type Answer, type FakeSite, startFakeSite } from './fake-site.ts';
import { http } from './http.ts';
import { CallError } from './step-type.ts';

const stepOf = (step: HttpStep) => ({ name: 'test', http: httpStep.parse(step) });

function call(step: HttpStep, world?: FakeWorld) {
  const spec = stepOf(step);
  return http.call(spec, fakeContext(http, spec, world));
}

/** Answers with this body and status. */
const answering =
  (body: unknown, status = 200, headers: Record<string, string> = {}): Answer =>
  (_request, response) => {
    response.writeHead(status, headers);
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  };

/** Answers with the request itself, as JSON. */
const echo: Answer = ({ method, headers, body }, response) => {
  response.setHeader('X-Echo', headers.authorization ?? '');
  response.end(JSON.stringify({ authorization: headers.authorization, method, body }));
};

const headersOf = (site: FakeSite) => site.requests[0]?.headers ?? {};

describe('a secret header', () => {
  const secretHeaders = { Authorization: { name: 'api', key: 'token', prefix: 'Bearer ' } };
  const secrets = { 'api/token': 's3cr3t-"token"\n' };

  test('is sent with its prefix, and without the line break at its end', async () => {
    await using site = await startFakeSite();
    await call({ url: site.url, secretHeaders }, { secrets });
    assert.equal(headersOf(site).authorization, 'Bearer s3cr3t-"token"');
  });

  test('of Basic authentication does not come back as the password that is in it', async () => {
    const password = 'correct-horse';
    await using site = await startFakeSite(answering(`no user:${password}, nor ${password}`, 401));
    const basic = { Authorization: { name: 'api', key: 'token', prefix: 'Basic ' } };
    const token = Buffer.from(`user:${password}`).toString('base64');
    const { message } = await call(
      { url: site.url, secretHeaders: basic },
      { secrets: { 'api/token': token } },
    );
    assert.match(message ?? '', /: no \*\*\*, nor \*\*\*$/);
  });

  test('comes back to nobody: not in outputs, not in a message, not in what expressions see', async () => {
    await using site = await startFakeSite(echo);
    const outputs = {
      body: 'response.body.contains("s3cr3t") || response.body.contains("token\\"")',
      json: 'response.json.authorization',
      header: 'response.headers["x-echo"]',
      letters: 'response.json.authorization.split("").join("-")',
    };
    const shown = await call({ url: site.url, secretHeaders, outputs }, { secrets });
    assert.deepEqual(shown.outputs, {
      body: false,
      json: 'Bearer ***',
      header: 'Bearer ***',
      letters: 'B-e-a-r-e-r- -*-*-*',
    });
    const unexpected = await call({ url: site.url, secretHeaders, expectedStatus: [204] }, { secrets });
    const unmet = await call({ url: site.url, secretHeaders, expect: 'response.body == ""' }, { secrets });
    for (const { outcome, message = '' } of [unexpected, unmet]) {
      assert.equal(outcome, 'Failed');
      assert.match(message, /"authorization":"Bearer \*\*\*"/);
      assert.doesNotMatch(message, /s3cr3t/);
    }
  });

  test('is not shown in part where a message is cut', async () => {
    await using site = await startFakeSite(answering(`${'x'.repeat(195)}s3cr3t-"token"`, 500));
    const { message = '' } = await call({ url: site.url, secretHeaders }, { secrets });
    assert.match(message, /x{195}\*\*\*$/);
  });

  test('fails the step when it can not be read, or holds what no header can', async () => {
    await using site = await startFakeSite();
    const missing = await call({ url: site.url, secretHeaders });
    assert.deepEqual(
      [missing.reason, missing.message],
      ['SecretNotFound', 'There is no Secret api in namespace api.'],
    );
    const broken = await call(
      { url: site.url, secretHeaders },
      { secrets: { 'api/token': 'top\r\nsecret' } },
    );
    assert.equal(broken.reason, 'InvalidHeader');
    assert.match(broken.message ?? '', /^http\.secretHeaders\.Authorization has a line break/);
    assert.doesNotMatch(broken.message ?? '', /secret$|top/);
    const twice = await call({ url: site.url, secretHeaders, headers: { authorization: 'x' } }, { secrets });
    assert.match(twice.message ?? '', /is the same header as http\.headers\.authorization/);
    assert.equal(site.connections(), 0);
  });
});

describe('the status', () => {
  const cases: [HttpStep['expectedStatus'], number[], number[]][] = [
    [undefined, [200, 204, 299], [300, 404, 500]],
    [
      [200, 404],
      [200, 404],
      [201, 405],
    ],
    [['4xx'], [400, 499], [200, 500]],
    [
      ['200-204', 410],
      [200, 204, 410],
      [205, 411],
    ],
  ];
  for (const [expectedStatus, good, bad] of cases) {
    test(`is expected to be ${expectedStatus?.join() ?? '2xx by default'}`, async () => {
      await using site = await startFakeSite(({ target }, response) => {
        response.writeHead(Number(target.slice(1)));
        response.end();
      });
      const step = expectedStatus ? { expectedStatus } : {};
      for (const status of [...good, ...bad]) {
        const { outcome } = await call({ url: `${site.url}/${status}`, ...step });
        assert.equal(outcome, good.includes(status) ? 'Succeeded' : 'Failed', String(status));
      }
    });
  }

  test('that is not expected is told with the beginning of the body, on one line', async () => {
    await using site = await startFakeSite(answering(`no\n\u0000such\tpage ${'x'.repeat(500)}`, 404));
    const { outcome, reason, summary, message = '' } = await call({ url: site.url });
    assert.deepEqual([outcome, reason, summary], ['Failed', 'UnexpectedStatus', 'HTTP 404 Not Found']);
    const excerpt = `no such page ${'x'.repeat(187)}…`;
    assert.equal(message, `http.expectedStatus is 2xx, and the response HTTP 404 Not Found: ${excerpt}`);
  });

  test('of somebody who asks to be left alone for a while says for how long', async () => {
    const asked: [number, string, number | undefined][] = [
      [429, '7', 7000],
      [503, new Date(NOW + 90_000).toUTCString(), 90_000],
      [503, new Date(NOW - 90_000).toUTCString(), 0],
      [500, '7', undefined],
      [429, 'soon', undefined],
      [429, '-1', undefined],
    ];
    for (const [status, value, expected] of asked) {
      await using site = await startFakeSite(answering('', status, { 'Retry-After': value }));
      assert.equal((await call({ url: site.url })).retryAfterMs, expected, `${status} ${value}`);
    }
  });
});

describe('expect', () => {
  const answer = answering({ status: 'ok', items: [1, 2] }, 200, { 'X-Version': '7' });
  const cases: [string, string, string, RegExp][] = [
    ['is true', 'response.json.status == "ok" && response.status == 200', 'Completed', /^$/],
    ['sees headers in lower case', 'response.headers["x-version"] == "7"', 'Completed', /^$/],
    ['sees the body', 'response.body.startsWith("{") && run.name == "deploy"', 'Completed', /^$/],
    ['is false', 'response.json.items.size() > 2', 'ExpectationFailed', /HTTP 200 OK: \{"status":"ok"/],
    ['is no boolean', 'response.json.status', 'ExpressionError', /^http\.expect: it must be true or false/],
    [
      'fails',
      'response.json.state == "ok"',
      'ExpressionError',
      /^http\.expect: response\.json\.state is not there/,
    ],
  ];
  for (const [title, expect, reason, message] of cases) {
    test(title, async () => {
      await using site = await startFakeSite(answer);
      const result = await call({ url: site.url, expect });
      assert.equal(result.reason, reason, String(result.message));
      assert.match(result.message ?? '', message);
    });
  }
});

describe('outputs', () => {
  test('are taken from the response', async () => {
    await using site = await startFakeSite(
      answering({ id: 7, tags: ['a'], nested: { deep: true } }, 201, { Location: '/7' }),
    );
    const outputs = {
      id: 'response.json.id',
      tags: 'response.json.tags',
      nested: 'response.json.nested',
      where: 'response.headers.location',
      all: 'response.body',
      code: 'response.status',
    };
    const result = await call({ url: site.url, outputs });
    assert.equal(result.summary, 'HTTP 201 Created');
    assert.deepEqual(result.outputs, {
      id: 7,
      tags: ['a'],
      nested: { deep: true },
      where: '/7',
      all: '{"id":7,"tags":["a"],"nested":{"deep":true}}',
      code: 201,
    });
  });

  test('of what is no JSON, or nested beyond measure, know no response.json', async () => {
    for (const body of ['', '<html>', `${'['.repeat(100_000)}${']'.repeat(100_000)}`]) {
      await using site = await startFakeSite(answering(body));
      const guarded = await call({ url: site.url, outputs: { json: 'has(response.json)' } });
      assert.deepEqual(guarded.outputs, { json: false });
      const result = await call({ url: site.url, outputs: { id: 'response.json.id' } });
      assert.equal(result.reason, 'ExpressionError');
      assert.match(result.message ?? '', /^http\.outputs\.id: response\.json is not there/);
    }
  });

  test('that are too large fail the step', async () => {
    await using site = await startFakeSite(answering('x'.repeat(5000)));
    const { reason, message = '' } = await call({ url: site.url, outputs: { all: 'response.body' } });
    assert.equal(reason, 'OutputTooLarge');
    assert.match(message, /more than 4096/);
  });
});

describe('a call that does not come to a response', () => {
  test('is the fault of the network when nobody is reached', async () => {
    const { url, [Symbol.asyncDispose]: close } = await startFakeSite();
    await close();
    const { outcome, reason, infrastructure } = await call({ url });
    assert.deepEqual([outcome, reason, infrastructure], ['Failed', 'ConnectFailed', true]);
  });

  test('is the fault of the step when it goes where it must not', async () => {
    const { reason, infrastructure } = await call({ url: 'http://169.254.169.254/latest/meta-data/' });
    assert.deepEqual([reason, infrastructure], ['AddressRefused', undefined]);
  });

  test('ends when its time is over, for the reason that the signal gives', async () => {
    const stop = new AbortController();
    await using site = await startFakeSite(() =>
      stop.abort(new CallError('DeadlineExceeded', 'Longer than 1s.')),
    );
    const { outcome, reason, message } = await call({ url: site.url }, { more: { signal: stop.signal } });
    assert.deepEqual([outcome, reason, message], ['Failed', 'DeadlineExceeded', 'Longer than 1s.']);
  });

  test('fails on a response of more than 1 MiB', async () => {
    await using site = await startFakeSite(({ target }, response) =>
      response.end('x'.repeat(Number(target.slice(1)))),
    );
    assert.equal((await call({ url: `${site.url}/1048576` })).outcome, 'Succeeded');
    assert.equal((await call({ url: `${site.url}/1048577` })).reason, 'ResponseTooLarge');
  });

  test('fails, and throws nothing, whatever goes wrong in it', async () => {
    const egress = { request: () => Promise.reject(new TypeError('odd')), close: async () => {} };
    const result = await call({ url: 'http://127.0.0.1' }, { more: { egress } });
    assert.deepEqual([result.outcome, result.reason, result.message], ['Failed', 'InternalError', 'odd']);
  });
});

test('a call that was interrupted is made again only where that does no harm, or where the step says so', () => {
  const of = (step: Partial<HttpStep>) => http.onInterrupt(stepOf({ url: 'https://example.com', ...step }));
  for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS'] as const)
    assert.equal(of({ method }), 'Retry');
  for (const method of ['POST', 'PATCH'] as const) assert.equal(of({ method }), 'Fail');
  assert.equal(of({}), 'Retry');
  assert.equal(of({ method: 'POST', onInterrupt: 'Retry' }), 'Retry');
  assert.equal(of({ method: 'GET', onInterrupt: 'Fail' }), 'Fail');
});

test('every text can have expressions in it, at a path of its own', () => {
  const fields: string[] = [];
  const text = (field: string, value: string) => {
    fields.push(field);
    return `<${value}>`;
  };
  const scalar = (field: string, value: Scalar) => (value === '3' ? 3 : text(field, String(value)));
  const step: HttpStep = {
    url: 'https://example.com',
    headers: { 'X-Foo': 'h' },
    secretHeaders: { Authorization: { name: 'a', key: 'b' } },
    body: 'b',
    json: { a: { b: ['x', { 'a.b': 'y', count: '3' }] }, 'a.b': 'z', n: 1, none: null },
    form: { f: 'v' },
    expect: 'true',
  };
  const { http: resolved } = http.resolve({ name: 'test', http: step }, { text, scalar });
  assert.deepEqual(resolved, {
    ...step,
    url: '<https://example.com>',
    headers: { 'X-Foo': '<h>' },
    body: '<b>',
    json: { a: { b: ['<x>', { 'a.b': '<y>', count: 3 }] }, 'a.b': '<z>', n: 1, none: null },
    form: { f: '<v>' },
  });
  const json = ['http.json.a.b[0]', 'http.json.a.b[1]["a.b"]', 'http.json["a.b"]'];
  assert.deepEqual(fields, ['http.url', 'http.headers.X-Foo', 'http.body', ...json, 'http.form.f']);
});

test('its expressions see the response', () => {
  const spec = stepOf({ url: 'https://example.com', expect: 'true', outputs: { a: '1' } });
  const declared = http.expressions?.(spec) ?? [];
  const seen = declared.map(({ field, source, variables }) => [field, source, Object.keys(variables)]);
  assert.deepEqual(seen, [
    ['http.expect', 'true', ['response']],
    ['http.outputs.a', '1', ['response']],
  ]);
  assert.deepEqual(http.expressions?.(stepOf({ url: 'https://example.com' })), []);
});
