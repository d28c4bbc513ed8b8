import { existsSync } from 'node:fs';
import { mkdir, realpath } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { RunnerTask } from '../api/runner.ts';
import type { RunnerApi } from './api.ts';
import { RunnerError } from './failure.ts';
import type { Git } from './git.ts';
import type { Log } from './log.ts';

export type Source = RunnerTask['source'];

/** The code, as the step works on it. */
export interface CheckedOut {
  commit: string;
  /** The folder of the project, inside the repository. */
  folder: string;
}

const URL =
  /^(https?:\/\/[^ @]+|ssh:\/\/[^- ][^ ]*|[A-Za-z0-9_.][A-Za-z0-9_.-]*@[A-Za-z0-9][A-Za-z0-9.-]*:[^- ][^ ]*)$/;
const REF = /^[A-Za-z0-9_][A-Za-z0-9_./+@-]*$/;
const COMMIT = /^[0-9a-f]{40}([0-9a-f]{24})?$/;
/** What a server answers that gives commits by name alone. */
const HASH_REFUSED = /unadvertised object|not our ref|couldn't find remote ref|no such remote ref/i;
/** A connection that breaks is tried again after so long. */
const PAUSES_MS = [1000, 3000];

/**
 * Refuses an address or ref that git could take for something else. The operator has checked them too; this is what
 * stands directly before git.
 * @param protocols as for git; what it has beyond https, http and ssh goes by it alone
 */
export function checkSource({ url, ref }: Source, protocols: string): void {
  const scheme = /^([a-z]+):\/\//.exec(url)?.[1];
  const other =
    scheme !== undefined && !/^(https?|ssh)$/.test(scheme) && protocols.split(':').includes(scheme);
  if (!other && !URL.test(url)) {
    throw new RunnerError('InvalidUrl', `git.url is no address of a repository that is allowed: ${url}`);
  }
  if (ref !== undefined && (!REF.test(ref) || ref.includes('..'))) {
    throw new RunnerError(
      'RefNotFound',
      `git.ref is no name of a branch or tag and no hash of a commit: ${ref}`,
    );
  }
}

/**
 * Finds the commit that the ref stands for now.
 * @throws RunnerError `RefNotFound`, or why the repository can not be reached
 */
export async function resolveRef(git: Git, { url, ref }: Source, cwd: string): Promise<string> {
  const names = candidates(ref);
  const found = new Map<string, string>();
  const answer = await patiently(() => git.run(cwd, 'ls-remote', '--end-of-options', url, ...names));
  for (const line of answer.split('\n')) {
    const [hash, name] = line.split('\t');
    if (hash !== undefined && name !== undefined) found.set(name, hash);
  }
  if (ref !== undefined && COMMIT.test(ref)) return ref;
  const commit = names.map((name) => found.get(name)).find((hash) => hash !== undefined);
  if (commit !== undefined && COMMIT.test(commit)) return commit;
  throw new RunnerError('RefNotFound', refNotFound(ref));
}

function refNotFound(ref: string | undefined): string {
  if (ref === undefined)
    return 'The repository has no default branch; it may be empty. Name a branch in git.ref.';
  const short = /^[0-9a-f]{7,39}$/.test(ref) ? ' A commit must be given with its whole hash.' : '';
  return `The repository has no branch or tag named ${ref}.${short} Check git.ref.`;
}

/** The full names of what the ref may be, in the order in which they count: a branch before a tag. */
function candidates(ref: string | undefined): string[] {
  if (ref === undefined || ref === 'HEAD' || COMMIT.test(ref)) return ['HEAD'];
  const full = ref.startsWith('refs/') ? [`${ref}^{}`, ref] : [];
  // With ^{}, the commit that an annotated tag points to.
  return [...full, `refs/heads/${ref}`, `refs/tags/${ref}^{}`, `refs/tags/${ref}`];
}

/** The commit of the run: what an earlier step has found, or what the ref stands for now. */
export async function commitOfRun(
  git: Git,
  source: Source,
  { api, cwd, stop }: { api: RunnerApi; cwd: string; stop: AbortSignal },
): Promise<string> {
  const pinned = await api.pinnedCommit(stop);
  if (pinned !== undefined) return pinned;
  return api.pinCommit(await resolveRef(git, source, cwd), stop);
}

/**
 * Gets the code of a commit.
 * @param folder does not exist yet
 * @throws RunnerError `CommitNotFound`, `PathNotFound`, or why the repository can not be reached
 */
export async function checkOut(
  git: Git,
  source: Source,
  { commit, folder, log }: { commit: string; folder: string; log: Log },
): Promise<CheckedOut> {
  if (!COMMIT.test(commit)) throw new RunnerError('CommitNotFound', `${commit} is no hash of a commit.`);
  await mkdir(folder, { recursive: true });
  const format = commit.length === 64 ? 'sha256' : 'sha1';
  await git.run(folder, 'init', '--quiet', '--template=', `--object-format=${format}`);
  // Submodules with relative addresses are found by it.
  await git.run(folder, 'config', '--replace-all', 'remote.origin.url', source.url);
  await fetchCommit(git, source, { commit, folder, log });
  await git.run(folder, 'checkout', '--quiet', '--force', '--detach', commit);
  if (source.submodules) {
    await patiently(() =>
      git.run(folder, 'submodule', '--quiet', 'update', '--init', '--recursive', '--force'),
    );
  }
  return { commit, folder: await projectFolder(folder, source.path) };
}

async function fetchCommit(
  git: Git,
  { url, ref }: Source,
  { commit, folder, log }: { commit: string; folder: string; log: Log },
): Promise<void> {
  const options = ['--quiet', '--no-tags', '--no-recurse-submodules'];
  try {
    await patiently(() => git.run(folder, 'fetch', ...options, '--depth=1', '--end-of-options', url, commit));
    return;
  } catch (error) {
    if (!(error instanceof RunnerError) || !HASH_REFUSED.test(error.message)) throw error;
  }
  log.say('the server gives no commit by its hash: fetching the branch with its history');
  const name = ref === undefined || COMMIT.test(ref) ? undefined : ref;
  const specs = name === undefined ? ['HEAD', '+refs/heads/*:refs/remotes/origin/*'] : [name];
  await patiently(() => git.run(folder, 'fetch', ...options, '--end-of-options', url, ...specs));
  await git.run(folder, 'cat-file', '-e', `${commit}^{commit}`).catch(() => {
    throw new RunnerError(
      'CommitNotFound',
      `The commit ${commit} of this run is not in the repository any more: the branch was rewritten. Start a new run.`,
    );
  });
}

/** Tries again what a broken connection ended. */
async function patiently<T>(work: () => Promise<T>): Promise<T> {
  for (const pause of PAUSES_MS) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof RunnerError) || error.reason !== 'SourceUnreachable') throw error;
    }
    await delay(pause);
  }
  return work();
}

/** A symbolic link must not lead out of the repository. */
async function projectFolder(repository: string, within = '.'): Promise<string> {
  const top = await realpath(repository);
  const folder = path.join(top, within);
  const real = existsSync(folder) ? await realpath(folder) : undefined;
  if (real === undefined) {
    throw new RunnerError(
      'PathNotFound',
      `The repository has no folder ${within} at this commit. Check git.path.`,
    );
  }
  if (real !== top && !real.startsWith(`${top}${path.sep}`)) {
    throw new RunnerError(
      'PathNotFound',
      `The folder ${within} lies outside of the repository. Check git.path.`,
    );
  }
  return real;
}
