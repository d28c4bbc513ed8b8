import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import * as z from 'zod';
import type { TerraformTask } from '../api/runner.ts';
import { RunnerError } from './failure.ts';
import type { Log } from './log.ts';
import type { Environment } from './process.ts';
import type { RunnerPaths } from './settings.ts';

/**
 * Of override files, the last by name counts; and it replaces `backend` and `cloud` blocks alike. The letters put it
 * behind those of users.
 */
const OVERRIDE = 'zzzzzzzz_signalbox_override.tf.json';
/** Read by those who want to know the workspace of a managed state; where it is not declared, nobody notices. */
export const WORKSPACE_VARIABLE = 'signalbox_workspace';
/**
 * Variables that would change what is done, or write state and secrets into the log. TF_VAR_ and TF_TOKEN_ stay, with
 * those of providers.
 */
const OURS =
  /^TF_(LOG|CLI_|DATA_DIR|WORKSPACE|INPUT|IN_AUTOMATION|REATTACH|HTTP_|STATE_|BACKEND|IGNORE|PLUGIN_CACHE)/;
const HARMLESS = new Set(['TF_IN_AUTOMATION', 'TF_INPUT']);

export interface Setup {
  env: Environment;
  /** Arguments that give values to input variables. */
  variables: readonly string[];
  dataDir: string;
}

interface SetupOptions {
  task: TerraformTask;
  env: Environment;
  /** A folder of our own. */
  folder: string;
  /** The folder of the code. */
  code: string;
  paths: RunnerPaths;
  log: Log;
}

/** Writes what Terraform reads beside the code. */
export async function setUp({ task, env, folder, code, paths, log }: SetupOptions): Promise<Setup> {
  const dataDir = path.join(folder, 'data');
  const config = path.join(folder, 'cli-config.json');
  const values = path.join(folder, 'values.tfvars.json');
  await mkdir(dataDir, { recursive: true });
  await writeFile(config, JSON.stringify(cliConfig(task, paths)));
  await writeFile(values, JSON.stringify(task.vars), { mode: 0o600 });
  if (task.state === 'managed') {
    await writeFile(path.join(code, OVERRIDE), JSON.stringify({ terraform: { backend: { http: {} } } }));
  }
  const files = [...task.varFiles, values];
  return {
    env: {
      ...withoutOurs(env, log),
      TF_CLI_CONFIG_FILE: config,
      TF_DATA_DIR: dataDir,
      TF_IN_AUTOMATION: '1',
      TF_INPUT: '0',
      CHECKPOINT_DISABLE: '1',
      ...(task.state === 'managed' ? { [`TF_VAR_${WORKSPACE_VARIABLE}`]: task.workspace } : {}),
    },
    variables: files.map((file) => `-var-file=${file}`),
    dataDir,
  };
}

function withoutOurs(env: Environment, log: Log): Environment {
  const taken = Object.keys(env).filter((name) => OURS.test(name));
  const said = taken.filter((name) => !HARMLESS.has(name));
  if (said.length > 0)
    log.say(`not passed on, because the step sets them or they would spoil it: ${said.join(', ')}`);
  return Object.fromEntries(Object.entries(env).filter(([name]) => !taken.includes(name)));
}

/** The language of the file has JSON as another spelling. */
function cliConfig({ mirror, pluginCache }: TerraformTask, paths: RunnerPaths): object {
  const { filesystem, network } = mirror ?? {};
  const from = [
    ...(filesystem === undefined ? [] : [{ filesystem_mirror: [{ path: filesystem }] }]),
    ...(network === undefined ? [] : [{ network_mirror: [{ url: network }] }]),
  ];
  return {
    disable_checkpoint: true,
    ...(from.length === 0 ? {} : { provider_installation: from }),
    ...(pluginCache ? { plugin_cache_dir: paths.pluginCache } : {}),
  };
}

const initialized = z.object({ backend: z.object({ type: z.string() }) });

/**
 * Makes sure that the state goes where it must.
 * @throws RunnerError `BackendNotReplaced`
 */
export async function checkBackend({ dataDir }: Setup): Promise<void> {
  const text = await readFile(path.join(dataDir, 'terraform.tfstate'), 'utf8').catch(() => '{}');
  const { data } = initialized.safeParse(JSON.parse(text));
  if (data?.backend.type === 'http') return;
  throw new RunnerError(
    'BackendNotReplaced',
    `The state of this Project is managed, but the code sets another backend in an override file. Remove it there, or set terraform.state: external.`,
  );
}
