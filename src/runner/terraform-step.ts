import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { TerraformTask } from '../api/runner.ts';
import type { Identity } from './grant.ts';
import type { StatePosition } from './terraform-bundle.ts';
import type { Engine } from './terraform-engine.ts';
import { type PlanJson, planJson, sensitiveTexts } from './terraform-plan-json.ts';
import { checkBackend, type Setup } from './terraform-setup.ts';
import { positionOf, type StateProxy } from './terraform-state-proxy.ts';
import { checkWorkspaceUse } from './terraform-workspace.ts';
import type { WorkPlace } from './work.ts';

/** Shorter sensitive values may be words of any log. */
const SHORTEST_SENSITIVE = 6;
const LOCK_FILE = '.terraform.lock.hcl';

/** A step of Terraform, with all that its parts share. */
export interface TerraformStep {
  place: WorkPlace;
  task: TerraformTask;
  identity: Identity;
  setup: Setup;
  engine: Engine;
  version: string;
  /** Absent where the state is external. */
  proxy: StateProxy | undefined;
}

/**
 * Gets providers and modules, and reaches the state.
 * @param lockFile whether what is locked may still be chosen
 */
export async function initialize(step: TerraformStep, lockFile: 'open' | 'fixed'): Promise<void> {
  const { engine, task, setup, place, proxy } = step;
  // OpenTofu takes variables in the addresses of modules.
  const variables = task.engine === 'opentofu' ? setup.variables : [];
  const fixed = lockFile === 'fixed' ? ['-lockfile=readonly'] : [];
  await place.log.stage('init', async () => {
    await engine.show('InitFailed', ['init', '-input=false', '-no-color', ...fixed, ...variables]);
    if (proxy !== undefined) await checkBackend(setup);
    if (task.workspace === 'default') return;
    if (proxy !== undefined) return checkWorkspaceUse(place.code.folder, setup.dataDir);
    await engine.show('WorkspaceFailed', ['workspace', 'select', '-no-color', '-or-create', task.workspace]);
  });
}

/** Where the state stands now. */
export async function currentPosition({ proxy, place, engine }: TerraformStep): Promise<StatePosition> {
  if (proxy !== undefined) return positionOf(await place.api.getState(place.stop));
  return positionOf(Buffer.from(await engine.capture('StateFailed', ['state', 'pull'])));
}

/** Reads a plan, writes it into the log, and hides from now on what it says is sensitive. */
export async function showPlan({ engine, place }: TerraformStep, plan: string): Promise<PlanJson> {
  const [json, text] = await Promise.all([
    engine.capture('ShowFailed', ['show', '-json', plan]),
    engine.capture('ShowFailed', ['show', '-no-color', plan]),
  ]);
  const parsed = planJson.parse(JSON.parse(json));
  place.mask.hide([...sensitiveTexts(parsed)].filter((text) => text.length >= SHORTEST_SENSITIVE));
  for (const line of text.trimEnd().split('\n')) place.log.line(line);
  return parsed;
}

/** The file that says which providers were selected, if any were. */
export async function readLockFile({ place }: TerraformStep): Promise<Buffer | undefined> {
  const file = lockFileOf(place);
  return existsSync(file) ? readFile(file) : undefined;
}

export const lockFileOf = ({ code }: WorkPlace) => path.join(code.folder, LOCK_FILE);
