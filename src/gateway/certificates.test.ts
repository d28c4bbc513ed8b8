import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { connect, createServer } from 'node:tls';
import { promisify } from 'node:util';
import { type Certified, makeAuthority, makeServerCertificate } from './certificates.ts';
import { partsOf } from './der.ts';

const DAY_MS = 24 * 60 * 60_000;
const validity = { from: Date.now() - DAY_MS, to: Date.now() + 90 * DAY_MS };
const names = ['signalbox.system.svc', 'signalbox.system.svc.cluster.local', '127.0.0.1', 'fd00::1:2'];

async function openssl(t: TestContext, files: Record<string, string>, ...args: string[]): Promise<string> {
  const cwd = await mkdtemp(path.join(tmpdir(), 'certificates-'));
  t.after(() => rm(cwd, { recursive: true }));
  for (const [name, text] of Object.entries(files)) await writeFile(path.join(cwd, name), text);
  return (await promisify(execFile)('openssl', args, { cwd })).stdout;
}

/** Name that the server's certificate was accepted for, or the code of the error. */
async function handshake({ certificate, key }: Certified, ca: string, servername: string): Promise<string> {
  const server = createServer({ cert: certificate, key }, (socket) => socket.end());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const socket = connect({ port, host: '127.0.0.1', ca, ...(servername === '' ? {} : { servername }) });
  try {
    await once(socket, 'secureConnect');
    return 'accepted';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  } finally {
    socket.destroy();
    server.close();
  }
}

test('OpenSSL takes the certificate in its strict mode, for its names and for a server', async (t) => {
  const authority = makeAuthority('signalbox', validity);
  const server = makeServerCertificate(authority, names, validity);
  const files = { 'ca.pem': authority.certificate, 'server.pem': server.certificate };
  const verify = ['verify', '-x509_strict', '-purpose', 'sslserver', '-CAfile', 'ca.pem'];
  for (const name of names) {
    const check = name.includes(':') || name === '127.0.0.1' ? '-verify_ip' : '-verify_hostname';
    assert.match(await openssl(t, files, ...verify, check, name, 'server.pem'), /server\.pem: OK/);
  }
  const text = await openssl(t, files, 'x509', '-in', 'server.pem', '-noout', '-text');
  assert.match(text, /Version: 3/);
  assert.match(text, /Basic Constraints: critical\s+CA:FALSE/);
  assert.match(text, /Key Usage: critical\s+Digital Signature\n/);
  assert.match(text, /DNS:signalbox\.system\.svc, .*IP Address:127\.0\.0\.1, IP Address:FD00:0:0:0:0:0:1:2/);
  const ofAuthority = await openssl(t, files, 'x509', '-in', 'ca.pem', '-noout', '-text');
  assert.match(ofAuthority, /CA:TRUE/);
  assert.match(ofAuthority, /Key Usage: critical\s+Certificate Sign\n/);
});

test('a client that trusts the authority connects, under the names alone', async () => {
  const authority = makeAuthority('signalbox', validity);
  const server = makeServerCertificate(authority, names, validity);
  const { certificate } = authority;
  assert.equal(await handshake(server, certificate, 'signalbox.system.svc'), 'accepted');
  assert.equal(await handshake(server, certificate, ''), 'accepted');
  assert.equal(await handshake(server, certificate, 'other.system.svc'), 'ERR_TLS_CERT_ALTNAME_INVALID');
  // Of the same name, with another key.
  const other = makeAuthority('signalbox', validity).certificate;
  assert.notEqual(await handshake(server, other, 'signalbox.system.svc'), 'accepted');
});

test('an authority that others have made signs like one of its own', async (t) => {
  const cwd = await mkdtemp(path.join(tmpdir(), 'certificates-'));
  t.after(() => rm(cwd, { recursive: true }));
  // As Go writes names, and unlike ours: printable strings, and an identifier of the key that is no hash of it.
  const settings = `
[req]
distinguished_name = name
x509_extensions = authority
string_mask = default
prompt = no
[name]
O = Example
CN = An authority
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = 0102030405
authorityKeyIdentifier = keyid:always
`;
  await writeFile(path.join(cwd, 'settings'), settings);
  const made =
    'req -x509 -config settings -newkey ec -pkeyopt ec_paramgen_curve:P-384 -nodes -keyout ca.key -out ca.pem';
  await promisify(execFile)('openssl', made.split(' '), { cwd });
  const read = (name: string) => readFile(path.join(cwd, name), 'utf8');
  const authority = { certificate: await read('ca.pem'), key: await read('ca.key') };
  const server = makeServerCertificate(authority, names, validity);
  const files = { 'ca.pem': authority.certificate, 'server.pem': server.certificate };
  const verify = ['verify', '-x509_strict', '-purpose', 'sslserver', '-CAfile', 'ca.pem', 'server.pem'];
  assert.match(await openssl(t, files, ...verify), /server\.pem: OK/);
  assert.equal(await handshake(server, authority.certificate, 'signalbox.system.svc'), 'accepted');
  // Go compares names byte by byte.
  const nameIn = (pem: string, index: number) =>
    partsOf(partsOf(new X509Certificate(pem).raw)[0] ?? Buffer.of())[index];
  assert.deepEqual(nameIn(server.certificate, 3), nameIn(authority.certificate, 5));
});

test('a certificate that has ended, or is far in the future, is as it says', async () => {
  const authority = makeAuthority('signalbox', { from: 0, to: Date.UTC(2060, 0, 1) });
  const past = makeServerCertificate(authority, names, { from: 0, to: Date.UTC(2020, 0, 1) });
  assert.equal(await handshake(past, authority.certificate, 'signalbox.system.svc'), 'CERT_HAS_EXPIRED');
  const future = makeServerCertificate(authority, names, {
    from: Date.UTC(2051, 0, 1),
    to: Date.UTC(2059, 0, 1),
  });
  assert.equal(await handshake(future, authority.certificate, 'signalbox.system.svc'), 'CERT_NOT_YET_VALID');
});
