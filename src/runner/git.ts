import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { RunnerError } from './failure.ts';
import { gitFailure } from './git-failure.ts';
import { Collected, type Environment, runProgram, succeeded } from './process.ts';

/** How git reaches the repository. */
export interface GitAccess {
  /** The address of the repository, checked. */
  url: string;
  /** A folder with a file for each key of the Secret, if there is one. */
  credentials?: string;
  /** The CAs to trust, if not the public ones alone. */
  trusted?: string;
  /** As git lists them, for example `https:http:ssh`. */
  protocols: string;
  /** An empty folder for keys and settings, readable by nobody else. */
  folder: string;
}

/** What git needs of the environment: the way out, and where programs are. */
const KEPT = /^(PATH|HOME|(https?|all|no)_proxy)$/i;
/** GitHub documents this name for a token as the password; the other forges take any. */
const ANY_USER = 'x-access-token';
const OUTPUT_LIMIT = 64 * 1024 * 1024;

/** Git, set up for one repository: no prompts, no settings but ours, credentials for its host alone. */
export class Git {
  /** Also for programs that call git themselves, such as for modules in the same forge. */
  readonly environment: Environment;
  private readonly env: Environment;
  private readonly stop: AbortSignal;

  /** @param environment of which git gets the way out alone; git hears of the rest from nobody */
  constructor(environment: Environment, access: Environment, stop: AbortSignal) {
    this.environment = access;
    const kept = Object.fromEntries(Object.entries(environment).filter(([name]) => KEPT.test(name)));
    const own = { GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null', LC_ALL: 'C' };
    this.env = { ...kept, ...own, ...access };
    this.stop = stop;
  }

  /**
   * Runs git and gives what it wrote.
   * @throws RunnerError with a reason for what git says
   */
  async run(cwd: string, ...args: readonly string[]): Promise<string> {
    const stdout = new Collected(OUTPUT_LIMIT);
    const stderr = new Collected(64 * 1024);
    const command = { program: 'git', args, cwd, env: this.env };
    const exit = await runProgram(command, { stdout, stderr, stop: this.stop, stopBy: 'SIGTERM' });
    if (succeeded(exit)) return stdout.text;
    if (this.stop.aborted) throw new RunnerError('Interrupted', 'The step was stopped while git ran.');
    throw gitFailure(stderr.text, exit);
  }
}

/** Puts credentials and settings where git finds them; none of them is on a command line. */
export async function openGit(environment: Environment, access: GitAccess, stop: AbortSignal): Promise<Git> {
  await assertCredentials(access);
  await mkdir(access.folder, { recursive: true, mode: 0o700 });
  const settings = [
    // Nothing may run beside us, or later than us.
    ['gc.auto', '0'],
    ['maintenance.auto', 'false'],
    ['core.hooksPath', '/dev/null'],
    ['advice.detachedHead', 'false'],
    // A server that says nothing for a minute is given up.
    ['http.lowSpeedLimit', '1'],
    ['http.lowSpeedTime', '60'],
    ...(access.trusted === undefined ? [] : [['http.sslCAInfo', access.trusted] as const]),
    ...(await credentialSettings(access)),
  ] as const;
  const env = {
    GIT_ALLOW_PROTOCOL: access.protocols,
    GIT_TERMINAL_PROMPT: '0',
    ...(await sshEnvironment(access)),
    ...settingsEnvironment(settings),
  };
  return new Git(environment, env, stop);
}

/**
 * A Secret that is not there is an empty folder: without a word about it, the forge would only refuse us.
 * @throws RunnerError CredentialsMissing
 */
async function assertCredentials({ url, credentials }: GitAccess): Promise<void> {
  if (credentials === undefined) return;
  const needed = /^https?:/.test(url) ? ['password'] : ['ssh-privatekey', 'known_hosts'];
  for (const key of needed) {
    if ((await contentOf(path.join(credentials, key))) !== undefined) continue;
    const message = `The Secret that git.credentials names is not there or has no ${key}, which ${url} needs: create it with ${needed.join(' and ')}.`;
    throw new RunnerError('CredentialsMissing', message);
  }
}

/** Settings as variables: unlike with `-c`, their values are not on the command line. */
function settingsEnvironment(settings: readonly (readonly [string, string])[]): Environment {
  const variables = settings.flatMap(([key, value], index) => [
    [`GIT_CONFIG_KEY_${index}`, key] as const,
    [`GIT_CONFIG_VALUE_${index}`, value] as const,
  ]);
  return { GIT_CONFIG_COUNT: String(settings.length), ...Object.fromEntries(variables) };
}

/**
 * User and password go into a file of git's own store. Unlike a header, they are then for this host alone: neither for
 * another one that the server redirects to nor for that of a submodule.
 */
async function credentialSettings({ url, credentials, folder }: GitAccess) {
  // An empty one takes back those of the machine.
  const none = [['credential.helper', '']] as const;
  if (credentials === undefined || !/^https?:/.test(url)) return none;
  const password = await contentOf(path.join(credentials, 'password'));
  if (password === undefined) return none;
  const address = new URL(url);
  const username = (await contentOf(path.join(credentials, 'username'))) ?? ANY_USER;
  const who = `${encodeURIComponent(username)}:${encodeURIComponent(password)}`;
  const store = path.join(folder, 'credentials');
  await writeFile(store, `${address.protocol}//${who}@${address.host}\n`, { mode: 0o600 });
  return [...none, ['credential.helper', `store --file=${quote(store)}`]] as const;
}

/** The host must be one of those in the Secret: the key of an unknown one is never accepted. */
async function sshEnvironment({ credentials, folder }: GitAccess): Promise<Environment> {
  const key = path.join(folder, 'key');
  const hosts = path.join(folder, 'known_hosts');
  const given = (name: string) =>
    credentials === undefined ? undefined : contentOf(path.join(credentials, name));
  const privateKey = await given('ssh-privatekey');
  await writeFile(hosts, `${(await given('known_hosts')) ?? ''}\n`, { mode: 0o600 });
  // ssh wants a key that nobody else can read, and a line break at its end.
  if (privateKey !== undefined) await writeFile(key, `${privateKey}\n`, { mode: 0o600 });
  const config = path.join(folder, 'ssh_config');
  await writeFile(config, sshConfig({ key: privateKey === undefined ? 'none' : key, hosts }), {
    mode: 0o600,
  });
  await chmod(folder, 0o700);
  return { GIT_SSH_COMMAND: `ssh -F ${quote(config)}`, GIT_SSH_VARIANT: 'ssh' };
}

function sshConfig({ key, hosts }: { key: string; hosts: string }): string {
  return `Host *
  BatchMode yes
  StrictHostKeyChecking yes
  UserKnownHostsFile "${hosts}"
  GlobalKnownHostsFile /dev/null
  UpdateHostKeys no
  IdentityFile ${key === 'none' ? key : `"${key}"`}
  IdentitiesOnly yes
  IdentityAgent none
  PreferredAuthentications publickey
  ConnectTimeout 15
  ServerAliveInterval 15
  ForwardAgent no
`;
}

/** For the shell that git gives these settings to. */
const quote = (file: string) => `'${file.replaceAll("'", `'\\''`)}'`;

async function contentOf(file: string): Promise<string | undefined> {
  try {
    const text = (await readFile(file, 'utf8')).trim();
    return text === '' ? undefined : text;
  } catch {
    // The Secret has no such key.
    return undefined;
  }
}
