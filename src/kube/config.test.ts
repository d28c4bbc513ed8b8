import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { cachedToken, ConfigError, loadConnection } from './config.ts';
import { fakeClock } from './fake-clock.ts';

interface Settings {
  cluster?: object;
  user?: object;
}

/** A folder for one test, and a function that loads a kubeconfig in it. */
async function setUp(t: TestContext) {
  const folder = await mkdtemp(path.join(tmpdir(), 'kube-config-'));
  t.after(() => rm(folder, { recursive: true }));
  const load = async ({ cluster, user }: Settings) => {
    const file = path.join(folder, 'config');
    const settings = {
      'current-context': 'here',
      clusters: [{ name: 'c', cluster: { server: 'https://api.test:6443', ...cluster } }],
      users: [{ name: 'u', user: { ...user } }],
      contexts: [
        { name: 'here', context: { cluster: 'c', user: 'u' } },
        { name: 'nowhere', context: { cluster: 'gone', user: 'u' } },
      ],
    };
    await writeFile(file, JSON.stringify(settings));
    return loadConnection({ kubeconfig: file });
  };
  return { folder, load };
}

const base64 = (text: string) => Buffer.from(text).toString('base64');

test('takes server, authorities, client certificate and user to act as from a kubeconfig', async (t) => {
  const { load } = await setUp(t);
  const connection = await load({
    cluster: { 'certificate-authority-data': base64('CA'), 'tls-server-name': 'other' },
    user: { 'client-certificate-data': base64('CERT'), 'client-key-data': base64('KEY'), as: 'jane' },
  });
  assert.deepEqual(connection, {
    server: 'https://api.test:6443',
    insecure: false,
    ca: Buffer.from('CA'),
    cert: Buffer.from('CERT'),
    key: Buffer.from('KEY'),
    serverName: 'other',
    impersonate: 'jane',
  });
});

test('takes a fixed token, and trusts any certificate only when told to', async (t) => {
  const { load } = await setUp(t);
  const connection = await load({ cluster: { 'insecure-skip-tls-verify': true }, user: { token: 'fixed' } });
  assert.equal(connection.insecure, true);
  assert.equal(await connection.token?.read(), 'fixed');
});

test('reads a token file again when it was turned down', async (t) => {
  const { folder, load } = await setUp(t);
  const tokenFile = path.join(folder, 'token');
  await writeFile(tokenFile, 'first\n');
  const { token } = await load({ user: { 'auth-provider': { name: 'tokenFile', config: { tokenFile } } } });
  assert.equal(await token?.read(), 'first');
  await writeFile(tokenFile, 'second');
  assert.equal(await token?.read(), 'first');
  token?.forget();
  assert.equal(await token?.read(), 'second');
});

test('runs an exec plugin, and again when its token was turned down although it said that it was good', async (t) => {
  const { folder, load } = await setUp(t);
  const calls = path.join(folder, 'calls');
  const credential = `{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"call-'$n'"}}`;
  const script = `echo x >> ${calls}; n=$(wc -l < ${calls}); echo '${credential}'`;
  const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: 'sh', args: ['-c', script] };
  const { token } = await load({ user: { exec } });
  assert.equal(await token?.read(), 'call-1');
  token?.forget();
  assert.equal(await token?.read(), 'call-2');
  assert.equal(await token?.read(), 'call-2');
});

test('says what is missing', async (t) => {
  const { folder, load } = await setUp(t);
  await load({});
  const kubeconfig = path.join(folder, 'config');
  await assert.rejects(loadConnection({ kubeconfig, context: 'nowhere' }), { reason: 'NoCluster' });
  await assert.rejects(loadConnection({ kubeconfig, context: 'unheard of' }), ConfigError);
  await assert.rejects(load({ cluster: { 'proxy-url': 'http://proxy' } }), { reason: 'ProxyUnsupported' });
});

test('a token is remembered for ten seconds, and one read serves all who ask meanwhile', async () => {
  const clock = fakeClock();
  let reads = 0;
  const source = cachedToken(async () => `read ${++reads}`, clock);
  assert.deepEqual(await Promise.all([source.read(), source.read()]), ['read 1', 'read 1']);
  await clock.advance(9_999);
  assert.equal(await source.read(), 'read 1');
  await clock.advance(1);
  assert.equal(await source.read(), 'read 2');
});

test('a read that failed is told and not remembered', async () => {
  const outcomes = [() => Promise.reject(new Error('no file')), () => Promise.resolve('token')];
  const source = cachedToken(async () => outcomes.shift()?.());
  await assert.rejects(source.read(), /no file/);
  assert.equal(await source.read(), 'token');
});
