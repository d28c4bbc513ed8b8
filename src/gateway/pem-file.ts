import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
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
