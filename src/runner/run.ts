import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { RUNNER_ENV } from '../api/runner.ts';
import { runAnsible } from './ansible.ts';
import { RunnerApi } from './api.ts';
import { trustEnvironment, trustFile } from './certificates.ts';
import { RunnerError, textOf } from './failure.ts';
import { openGit } from './git.ts';
import { Log } from './log.ts';
import { createMask, type Mask } from './mask.ts';
import type { Environment } from './process.ts';
import { fitReport } from './report.ts';
import {
  type RunnerPaths,
  readSettings,
  type RunnerSettings,
  secretsOf,
  toolEnvironment,
} from './settings.ts';
import { checkOut, checkSource, commitOfRun, resolveRef } from './source.ts';
import { runTerraform } from './terraform.ts';
import type { Outcome, Work } from './work.ts';

/** What a runner works with. */
export interface RunnerHost {
  env: NodeJS.ProcessEnv;
  paths: RunnerPaths;
  /** A folder to work in. */
  workspace: string;
  /** What git may use, as git lists it. */
  protocols: string;
  write(text: string): void;
  /** Calls this for each signal that asks us to end. */
  onStop(listener: () => void): void;
}

/**
 * Does the task of the environment, and writes the report.
 * @returns the exit code
 */
export async function run(host: RunnerHost): Promise<number> {
  const stop = new AbortController();
  // A second signal changes nothing: the program has been asked to end.
  host.onStop(() => stop.abort());
  const { mask, settings } = prepare(host);
  const log = new Log(mask, host.write, () => performance.now());
  const outcome = await guarded(async () => doTask(settings(), host, { log, mask, stop: stop.signal }));
  finish(outcome, host, { mask, log });
  return outcome.succeeded ? 0 : 1;
}

/** The secrets come from the task; one that can not be read is told later, like every failure. */
function prepare({ env, paths }: RunnerHost): { mask: Mask; settings: () => RunnerSettings } {
  try {
    const settings = readSettings(toDefined(env), paths);
    return { mask: createMask(secretsOf(settings.task, env, paths)), settings: () => settings };
  } catch (error) {
    const settings = () => {
      throw error;
    };
    return { mask: createMask([]), settings };
  }
}

const toDefined = (env: NodeJS.ProcessEnv): Environment =>
  Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );

async function guarded(work: () => Promise<Outcome>): Promise<Outcome> {
  try {
    return await work();
  } catch (error) {
    const reason = error instanceof RunnerError ? error.reason : 'RunnerFailed';
    return { succeeded: false, report: { reason, message: textOf(error) } };
  }
}

function finish(
  { succeeded, report }: Outcome,
  { env }: RunnerHost,
  { mask, log }: { mask: Mask; log: Log },
) {
  const { text, droppedOutputs } = fitReport(report, mask);
  if (droppedOutputs.length > 0) {
    log.say(
      `left out, because a step can have 4 KiB of outputs and other results: ${droppedOutputs.join(', ')}`,
    );
  }
  const words = report.message ?? report.summary;
  log.say(
    `${succeeded ? 'succeeded' : 'failed'}: ${report.reason}${words === undefined ? '' : `: ${words}`}`,
  );
  log.end();
  const file = env[RUNNER_ENV.report];
  if (file !== undefined) writeFileSync(file, text);
}

async function doTask(
  { task, api: access }: RunnerSettings,
  host: RunnerHost,
  { log, mask, stop }: { log: Log; mask: Mask; stop: AbortSignal },
): Promise<Outcome> {
  const { source } = task;
  checkSource(source, host.protocols);
  mkdirSync(host.workspace, { recursive: true });
  const folder = mkdtempSync(path.join(host.workspace, 'runner-'));
  const trusted = task.ca ? await trustFile(host.paths.ca, folder) : undefined;
  const environment = { ...toolEnvironment(host.env), ...trustEnvironment(trusted) };
  const gitAccess = {
    url: source.url,
    protocols: host.protocols,
    folder: path.join(folder, 'git'),
    ...(source.credentials ? { credentials: host.paths.git } : {}),
    ...(trusted === undefined ? {} : { trusted }),
  };
  const git = await openGit(environment, gitAccess, stop);
  const work = chooseWork(task);
  if (work === undefined) return found(await log.stage('source', () => resolveRef(git, source, folder)));
  if (access === undefined) {
    throw new RunnerError('TaskInvalid', 'The operator did not say where its runner API is.');
  }
  const api = new RunnerApi(access);
  try {
    const code = await log.stage('source', async () => {
      const commit = await commitOfRun(git, source, { api, cwd: folder, stop });
      log.say(`commit ${commit}`);
      return checkOut(git, source, { commit, folder: path.join(host.workspace, 'source'), log });
    });
    const env = { ...environment, ...git.environment };
    return await work({
      task,
      code,
      env,
      folder,
      paths: host.paths,
      grant: access.grant,
      api,
      log,
      mask,
      stop,
    });
  } finally {
    api.close();
  }
}

function found(commit: string): Outcome {
  return { succeeded: true, report: { reason: 'Completed', commit, summary: `commit ${commit}` } };
}

/** Without either, the task is the check of a Project. */
function chooseWork({ terraform, ansible }: RunnerSettings['task']): Work | undefined {
  if (terraform !== undefined) return (place) => runTerraform(terraform, place);
  if (ansible !== undefined) return (place) => runAnsible(ansible, place);
  return undefined;
}
