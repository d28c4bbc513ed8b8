import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

/** What an SSH client is given. */
export interface SshIdentity {
  privateKey: string;
  /** Content of a known_hosts file: a server that is not in it is refused. */
  knownHosts: string;
}

/** Calls `use` with the options of an ssh command that has this identity, and asks nobody anything. */
export async function withSsh<T>(
  { privateKey, knownHosts }: SshIdentity,
  use: (options: string[]) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'signalbox-ssh-'));
  try {
    const [key, known] = [path.join(folder, 'key'), path.join(folder, 'known_hosts')];
    await writeFile(key, privateKey, { mode: 0o600 });
    await writeFile(known, knownHosts);
    const settings = {
      IdentityFile: key,
      IdentitiesOnly: 'yes',
      UserKnownHostsFile: known,
      GlobalKnownHostsFile: '/dev/null',
      StrictHostKeyChecking: 'yes',
      BatchMode: 'yes',
      ConnectTimeout: '10',
    };
    const options = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
    return await use(['-F', '/dev/null', ...options]);
  } finally {
    await rm(folder, { recursive: true });
  }
}
