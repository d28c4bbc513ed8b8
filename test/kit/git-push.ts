import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { run } from '../cluster/command.ts';

/** Where a commit goes, and what it says. */
export interface PushTarget {
  /** Default: main. Made from the default branch if it is not there. */
  branch?: string;
  message?: string;
}

/** Runs git in a clone and gives what it printed. */
export type Git = (...args: string[]) => Promise<string>;

/** Changes the files in a clone. What it leaves there is committed. */
export type Edit = (folder: string, git: Git) => Promise<unknown>;

/** How to reach a repository over HTTPS. */
export interface Remote {
  url: string;
  user: string;
  token: string;
  /** PEM of the authority that vouches for the server. */
  ca: string;
}

/** Clones, edits, commits and pushes, with the real git. Gives the commit. */
export async function pushChange(remote: Remote, edit: Edit, target: PushTarget = {}): Promise<string> {
  const { branch = 'main', message = 'Change files' } = target;
  const folder = await mkdtemp(path.join(os.tmpdir(), 'signalbox-clone-'));
  try {
    const clone = path.join(folder, 'clone');
    const env = await environment(folder, remote);
    const git: Git = (...args) => run(['git', '-C', clone, ...args], { env });
    await run(['git', 'clone', '--quiet', remote.url, clone], { env });
    const known = (await git('branch', '--remotes', '--list', `origin/${branch}`)).trim();
    await git('checkout', '--quiet', '-B', branch, ...(known ? [known] : []));
    await edit(clone, git);
    await git('add', '--all');
    await git('commit', '--quiet', '--message', message);
    await git('push', '--quiet', 'origin', branch);
    return (await git('rev-parse', 'HEAD')).trim();
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** An edit that writes these files by their paths, and removes those whose content is null. */
export function writing(files: Readonly<Record<string, string | null>>): Edit {
  return async (folder) => {
    for (const [name, content] of Object.entries(files)) {
      const file = path.join(folder, name);
      await mkdir(path.dirname(file), { recursive: true });
      await (content === null ? rm(file) : writeFile(file, content));
    }
  };
}

/** Nothing of this machine's git has a say, and the token shows in no command line. */
async function environment(folder: string, remote: Remote): Promise<Record<string, string>> {
  const authority = path.join(folder, 'ca.crt');
  await writeFile(authority, remote.ca);
  const credentials = Buffer.from(`${remote.user}:${remote.token}`).toString('base64');
  return {
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
    GIT_SSL_CAINFO: authority,
    GIT_CONFIG_COUNT: '1',
    GIT_CONFIG_KEY_0: 'http.extraHeader',
    GIT_CONFIG_VALUE_0: `Authorization: Basic ${credentials}`,
    GIT_AUTHOR_NAME: 'Jane',
    GIT_AUTHOR_EMAIL: 'jane@example.com',
    GIT_COMMITTER_NAME: 'Jane',
    GIT_COMMITTER_EMAIL: 'jane@example.com',
  };
}
