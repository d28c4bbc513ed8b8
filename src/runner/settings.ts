import { readFileSync } from 'node:fs';
import path from 'node:path';
import * as z from 'zod';
import { RUNNER_ENV, type RUNNER_PATHS, type RunnerTask, runnerTask } from '../api/runner.ts';
import type { ApiAccess } from './api.ts';
import { RunnerError } from './failure.ts';
import type { Environment } from './process.ts';

/** Where the files of the pod are. */
export type RunnerPaths = Readonly<Record<keyof typeof RUNNER_PATHS, string>>;

/** What the environment tells the runner. */
export interface RunnerSettings {
  task: RunnerTask;
  /** Absent where the task is the check of a Project. */
  api?: ApiAccess;
}

/**
 * Reads the task and the way to the API.
 * @throws RunnerError `TaskInvalid`
 */
export function readSettings(env: Environment, paths: RunnerPaths): RunnerSettings {
  const task = runnerTask.safeParse(parseJson(env[RUNNER_ENV.task]));
  if (!task.success) {
    throw new RunnerError(
      'TaskInvalid',
      `The task in ${RUNNER_ENV.task} is not one that this runner knows. Use a runner image of the operator's version. ${z.prettifyError(task.error)}`,
    );
  }
  const url = env[RUNNER_ENV.apiUrl];
  const ca = env[RUNNER_ENV.apiCa];
  const grant = env[RUNNER_ENV.grant];
  if (url === undefined || ca === undefined || grant === undefined) return { task: task.data };
  return { task: task.data, api: { url, ca, grant, tokenFile: paths.token } };
}

function parseJson(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch {
    return undefined;
  }
}

/** The environment of the step's programs: ours, without what is said between the operator and the runner. */
export function toolEnvironment(env: NodeJS.ProcessEnv): Environment {
  const entries = Object.entries(env).flatMap(([name, value]) =>
    value === undefined || name.startsWith('SIGNALBOX_') ? [] : [[name, value] as const],
  );
  return Object.fromEntries(entries);
}

/** All values that must not be seen in the log or the report. */
export function secretsOf(task: RunnerTask, env: NodeJS.ProcessEnv, paths: RunnerPaths): string[] {
  const files = [
    ...(task.source.credentials
      ? [path.join(paths.git, 'password'), path.join(paths.git, 'ssh-privatekey')]
      : []),
    ...(task.ansible?.ssh === true ? [path.join(paths.ssh, 'ssh-privatekey')] : []),
    ...(task.ansible?.vault === true ? [paths.vault] : []),
  ];
  const ours = [env[RUNNER_ENV.grant], contentOf(paths.token)];
  const values = [...task.masked.map((name) => env[name]), ...ours, ...files.map(contentOf)];
  return values.filter((value) => value !== undefined);
}

function contentOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    // The Secret has no such key.
    return undefined;
  }
}
