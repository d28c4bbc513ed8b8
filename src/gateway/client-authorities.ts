import { parseCertificates, readPem } from './pem-file.ts';
import { createWatched, type Watched } from './watched.ts';

/** As often as the operator's own certificate. */
const LOOK_MS = 15_000;

/** Whose certificates callers have to show, in PEM. */
export type ClientAuthorities = Watched<string>;

export interface ClientAuthoritiesOptions {
  /** Authorities in PEM; it may be replaced at any time. */
  file: string;
  /** Told each time that it can not be used any more. */
  onError: (error: unknown) => void;
}

/** Reads whose certificates callers have to show. @throws {CertificateError} when the file can not be used */
export async function openClientAuthorities(options: ClientAuthoritiesOptions): Promise<ClientAuthorities> {
  const look = () => readAuthorities(options.file);
  return createWatched({
    first: await look(),
    look,
    isSame: (one, other) => one === other,
    everyMs: LOOK_MS,
    retryMs: LOOK_MS,
    onError: options.onError,
  });
}

async function readAuthorities(file: string): Promise<string> {
  const pem = await readPem(file, file);
  parseCertificates(pem, file);
  return pem;
}
