import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFile, realpath } from 'node:fs/promises';
import path from 'node:path';
import { CertificateError } from './certificate-error.ts';
import { certificatesIn } from './certificates.ts';

/**
 * Reads a file that holds something in PEM.
 *
 * @param shown the path by which people know it. @throws {CertificateError} when it is not there, or is empty
 */
export async function readPem(file: string, shown: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new CertificateError('CertificateMissing', `the file ${shown} cannot be read: ${String(error)}`, {
      cause: error,
    });
  });
  if (text.trim() !== '') return text;
  throw new CertificateError('CertificateMissing', `the file ${shown} is empty`);
}

/** Reads files of a folder that belong together. @throws {CertificateError} as {@link readPem} */
export async function readMounted(folder: string, names: readonly string[]): Promise<string[]> {
  // The kubelet replaces all files at once, by a link: read them from behind it.
  const place = await realpath(path.join(folder, '..data')).catch(() => folder);
  const texts: string[] = [];
  for (const name of names) texts.push(await readPem(path.join(place, name), path.join(folder, name)));
  return texts;
}

/** The private key of a file. @throws {CertificateError} */
export function parseKey(pem: string, shown: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (error) {
    throw new CertificateError('CertificateMalformed', `the file ${shown} holds no private key in PEM`, {
      cause: error,
    });
  }
}

/** All certificates of a file, of which there is one at least. @throws {CertificateError} */
export function parseCertificates(pem: string, shown: string): [X509Certificate, ...X509Certificate[]] {
  try {
    const [first = '', ...others] = certificatesIn(pem);
    return [new X509Certificate(first), ...others.map((one) => new X509Certificate(one))];
  } catch (error) {
    throw new CertificateError('CertificateMalformed', `the file ${shown} holds no certificates in PEM`, {
      cause: error,
    });
  }
}
