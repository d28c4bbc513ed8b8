import path from 'node:path';
import { CertificateError } from './certificate-error.ts';
import { isDue, signServer } from './certificate-term.ts';
import { type Certified, endOf } from './certificates.ts';
import { parseCertificates, parseKey, readMounted } from './pem-file.ts';
import { isSameCertificate, type Serving, type ServingCertificate } from './serving.ts';
import { createWatched } from './watched.ts';

// Where whoever installs the operator has made an authority, and has said in the webhook configurations to trust it, the
// operator finds it in a folder, and signs its certificate with it. Each replica makes one of its own and keeps it in
// memory: who trusts the authority trusts them all.

/** How often the files are looked at. A kubelet takes a minute to bring new ones. */
const LOOK_MS = 15_000;
const RETRY_MS = 60_000;

export interface SigningOptions {
  /** With the files `tls.crt` and `tls.key` of the authority. */
  folder: string;
  /** DNS names and addresses under which the operator is called. */
  names: readonly string[];
  /** @returns milliseconds since the epoch */
  now: () => number;
  /** Told each time that the authority can not be used. */
  onError: (error: unknown) => void;
}

/** Signs a certificate, and another one before it ends or when the authority changes. @throws {CertificateError} */
export async function openSignedServing(options: SigningOptions): Promise<Serving> {
  const { folder, names, now, onError } = options;
  let current: ServingCertificate | undefined;

  async function look(): Promise<ServingCertificate> {
    const authority = await readAuthority(folder, now());
    if (current?.ca === authority.certificate && isLasting(current, now())) return current;
    current = signed(authority, names, now());
    return current;
  }

  const first = await look();
  return createWatched({
    first,
    look,
    isSame: isSameCertificate,
    everyMs: LOOK_MS,
    retryMs: RETRY_MS,
    onError,
  });
}

/** No certificate lasts longer than its authority; so near the end of that one, it can not be renewed. */
function isLasting({ cert, ca }: ServingCertificate, now: number): boolean {
  return !isDue(cert, now) || endOf(cert) >= endOf(ca);
}

function signed(authority: Certified, names: readonly string[], now: number): ServingCertificate {
  const { certificate, key } = signServer(authority, names, now);
  return { cert: certificate, key, ca: authority.certificate };
}

/** Reads the authority of a folder. @throws {CertificateError} when it can not sign what callers will trust */
async function readAuthority(folder: string, now: number): Promise<Certified> {
  const [certificate = '', key = ''] = await readMounted(folder, ['tls.crt', 'tls.key']);
  const shown = path.join(folder, 'tls.crt');
  const [own] = parseCertificates(certificate, shown);
  const privateKey = parseKey(key, path.join(folder, 'tls.key'));
  const what = `the authority ${shown}`;
  if (!own.checkPrivateKey(privateKey)) {
    throw new CertificateError('CertificateKeyMismatch', `${what} has another key than tls.key`);
  }
  if (privateKey.asymmetricKeyType !== 'ec') {
    throw new CertificateError(
      'AuthorityUnusable',
      `${what} has no key of an elliptic curve: make it with ECDSA`,
    );
  }
  if (!own.ca || !own.checkIssued(own) || !own.verify(own.publicKey)) {
    throw new CertificateError('AuthorityUnusable', `${what} is not an authority that has signed itself`);
  }
  if (Date.parse(own.validTo) <= now) {
    throw new CertificateError(
      'CertificateExpired',
      `${what} has ended at ${own.validTo}: upgrade the release`,
    );
  }
  return { certificate: own.toString(), key };
}
