import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { TerraformDetails } from '../api/runner.ts';
import { digestOfBundle, packBundle, type PlanMeta, type StatePosition } from './terraform-bundle.ts';
import { countPlan, type PlanJson } from './terraform-plan-json.ts';
import { currentPosition, initialize, readLockFile, showPlan, type TerraformStep } from './terraform-step.ts';
import { summarizePlan } from './terraform-summary.ts';
import type { Outcome } from './work.ts';

/** A plan that was made in this pod. */
export interface MadePlan {
  file: string;
  json: PlanJson;
  /** Of the state that it was made of. */
  position: StatePosition;
  hasChanges: boolean;
}

/** Plans, and keeps the plan for the step that applies it. */
export async function runPlan(step: TerraformStep): Promise<Outcome> {
  const made = await makePlan(step);
  const digest = await keepPlan(step, made);
  const { commit } = step.place.code;
  const counts = countPlan(made.json);
  const terraform: TerraformDetails = { ...counts, commit, digest, drifted: made.hasChanges };
  const summary = summarizePlan(terraform);
  step.place.log.say(`plan ${digest}: ${summary}`);
  return { succeeded: true, report: { reason: 'Completed', summary, commit, terraform } };
}

/** Makes a plan and shows it. */
export async function makePlan(step: TerraformStep): Promise<MadePlan> {
  const { engine, place, task, setup, proxy } = step;
  await initialize(step, 'open');
  const file = path.join(place.folder, 'plan');
  const args = [
    'plan',
    '-json',
    '-input=false',
    '-detailed-exitcode',
    `-out=${file}`,
    `-lock-timeout=${task.lockTimeout}`,
    ...(task.destroy ? ['-destroy'] : []),
    ...task.targets.map((target) => `-target=${target}`),
    ...setup.variables,
  ];
  const { exit, errors } = await place.log.stage('plan', () => engine.follow(args, () => undefined));
  const code = 'code' in exit ? exit.code : undefined;
  if (code !== 0 && code !== 2) throw engine.failed('PlanFailed', args, exit, errors);
  const json = await place.log.stage('show', () => showPlan(step, file));
  // Terraform has read it under the lock.
  const position = proxy === undefined ? await currentPosition(step) : proxy.lastRead;
  return { file, json, position, hasChanges: code === 2 };
}

/** @returns the digest of the bundle */
async function keepPlan(step: TerraformStep, { file, position }: MadePlan): Promise<string> {
  const { place, task, identity, version } = step;
  const meta: PlanMeta = {
    run: identity.run.uid,
    row: identity.row,
    commit: place.code.commit,
    workspace: task.workspace,
    engine: task.engine,
    version,
    projectHash: task.projectHash,
    destroy: task.destroy,
    state: position,
  };
  return place.log.stage('upload', async () => {
    const lockFile = await readLockFile(step);
    const plan = await readFile(file);
    const bundle = packBundle({ meta, plan, ...(lockFile === undefined ? {} : { lockFile }) });
    const digest = digestOfBundle(bundle);
    await place.api.putBundle(bundle, digest, place.stop);
    return digest;
  });
}
