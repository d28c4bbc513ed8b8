import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Environment } from './process.ts';

/** Where Debian keeps the public CAs. */
const PUBLIC_CAS = '/etc/ssl/certs/ca-certificates.crt';

/**
 * Adds the CAs of the Project to the public ones. Programs take one file, and would no longer trust the public ones.
 * @param folder where the file is made
 * @returns the file
 */
export async function trustFile(projectCas: string, folder: string): Promise<string> {
  const publicCas = existsSync(PUBLIC_CAS) ? await readFile(PUBLIC_CAS, 'utf8') : '';
  const file = path.join(folder, 'trusted.crt');
  await writeFile(file, `${publicCas}\n${await readFile(projectCas, 'utf8')}`);
  return file;
}

/** Tells programs which CAs to trust: OpenSSL and Go, and the usual libraries of Python and Node. */
export function trustEnvironment(file: string | undefined): Environment {
  if (file === undefined) return {};
  return { SSL_CERT_FILE: file, REQUESTS_CA_BUNDLE: file, NODE_EXTRA_CA_CERTS: file };
}
