import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { connect } from 'node:tls';
import { promisify } from 'node:util';
import { CertificateError, type CertificateProblem } from './certificate-error.ts';
import { makeAuthority, makeServerCertificate } from './certificates.ts';
import { fakeMount, type Files } from './fake-mount.ts';
import { startHttpsServer } from './https-server.ts';
import { type MountedOptions, openMountedServing, readMountedCertificate } from './mounted-certificate.ts';

const DAY_MS = 24 * 60 * 60_000;
const now = Date.now();
const names = ['signalbox.system.svc', '127.0.0.1'];
const validity = { from: now - DAY_MS, to: now + 90 * DAY_MS };
const authority = makeAuthority('authority', validity);
const server = makeServerCertificate(authority, names, validity);
const good: Files = filesOf(server, authority.certificate);

function filesOf({ certificate, key }: typeof server, ca: string): Files {
  return { 'tls.crt': certificate, 'tls.key': key, 'ca.crt': ca };
}

const serverOf = (more: { names?: string[]; from?: number; to?: number; by?: typeof authority }) =>
  makeServerCertificate(more.by ?? authority, more.names ?? names, { ...validity, ...more });

function optionsOf(folder: string, onError: (error: unknown) => void = assert.ifError): MountedOptions {
  return { folder, names, now: () => now, onError };
}

async function problemOf(t: TestContext, files: Files): Promise<CertificateError> {
  const mount = await fakeMount(t, files);
  const error = await readMountedCertificate(optionsOf(mount.folder)).then(
    () => undefined,
    (cause: unknown) => cause,
  );
  assert.ok(error instanceof CertificateError, String(error));
  assert.ok(error.message.includes(mount.folder), error.message);
  return error;
}

const { 'ca.crt': _, ...withoutAuthority } = good;
const other = makeAuthority('authority', validity);
const ended = makeAuthority('ended', { from: now - 9 * DAY_MS, to: now - DAY_MS });
const bad: [string, CertificateProblem, RegExp, Files][] = [
  ['no file', 'CertificateMissing', /tls\.crt cannot be read/, {}],
  ['no authority, as of a public one', 'CertificateMissing', /ca\.crt cannot be read/, withoutAuthority],
  ['an empty file', 'CertificateMissing', /tls\.key is empty/, { ...good, 'tls.key': '\n' }],
  ['no certificate', 'CertificateMalformed', /tls\.crt holds no certificates/, { ...good, 'tls.crt': 'x' }],
  [
    'half a certificate',
    'CertificateMalformed',
    /tls\.crt holds no certificates/,
    { ...good, 'tls.crt': server.certificate.replace(/\n\w{10}/, '\n') },
  ],
  ['no key', 'CertificateMalformed', /tls\.key holds no private key/, { ...good, 'tls.key': 'x' }],
  ['the key of another one', 'CertificateKeyMismatch', /another key/, { ...good, 'tls.key': other.key }],
  [
    'one that has ended',
    'CertificateExpired',
    /has ended at/,
    filesOf(serverOf({ to: now - 1000 }), authority.certificate),
  ],
  [
    'one of tomorrow',
    'CertificateNotYetValid',
    /compare the clocks/,
    filesOf(serverOf({ from: now + DAY_MS }), authority.certificate),
  ],
  [
    'one that lacks a name',
    'CertificateNameMissing',
    /called: 127\.0\.0\.1$/,
    filesOf(serverOf({ names: ['signalbox.system.svc'] }), authority.certificate),
  ],
  ['an authority of the same name', 'CertificateUntrusted', /not signed/, filesOf(server, other.certificate)],
  [
    'an authority that has ended',
    'CertificateUntrusted',
    /not signed/,
    filesOf(serverOf({ by: ended }), ended.certificate),
  ],
];

for (const [what, reason, message, files] of bad) {
  test(`does not serve with ${what}`, async (t) => {
    const error = await problemOf(t, files);
    assert.equal(error.reason, reason);
    assert.match(error.message, message);
  });
}

test('an authority may be one of several, and a certificate may be its own', async (t) => {
  for (const ca of [other.certificate + authority.certificate, server.certificate]) {
    const { folder } = await fakeMount(t, { ...good, 'ca.crt': ca });
    assert.equal((await readMountedCertificate(optionsOf(folder))).cert, server.certificate);
  }
});

test('a folder without links is read as well', async (t) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'plain-'));
  t.after(() => rm(folder, { recursive: true }));
  for (const [name, text] of Object.entries(good)) await writeFile(path.join(folder, name), text);
  assert.equal((await readMountedCertificate(optionsOf(folder))).key, server.key);
});

test('who starts before there is a certificate waits for it, says so, and can be stopped', async (t) => {
  const mount = await fakeMount(t, {});
  const errors: unknown[] = [];
  const stop = new AbortController();
  const waiting = openMountedServing(
    optionsOf(mount.folder, (error) => {
      errors.push(error);
      stop.abort();
    }),
    stop.signal,
  );
  await assert.rejects(waiting, /tls\.crt cannot be read/);
  assert.equal(errors.length, 1);
});

test('a renewal is served to who connects from then on; one that is no good is not, until it is mended', async (t) => {
  const mount = await fakeMount(t, good);
  const serving = await openMountedServing(optionsOf(mount.folder), new AbortController().signal);
  const https = await startHttpsServer({ port: 0, serving, requestTimeoutMs: 1000 }, (_, response) => {
    response.end();
  });
  t.after(() => https.close());
  assert.equal(await servedBy(https.port, authority.certificate), server.certificate);

  const renewed = serverOf({});
  await mount.replace({ ...good, 'tls.crt': renewed.certificate });
  await assert.rejects(serving.check(), { reason: 'CertificateKeyMismatch' });
  assert.equal(await servedBy(https.port, authority.certificate), server.certificate);

  await mount.replace(filesOf(renewed, authority.certificate));
  await serving.check();
  assert.equal(await servedBy(https.port, authority.certificate), renewed.certificate);

  const next = makeAuthority('next', validity);
  const byNext = serverOf({ by: next });
  await mount.replace(filesOf(byNext, next.certificate));
  await serving.check();
  assert.equal(await servedBy(https.port, next.certificate), byNext.certificate);
  assert.equal(serving.current().ca, next.certificate);
});

test('what is replaced while it is read is not taken for a broken pair', async (t) => {
  const mount = await fakeMount(t, good);
  const pipe = path.join(mount.folder, '..data', 'tls.crt');
  await rm(pipe);
  await promisify(execFile)('mkfifo', [pipe]);
  const reading = readMountedCertificate(optionsOf(mount.folder));
  // It is open when somebody reads.
  const writer = await open(pipe, 'w');
  const renewed = serverOf({});
  await mount.replace(filesOf(renewed, authority.certificate));
  await writer.writeFile(server.certificate);
  await writer.close();
  await assert.rejects(reading, { reason: 'CertificateMissing' });
  assert.equal((await readMountedCertificate(optionsOf(mount.folder))).cert, renewed.certificate);
});

/** The certificate that somebody gets who trusts these authorities, in PEM. */
async function servedBy(port: number, ca: string): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', ca });
  await once(socket, 'secureConnect');
  const { raw } = socket.getPeerCertificate();
  socket.destroy();
  return new X509Certificate(raw).toString();
}
