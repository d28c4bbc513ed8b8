import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { run } from '../cluster/command.ts';

/** A pair of keys as OpenSSH writes them, each with the newline at its end. */
export interface SshKey {
  privateKey: string;
  publicKey: string;
}

/** Makes a new Ed25519 key without a passphrase. */
export async function makeSshKey(comment: string): Promise<SshKey> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'signalbox-key-'));
  try {
    const file = path.join(folder, 'key');
    await run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', comment, '-f', file]);
    return {
      privateKey: await readFile(file, 'utf8'),
      publicKey: await readFile(`${file}.pub`, 'utf8'),
    };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** A line of known_hosts for a server on the usual port, by all its names. */
export function knownHost(names: readonly string[], { publicKey }: Pick<SshKey, 'publicKey'>): string {
  const [type, key] = publicKey.split(' ');
  return `${names.join(',')} ${type} ${key}\n`;
}
