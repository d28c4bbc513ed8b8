import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { RunnerApi } from './api.ts';
import { digestOf, FakeRunnerApi } from './fake-runner-api.ts';
import { makeAuthority } from '../steps/fake-authority.ts';

const folder = await mkdtemp(path.join(tmpdir(), 'signalbox-api-'));
after(() => rm(folder, { recursive: true }));
const tokenFile = path.join(folder, 'token');
await writeFile(tokenFile, 'first\n');
const running = new AbortController().signal;
const commit = 'a'.repeat(40);

function client(fake: FakeRunnerApi, ca = fake.ca) {
  const api = new RunnerApi({ url: fake.url, ca, grant: 'grant', tokenFile });
  return Object.assign(api, { [Symbol.dispose]: () => api.close() });
}

describe('the client of the runner API', () => {
  test('takes the commit that was told first', async () => {
    await using fake = await FakeRunnerApi.start();
    using api = client(fake);
    assert.equal(await api.pinnedCommit(running), undefined);
    assert.equal(await api.pinCommit(commit, running), commit);
    assert.equal(await api.pinCommit('b'.repeat(40), running), commit);
    assert.equal(await api.pinnedCommit(running), commit);
  });

  test('reads the token for each request', async () => {
    await using fake = await FakeRunnerApi.start();
    using api = client(fake);
    await api.pinnedCommit(running);
    await writeFile(tokenFile, 'second\n');
    await api.pinnedCommit(running);
    assert.deepEqual(
      fake.requests.map(({ authorization }) => authorization),
      ['Bearer first', 'Bearer second'],
    );
  });

  test('moves bundles and states as they are', async () => {
    await using fake = await FakeRunnerApi.start();
    using api = client(fake);
    const bundle = Buffer.from([0, 255, 10, 13]);
    await api.putBundle(bundle, digestOf(bundle), running);
    assert.deepEqual(await api.getBundle(running), bundle);
    assert.equal(await api.getState(running), undefined);
    await api.putErroredState(bundle);
    assert.deepEqual(fake.erroredState, bundle);
  });

  test('asks again after 429, 5xx and a broken connection, and not after a refusal', async () => {
    await using fake = await FakeRunnerApi.start();
    using api = client(fake);
    const troubles = [{ status: 503 }, 'drop', { status: 429 }, { status: 500 }] as const;
    fake.trouble = () => troubles[fake.requests.length - 1];
    assert.equal(await api.pinCommit(commit, running), commit);
    assert.equal(fake.requests.length, 5);
    await assert.rejects(api.getBundle(running), {
      reason: 'PlanMissing',
      message: 'The fake says PlanMissing.',
    });
    assert.equal(fake.requests.length, 6);
  });

  test('gives up when its patience or the step is over', async () => {
    await using fake = await FakeRunnerApi.start();
    using api = client(fake);
    fake.trouble = () => ({ status: 503, headers: { 'retry-after': '2' }, body: 'busy' });
    await assert.rejects(api.ask({ method: 'GET', path: '/v1/commit', patience: 1000 }), {
      reason: 'ApiUnreachable',
      message: /HTTP 503 busy/,
    });
    const stop = new AbortController();
    const asked = api.pinnedCommit(stop.signal);
    stop.abort();
    await assert.rejects(asked, { reason: 'Interrupted' });
  });

  test('trusts nobody but the CA that it was given', async () => {
    await using fake = await FakeRunnerApi.start();
    using api = client(fake, makeAuthority('IP:127.0.0.1').ca);
    await assert.rejects(api.ask({ method: 'GET', path: '/v1/commit', patience: 0 }), {
      reason: 'ApiUnreachable',
      message: /certificate/,
    });
    assert.deepEqual(fake.requests, []);
  });
});
