import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { CertificateError } from './certificate-error.ts';
import { type Certified, makeAuthority, makeServerCertificate } from './certificates.ts';
import { fakeMount, type Files } from './fake-mount.ts';
import { openSignedServing } from './signed-certificate.ts';

const DAY_MS = 24 * 60 * 60_000;
const START = Date.now();
const YEARS = { from: START - DAY_MS, to: START + 10 * 365 * DAY_MS };
const names = ['signalbox.system.svc', '127.0.0.1'];

const filesOf = ({ certificate, key }: Certified): Files => ({ 'tls.crt': certificate, 'tls.key': key });

/** Serving by the authority of a mount, with a clock that the test moves. */
async function open(t: TestContext, authority: Files) {
  const mount = await fakeMount(t, authority);
  const clock = { now: START };
  const openOne = () =>
    openSignedServing({ folder: mount.folder, names, now: () => clock.now, onError: assert.ifError });
  return { mount, clock, openOne };
}

function assertSigned(cert: string, authority: Certified): void {
  const [leaf, signer] = [new X509Certificate(cert), new X509Certificate(authority.certificate)];
  assert.ok(leaf.checkIssued(signer) && leaf.verify(signer.publicKey));
  assert.ok(leaf.checkHost('signalbox.system.svc') && leaf.checkIP('127.0.0.1'));
}

test('each replica has a certificate of its own, and all are of one authority', async (t) => {
  const authority = makeAuthority('test', YEARS);
  const { openOne } = await open(t, filesOf(authority));
  const [one, two] = [(await openOne()).current(), (await openOne()).current()];
  assert.notEqual(one.cert, two.cert);
  for (const { cert, ca } of [one, two]) {
    assert.equal(ca, authority.certificate);
    assertSigned(cert, authority);
  }
});

test('the certificate is renewed when a third of its time is left', async (t) => {
  const authority = makeAuthority('test', YEARS);
  const { clock, openOne } = await open(t, filesOf(authority));
  const serving = await openOne();
  const first = serving.current();
  const told: string[] = [];
  serving.subscribe(({ cert }) => told.push(cert));
  clock.now += 59 * DAY_MS;
  await serving.check();
  assert.deepEqual([serving.current(), told], [first, []]);
  clock.now += 2 * DAY_MS;
  await serving.check();
  assertSigned(serving.current().cert, authority);
  assert.deepEqual(told, [serving.current().cert]);
  assert.notEqual(told[0], first.cert);
});

test('it lasts no longer than its authority, and is not renewed in vain', async (t) => {
  const end = START + 100 * DAY_MS;
  const { clock, openOne } = await open(t, filesOf(makeAuthority('test', { ...YEARS, to: end })));
  const serving = await openOne();
  clock.now += 70 * DAY_MS;
  await serving.check();
  const last = serving.current();
  assert.equal(Date.parse(new X509Certificate(last.cert).validTo), Math.floor(end / 1000) * 1000);
  clock.now += 29 * DAY_MS;
  await serving.check();
  assert.equal(serving.current(), last);
  clock.now += 2 * DAY_MS;
  await assert.rejects(serving.check(), /has ended at .*: upgrade the release/);
  assert.equal(serving.current(), last);
});

test('another authority signs as soon as it is there', async (t) => {
  const { mount, openOne } = await open(t, filesOf(makeAuthority('test', YEARS)));
  const serving = await openOne();
  const next = makeAuthority('test', YEARS);
  await mount.replace(filesOf(next));
  await serving.check();
  assert.equal(serving.current().ca, next.certificate);
  assertSigned(serving.current().cert, next);
});

const good = makeAuthority('test', YEARS);
const server = makeServerCertificate(good, names, YEARS);
const bad: [string, RegExp, Files][] = [
  ['no files', /^CertificateMissing: .*tls\.crt cannot be read/, {}],
  ['no certificate', /^CertificateMalformed: .*tls\.crt holds no cert/, { ...filesOf(good), 'tls.crt': 'x' }],
  ['no key', /^CertificateMalformed: .*tls\.key holds no private key/, { ...filesOf(good), 'tls.key': 'x' }],
  [
    'the key of another',
    /^CertificateKeyMismatch: /,
    { ...filesOf(good), 'tls.key': makeAuthority('test', YEARS).key },
  ],
  ['one of RSA', /^AuthorityUnusable: .* no key of an elliptic curve/, await rsaAuthority()],
  [
    'a certificate of a server',
    /^AuthorityUnusable: .* not an authority that has signed itself/,
    filesOf(server),
  ],
  [
    'one that has ended',
    /^CertificateExpired: .*has ended at/,
    filesOf(makeAuthority('test', { from: START - 2 * DAY_MS, to: START - DAY_MS })),
  ],
];

for (const [what, message, files] of bad) {
  test(`refuses ${what}`, async (t) => {
    const { openOne } = await open(t, files);
    const error = await openOne().then(
      () => undefined,
      (cause: unknown) => cause,
    );
    assert.ok(error instanceof CertificateError);
    assert.match(`${error.reason}: ${error.message}`, message);
  });
}

/** As somebody makes it who does not know what we can sign with. */
async function rsaAuthority(): Promise<Files> {
  const cwd = await mkdtemp(path.join(tmpdir(), 'authority-'));
  const made = 'req -x509 -newkey rsa:2048 -nodes -subj /CN=test -days 10 -keyout tls.key -out tls.crt';
  await promisify(execFile)('openssl', made.split(' '), { cwd });
  const [certificate, key] = [
    await readFile(path.join(cwd, 'tls.crt'), 'utf8'),
    await readFile(path.join(cwd, 'tls.key'), 'utf8'),
  ];
  await rm(cwd, { recursive: true });
  return filesOf({ certificate, key });
}
