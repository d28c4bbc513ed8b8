import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { RunnerApi } from './api.ts';
import { FakeRunnerApi } from './fake-runner-api.ts';
import { Log } from './log.ts';
import { createMask } from './mask.ts';
import { StateProxy } from './terraform-state-proxy.ts';

const folder = await mkdtemp(path.join(tmpdir(), 'signalbox-proxy-'));
after(() => rm(folder, { recursive: true }));
const tokenFile = path.join(folder, 'token');
await writeFile(tokenFile, 'token');

async function start() {
  const fake = await FakeRunnerApi.start();
  const api = new RunnerApi({ url: fake.url, ca: fake.ca, grant: 'grant', tokenFile });
  const written: string[] = [];
  const stop = new AbortController();
  const log = new Log(
    createMask([]),
    (text) => written.push(text),
    () => 0,
  );
  const proxy = await StateProxy.start(api, { log, stop: stop.signal });
  const { TF_HTTP_ADDRESS = '', TF_HTTP_USERNAME, TF_HTTP_PASSWORD } = proxy.environment;
  const login = `Basic ${Buffer.from(`${TF_HTTP_USERNAME}:${TF_HTTP_PASSWORD}`).toString('base64')}`;
  const ask = (method: string, { body, query = '', authorization = login }: Asked = {}) =>
    fetch(`${TF_HTTP_ADDRESS}${query}`, { method, headers: { authorization }, ...(body ? { body } : {}) });
  return {
    fake,
    proxy,
    ask,
    stop,
    log: () => written.join(''),
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      api.close();
      await fake[Symbol.asyncDispose]();
    },
  };
}

interface Asked {
  body?: string;
  query?: string;
  authorization?: string;
}

const lock = JSON.stringify({ ID: 'lock-1', Who: 'us' });
const state = JSON.stringify({ version: 4, serial: 3, lineage: 'line' });

describe('the server for the state in the pod', () => {
  test('passes the whole protocol on, and remembers what Terraform has seen and holds', async () => {
    await using site = await start();
    const { fake, proxy, ask } = site;
    assert.equal((await ask('GET')).status, 204);
    assert.deepEqual(proxy.lastRead, {});
    assert.equal((await ask('LOCK', { body: lock })).status, 200);
    assert.equal(proxy.lockHeld, 'lock-1');
    assert.equal((await ask('POST', { body: state, query: '?ID=lock-1' })).status, 200);
    assert.equal(await (await ask('GET')).text(), state);
    assert.deepEqual(proxy.lastRead, { lineage: 'line', serial: 3 });
    assert.equal((await ask('UNLOCK', { body: lock })).status, 200);
    assert.equal(proxy.lockHeld, undefined);
    assert.equal(fake.states.length, 1);
    assert.ok(fake.requests.every(({ authorization }) => authorization === 'Bearer token'));
  });

  test('serves nobody without the password', async () => {
    await using site = await start();
    for (const authorization of [
      '',
      'Basic ',
      'Bearer token',
      `Basic ${Buffer.from('runner:').toString('base64')}`,
    ]) {
      assert.equal((await site.ask('GET', { authorization })).status, 401);
    }
    assert.deepEqual(site.fake.requests, []);
  });

  test('tells of a lock that somebody else has, and not of our own', async () => {
    await using site = await start();
    site.fake.lock = { ID: 'lock-1' };
    assert.equal((await site.ask('LOCK', { body: lock })).status, 200);
    assert.equal(site.proxy.lockHeld, 'lock-1');
    site.fake.lock = { ID: 'lock-2' };
    const locked = await site.ask('LOCK', { body: lock });
    assert.deepEqual([locked.status, await locked.json()], [423, { ID: 'lock-2' }]);
    assert.equal(site.proxy.lockHolder?.ID, 'lock-2');
  });

  test('remembers why the operator refused a state', async () => {
    await using site = await start();
    assert.equal((await site.ask('POST', { body: state, query: '?ID=none' })).status, 409);
    assert.equal(site.proxy.lastRefusal?.reason, 'LockLost');
    assert.match(site.log(), /the state: LockLost/);
  });

  test('stops asking for the lock when the step is stopped, and still writes the state', async () => {
    await using site = await start();
    site.fake.trouble = ({ method }) => (method === 'LOCK' ? { status: 503 } : undefined);
    const asked = site.ask('LOCK', { body: lock });
    site.stop.abort();
    assert.equal((await asked).status, 503);
    site.fake.lock = { ID: 'lock-1' };
    assert.equal((await site.ask('POST', { body: state, query: '?ID=lock-1' })).status, 200);
    assert.equal((await site.ask('UNLOCK', { body: lock })).status, 200);
  });

  test('answers other methods itself', async () => {
    await using site = await start();
    assert.equal((await site.ask('DELETE')).status, 405);
    assert.deepEqual(site.fake.requests, []);
  });
});
