import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import * as z from 'zod';
import type { RunnerReport, TerraformDetails, TerraformTask } from '../api/runner.ts';
import { RunnerError, textOf } from './failure.ts';
import { succeeded } from './process.ts';
import { Applied } from './terraform-applied.ts';
import { type Bundle, unpackBundle } from './terraform-bundle.ts';
import { checkLockFile, checkPlan, checkPosition } from './terraform-checks.ts';
import type { Ran } from './terraform-engine.ts';
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
import type { Outcome } from './work.ts';

type PlanToApply = NonNullable<TerraformTask['plan']>;

/** What Terraform writes when it can not save the state where it belongs. */
const ERRORED_STATE = 'errored.tfstate';

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
  const args = ['apply', '-json', '-input=false', `-lock-timeout=${task.lockTimeout}`, plan.file];
  const ran = await place.log.stage(task.action, () =>
    engine.follow(args, (message) => applied.take(message)),
  );
  const saved = await place.log.stage('state', () => settleState(step));
  const base = {
    commit: place.code.commit,
    ...(plan.digest === undefined ? {} : { digest: plan.digest }),
    ...(plan.autoApproved === undefined ? {} : { autoApproved: plan.autoApproved }),
  };
  if (!succeeded(ran.exit)) {
    const imports = await doneImports(step, plan.json);
    const details = {
      ...applied.details({ outputs: 0, imported: imports.length, changes: imports }),
      ...base,
    };
    return {
      succeeded: false,
      report: { ...failedReport(step, ran, details), ...savedMessage(step, ran, details, saved) },
    };
  }
  const silent = changesOf(plan.json).filter(({ action }) => /^(import|move|forget)$/.test(action));
  const { outputs } = countPlan(plan.json);
  const unsaid = { outputs, imported: importsOf(plan.json).length, changes: silent };
  const terraform = { ...applied.details(unsaid), ...base };
  const report = { reason: 'Completed', summary: summarizeApply(terraform), commit: base.commit, terraform };
  return { succeeded: true, report: { ...report, ...(await publicOutputs(step)) } };
}

function failedReport(step: TerraformStep, ran: Ran, terraform: TerraformDetails): RunnerReport {
  const { reason } = causeOf(step, ran);
  const summary = `${summarizeApply(terraform)}, then ${reason === 'Interrupted' ? 'stopped' : 'failed'}`;
  return { reason, summary, commit: step.place.code.commit, terraform };
}

/** Why an apply failed: because somebody stopped it, the operator refused the state, or as Terraform says. */
function causeOf({ engine, place, proxy }: TerraformStep, { exit, errors }: Ran): RunnerError {
  if (place.stop.aborted)
    return new RunnerError('Interrupted', 'the step was stopped, and what had begun was ended');
  if (proxy?.lastRefusal !== undefined)
    return new RunnerError(proxy.lastRefusal.reason, proxy.lastRefusal.message);
  return engine.failed('ApplyFailed', ['apply'], exit, errors);
}

function savedMessage(step: TerraformStep, ran: Ran, details: TerraformDetails, saved: string) {
  const cause = causeOf(step, ran);
  const verb = cause.reason === 'Interrupted' ? 'then stopped' : 'then failed';
  return { message: `${summarizeApply(details)}, ${verb}: ${cause.message} ${saved}`.trim() };
}

/**
 * Hands a state that could not be saved to the operator.
 * @returns what there is to say about it, as sentences
 */
async function settleState({ place, proxy }: TerraformStep): Promise<string> {
  const file = path.join(place.code.folder, ERRORED_STATE);
  const held = proxy?.lockHeld === undefined ? '' : ` Its lock ${proxy.lockHeld} is still held.`;
  if (!existsSync(file)) return held === '' ? '(The state is saved.)' : held.trim();
  if (proxy === undefined) {
    return `The state could not be saved, and is lost with this pod: the backend is that of the code.`;
  }
  try {
    await place.api.putErroredState(await readFile(file));
    return `The state could not be saved where it belongs; the operator keeps it beside that.${held}`;
  } catch (error) {
    return `The state could not be saved, neither where it belongs nor beside that: ${textOf(error)}${held}`;
  }
}

const stateJson = z.object({
  resources: z
    .array(
      z.object({
        module: z.string().optional(),
        mode: z.string(),
        type: z.string(),
        name: z.string(),
        instances: z.array(z.object({ index_key: z.union([z.string(), z.number()]).optional() })),
      }),
    )
    .default([]),
});

/** Imports send no messages. What was to be imported and is in the state now was imported. */
async function doneImports(step: TerraformStep, plan: PlanJson) {
  const wanted = importsOf(plan);
  if (wanted.length === 0 || step.place.stop.aborted) return [];
  const text = await pulledState(step).catch(() => '');
  const parsed = stateJson.safeParse(text === '' ? {} : JSON.parse(text));
  const there = new Set((parsed.data?.resources ?? []).flatMap(addressesOf));
  return wanted
    .filter((address) => there.has(address))
    .map((address) => ({ address, action: 'import' as const }));
}

async function pulledState({ engine, place, proxy }: TerraformStep): Promise<string> {
  if (proxy === undefined) return engine.capture('StateFailed', ['state', 'pull']);
  return (await place.api.getState(place.stop))?.toString('utf8') ?? '';
}

function addressesOf({
  module,
  type,
  name,
  instances,
}: z.infer<typeof stateJson>['resources'][number]): string[] {
  const resource = `${module === undefined ? '' : `${module}.`}${type}.${name}`;
  return instances.map(({ index_key: key }) =>
    key === undefined ? resource : `${resource}[${JSON.stringify(key)}]`,
  );
}

const outputsJson = z.record(z.string(), z.object({ sensitive: z.boolean(), value: z.unknown() }));

/** The outputs that everybody may see. Sensitive ones stay here. */
async function publicOutputs({ engine, place }: TerraformStep): Promise<Pick<RunnerReport, 'outputs'>> {
  if (place.stop.aborted) return {};
  const all = outputsJson.parse(JSON.parse(await engine.capture('OutputFailed', ['output', '-json'])));
  const names = Object.keys(all);
  const open = names.filter((name) => all[name]?.sensitive === false);
  if (open.length < names.length) {
    const hidden = names.filter((name) => !open.includes(name)).join(', ');
    place.log.say(`sensitive outputs, which stay in the state: ${hidden}`);
  }
  if (open.length === 0) return {};
  return { outputs: Object.fromEntries(open.map((name) => [name, all[name]?.value])) };
}
