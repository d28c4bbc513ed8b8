import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** A certificate authority of a test, and a server certificate of it. In PEM. */
export interface FakeAuthority {
  ca: string;
  key: string;
  cert: string;
}

// openssl reads a configuration of the machine's own unless it is given one, and that one may add extensions.
const CONFIGURATION = `[req]
distinguished_name = subject
x509_extensions = none
[subject]
[none]
[ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
`;

/**
 * Makes an authority with openssl, and a certificate for a server.
 * @param name what the certificate is for, for example `DNS:api.example.com` or `IP:127.0.0.1`
 */
export function makeAuthority(name: string): FakeAuthority {
  const folder = mkdtempSync(path.join(tmpdir(), 'signalbox-ca-'));
  const file = (suffix: string) => path.join(folder, suffix);
  const certify = (who: string, ...more: string[]) => {
    const key = [
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      file(`${who}.key`),
    ];
    const certificate = ['-out', file(`${who}.crt`), '-days', '2', '-subj', `/CN=${who}`];
    const args = ['req', '-x509', '-config', file('openssl.cnf'), ...key, ...certificate, ...more];
    execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    return { key: readFileSync(file(`${who}.key`), 'utf8'), cert: readFileSync(file(`${who}.crt`), 'utf8') };
  };
  try {
    writeFileSync(file('openssl.cnf'), CONFIGURATION);
    const { cert: ca } = certify('authority', '-extensions', 'ca');
    const issuer = ['-CA', file('authority.crt'), '-CAkey', file('authority.key')];
    return { ca, ...certify('server', ...issuer, '-addext', `subjectAltName=${name}`) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
