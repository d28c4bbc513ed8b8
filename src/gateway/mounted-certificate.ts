import type { X509Certificate } from 'node:crypto';
import path from 'node:path';
import { sleep, systemClock } from '../kube/clock.ts';
import { CertificateError, type CertificateProblem } from './certificate-error.ts';
import { covers } from './certificates.ts';
import { parseCertificates, parseKey, readMounted } from './pem-file.ts';
import { isSameCertificate, type Serving, type ServingCertificate } from './serving.ts';
import { createWatched } from './watched.ts';

// Where somebody else makes and renews the certificate, such as cert-manager, the operator finds it in a folder: a
// mounted Secret of type kubernetes.io/tls. The API server refuses all writes when it can not trust what it is served,
// so each is looked through before it is used, and the one before stays in use until the next one is good.

/** How often the files are looked at. A kubelet takes a minute to bring new ones. */
const LOOK_MS = 15_000;
const FIRST_RETRY_MS = 5_000;

export interface MountedOptions {
  /** With the files `tls.crt`, `tls.key` and `ca.crt`. */
  folder: string;
  /** DNS names and addresses that the certificate has to be good for. */
  names: readonly string[];
  /** @returns milliseconds since the epoch */
  now: () => number;
  /** Told each time that the files can not be used. */
  onError: (error: unknown) => void;
}

/**
 * Reads the certificate of a folder, and waits for one that is good: whoever makes it may take its time.
 *
 * @param stopped ends the waiting. @throws {CertificateError} with what was wrong until then
 */
export async function openMountedServing(options: MountedOptions, stopped: AbortSignal): Promise<Serving> {
  const look = () => readMountedCertificate(options);
  const first = await waitForFirst(look, options.onError, stopped);
  return createWatched({
    first,
    look,
    isSame: isSameCertificate,
    everyMs: LOOK_MS,
    retryMs: LOOK_MS,
    onError: options.onError,
  });
}

async function waitForFirst(
  look: () => Promise<ServingCertificate>,
  onError: MountedOptions['onError'],
  stopped: AbortSignal,
): Promise<ServingCertificate> {
  for (;;) {
    try {
      return await look();
    } catch (error) {
      if (stopped.aborted) throw error;
      onError(error);
    }
    await sleep(systemClock, FIRST_RETRY_MS, stopped).catch(() => {});
  }
}

/** Reads the certificate of a folder. @throws {CertificateError} when the operator could not serve with it */
export async function readMountedCertificate(
  options: Omit<MountedOptions, 'onError'>,
): Promise<ServingCertificate> {
  const { folder, names, now } = options;
  const [cert = '', key = '', ca = ''] = await readMounted(folder, ['tls.crt', 'tls.key', 'ca.crt']);
  assertUsable({ cert, key, ca }, { folder, names, now: now() });
  return { cert, key, ca };
}

interface Expected {
  folder: string;
  names: readonly string[];
  now: number;
}

function assertUsable({ cert, key, ca }: ServingCertificate, { folder, names, now }: Expected): void {
  const shown = path.join(folder, 'tls.crt');
  const [own, ...between] = parseCertificates(cert, shown);
  const authorities = parseCertificates(ca, path.join(folder, 'ca.crt'));
  const fail = (reason: CertificateProblem, what: string) => {
    throw new CertificateError(reason, `the certificate ${shown} ${what}`);
  };
  if (!own.checkPrivateKey(parseKey(key, path.join(folder, 'tls.key'))))
    fail('CertificateKeyMismatch', 'has another key than tls.key: both have to be renewed together');
  if (Date.parse(own.validTo) <= now)
    fail('CertificateExpired', `has ended at ${own.validTo}: whoever made it has to renew it`);
  if (Date.parse(own.validFrom) > now)
    fail('CertificateNotYetValid', `holds from ${own.validFrom} only: compare the clocks`);
  const missing = names.filter((name) => !covers(own, name));
  if (missing.length > 0)
    fail('CertificateNameMissing', `lacks names by which the operator is called: ${missing.join(', ')}`);
  const lasting = authorities.filter(({ validTo }) => Date.parse(validTo) > now);
  if (!isVouchedFor(own, between, lasting))
    fail('CertificateUntrusted', 'is not signed by an authority of ca.crt that has not ended');
}

/** Whether one of the authorities has signed the certificate, or one that has signed another one that has. */
function isVouchedFor(
  own: X509Certificate,
  between: readonly X509Certificate[],
  authorities: readonly X509Certificate[],
): boolean {
  const isTrusted = authorities.some(
    (authority) => authority.raw.equals(own.raw) || hasSigned(authority, own),
  );
  if (isTrusted) return true;
  // Each is followed once, so that those that have signed one another come to an end.
  return between.some((next) => {
    const others = between.filter((one) => one !== next);
    return hasSigned(next, own) && isVouchedFor(next, others, authorities);
  });
}

const hasSigned = (issuer: X509Certificate, certificate: X509Certificate): boolean =>
  certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
