import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { type Certified, makeAuthority, makeServerCertificate } from './certificates.ts';
import { openClientAuthorities } from './client-authorities.ts';
import { fakeMount } from './fake-mount.ts';
import { startHttpsServer } from './https-server.ts';
import type { ServingCertificate } from './serving.ts';

const HOUR_MS = 3_600_000;
const validity = { from: Date.now() - HOUR_MS, to: Date.now() + HOUR_MS };
const authority = makeAuthority('the API server', validity);
const stranger = makeAuthority('the API server', validity);
const own = makeAuthority('operator', validity);
const server = makeServerCertificate(own, ['127.0.0.1'], validity);

/** A certificate for a client, by openssl: the operator itself makes none. */
async function clientOf(t: TestContext, by: Certified): Promise<Certified> {
  const cwd = await mkdtemp(path.join(tmpdir(), 'client-'));
  t.after(() => rm(cwd, { recursive: true }));
  const configuration = '[req]\ndistinguished_name = subject\nx509_extensions = none\n[subject]\n[none]\n';
  const files = { 'ca.crt': by.certificate, 'ca.key': by.key, 'openssl.cnf': configuration };
  for (const [name, content] of Object.entries(files)) await writeFile(path.join(cwd, name), content);
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'key'];
  const use = ['-subj', '/CN=webhooks', '-addext', 'extendedKeyUsage=clientAuth', '-out', 'crt'];
  const signed = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-config', 'openssl.cnf'];
  await promisify(execFile)('openssl', ['req', '-x509', ...key, ...use, ...signed], { cwd });
  const read = (name: string) => readFile(path.join(cwd, name), 'utf8');
  return { certificate: await read('crt'), key: await read('key') };
}

/** Status of the answer that a caller gets, or `nothing`. */
function answerTo(port: number, client?: Certified): Promise<number | 'nothing'> {
  const shown = client ? { cert: client.certificate, key: client.key } : {};
  return new Promise((resolve) => {
    const options = { host: '127.0.0.1', port, agent: false, ca: own.certificate, ...shown };
    const sent = request(options, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    sent.once('error', () => resolve('nothing'));
    sent.end();
  });
}

async function serve(t: TestContext, authorities: string) {
  const mount = await fakeMount(t, { 'ca.crt': authorities });
  const clients = await openClientAuthorities({
    file: path.join(mount.folder, 'ca.crt'),
    onError: assert.ifError,
  });
  const current = { cert: server.certificate, key: server.key, ca: own.certificate };
  const listeners: ((certificate: ServingCertificate) => void)[] = [];
  const subscribe = (listener: (typeof listeners)[number]) => void listeners.push(listener);
  const serving = { current: () => current, subscribe };
  let asked = 0;
  const https = await startHttpsServer(
    { port: 0, serving, clients, requestTimeoutMs: 1000 },
    (_, response) => {
      asked += 1;
      response.writeHead(204).end();
    },
  );
  t.after(() => https.close());
  const renew = () => listeners.forEach((listener) => listener(current));
  return { port: https.port, clients, mount, renew, asked: () => asked };
}

test('who shows a certificate of the authority is answered, and nobody else', async (t) => {
  const { port, renew, asked } = await serve(t, authority.certificate);
  const known = await clientOf(t, authority);
  const unknown = await clientOf(t, stranger);
  // The certificate of a server is none of a client, whoever has signed it.
  const wrongUse = makeServerCertificate(authority, ['127.0.0.1'], validity);
  for (const round of ['at first', 'after the own certificate was renewed']) {
    assert.equal(await answerTo(port, known), 204, round);
    assert.equal(await answerTo(port), 'nothing', round);
    assert.equal(await answerTo(port, unknown), 'nothing', round);
    assert.equal(await answerTo(port, wrongUse), 'nothing', round);
    renew();
  }
  assert.equal(asked(), 2);
});

test('another authority is taken without a restart, and a file that holds none is not', async (t) => {
  const { port, clients, mount } = await serve(t, authority.certificate);
  const [first, second] = [await clientOf(t, authority), await clientOf(t, stranger)];
  await mount.replace({ 'ca.crt': 'none' });
  await assert.rejects(clients.check(), { reason: 'CertificateMalformed' });
  assert.equal(await answerTo(port, first), 204);
  await mount.replace({ 'ca.crt': stranger.certificate });
  await clients.check();
  assert.equal(await answerTo(port, first), 'nothing');
  assert.equal(await answerTo(port, second), 204);
});

test('a file that can not be used at the start is an error that names it', async () => {
  const opened = openClientAuthorities({ file: '/nowhere/ca.crt', onError: assert.ifError });
  await assert.rejects(opened, {
    reason: 'CertificateMissing',
    message: /\/nowhere\/ca\.crt cannot be read/,
  });
});
