import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { RunnerReport, TerraformTask } from '../api/runner.ts';
import { succeeded } from './process.ts';
import { Applied, type Unsaid } from './terraform-applied.ts';
import { type Bundle, unpackBundle } from './terraform-bundle.ts';
import { checkLockFile, checkPlan, checkPosition } from './terraform-checks.ts';
import { makePlan } from './terraform-plan.ts';
import { changesOf, countPlan, importsOf, type PlanJson } from './terraform-plan-json.ts';
import {
  currentPosition,
  initialize,
  lockFileOf,
  readLockFile,
  showPlan,
  type TerraformStep,
} from './terraform-step.ts';
import { summarizeApply, summarizePlan } from './terraform-summary.ts';
import { ERRORED_STATE, unfinished } from './terraform-unfinished.ts';
import type { Outcome } from './work.ts';

type PlanToApply = NonNullable<TerraformTask['plan']>;

/** Applies exactly the plan of a plan step. */
export async function runApply(step: TerraformStep, plan: PlanToApply): Promise<Outcome> {
  const { place, task, identity, version } = step;
  const bundle = await place.log.stage('download', async () =>
    unpackBundle(await place.api.getBundle(place.stop), plan.digest),
  );
  const { commit } = place.code;
  checkPlan(bundle.meta, task, { run: identity.run.uid, commit, version, plan });
  await lockAsPlanned(step, bundle);
  await initialize(step, 'fixed');
  checkLockFile(bundle.lockFile, await readLockFile(step));
  checkPosition(bundle.meta.state, await currentPosition(step));
  const file = path.join(place.folder, 'plan');
  await writeFile(file, bundle.plan, { mode: 0o600 });
  const json = await place.log.stage('show', () => showPlan(step, file));
  return applyPlan(step, { file, json, digest: plan.digest });
}

/** Plans and applies at once: nobody looks at the plan, but it is shown, and what is applied is that plan. */
export async function runAutoApproved(step: TerraformStep): Promise<Outcome> {
  const { file, json } = await makePlan(step);
  step.place.log.say(`applying without an approval, as autoApprove says: ${summarizePlan(countPlan(json))}`);
  return applyPlan(step, { file, json, autoApproved: true });
}

/** The providers are those of the plan, whatever the code says. */
async function lockAsPlanned({ place }: TerraformStep, { lockFile }: Bundle): Promise<void> {
  const file = lockFileOf(place);
  if (lockFile === undefined) await rm(file, { force: true });
  else await writeFile(file, lockFile);
}

interface Applying {
  file: string;
  json: PlanJson;
  digest?: string;
  autoApproved?: boolean;
}

async function applyPlan(step: TerraformStep, plan: Applying): Promise<Outcome> {
  const { engine, place, task } = step;
  const applied = new Applied();
  // One that lies in the code is not of this apply.
  await rm(path.join(place.code.folder, ERRORED_STATE), { force: true });
  const args = ['apply', '-json', '-input=false', `-lock-timeout=${task.lockTimeout}`, plan.file];
  const ran = await place.log.stage(task.action, () =>
    engine.follow(args, (message) => applied.take(message)),
  );
  const about = {
    commit: place.code.commit,
    ...(plan.digest === undefined ? {} : { digest: plan.digest }),
    ...(plan.autoApproved === undefined ? {} : { autoApproved: plan.autoApproved }),
  };
  if (!succeeded(ran.exit)) return unfinished(step, { ran, applied, plan: plan.json, about });
  const terraform = { ...applied.details(unsaidOf(plan.json)), ...about };
  const outputs = publicOutputs(step, applied);
  const summary = summarizeApply(terraform);
  return {
    succeeded: true,
    report: { reason: 'Completed', summary, commit: about.commit, terraform, ...outputs },
  };
}

/** What the whole plan has in it that Terraform sends no messages about. */
function unsaidOf(plan: PlanJson): Unsaid {
  const changes = changesOf(plan).filter(({ action }) => /^(import|move|forget)$/.test(action));
  return { outputs: countPlan(plan).outputs, imported: importsOf(plan).length, changes };
}

/** The outputs that everybody may see. Of sensitive ones, Terraform gives no value. */
function publicOutputs({ place }: TerraformStep, { outputs }: Applied): Pick<RunnerReport, 'outputs'> {
  const all = Object.entries(outputs);
  if (all.length === 0) return {};
  place.log.line('');
  place.log.line('Outputs:');
  place.log.line('');
  for (const [name, { sensitive, value }] of all) {
    place.log.line(`${name} = ${sensitive ? '(sensitive value)' : JSON.stringify(value)}`);
  }
  const open = all
    .filter(([, { sensitive }]) => !sensitive)
    .map(([name, { value }]) => [name, value] as const);
  return open.length === 0 ? {} : { outputs: Object.fromEntries(open) };
}
