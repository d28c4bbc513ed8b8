import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import * as z from 'zod';
import type { TerraformDetails } from '../api/runner.ts';
import { RunnerError, textOf } from './failure.ts';
import type { Applied } from './terraform-applied.ts';
import type { Ran } from './terraform-engine.ts';
import { importsOf, type PlanJson } from './terraform-plan-json.ts';
import type { TerraformStep } from './terraform-step.ts';
import { summarizeApply } from './terraform-summary.ts';
import type { Outcome } from './work.ts';

/** What Terraform writes when it can not save the state where it belongs. */
export const ERRORED_STATE = 'errored.tfstate';
/** With these, it has not begun. */
const BEFORE_ANYTHING = new Set(['StateLocked', 'PlanStale']);

/** An apply that failed or was stopped. */
interface Unfinished {
  ran: Ran;
  applied: Applied;
  plan: PlanJson;
  /** What else the report says about it. */
  about: Pick<TerraformDetails, 'commit' | 'digest' | 'autoApproved'> & { commit: string };
}

/**
 * Says what was done until an apply failed or was stopped, and sees to the state.
 * @throws RunnerError where nothing was begun
 */
export async function unfinished(
  step: TerraformStep,
  { ran, applied, plan, about }: Unfinished,
): Promise<Outcome> {
  const state = await settleState(step);
  const cause = causeOf(step, ran);
  if (BEFORE_ANYTHING.has(cause.reason)) throw cause;
  const imports = await doneImports(step, plan);
  const terraform = {
    ...applied.details({ outputs: 0, imported: imports.length, changes: imports }),
    ...about,
  };
  const summary = `${summarizeApply(terraform)}, then ${cause.reason === 'Interrupted' ? 'stopped' : 'failed'}`;
  const message = `${summary}: ${cause.message} ${state}`;
  return {
    succeeded: false,
    report: { reason: cause.reason, message, summary, commit: about.commit, terraform },
  };
}

/** Why: because somebody stopped it, the operator refused the state, or as Terraform says. */
function causeOf({ engine, place, proxy }: TerraformStep, { exit, errors }: Ran): RunnerError {
  if (place.stop.aborted) {
    return new RunnerError('Interrupted', 'The step was stopped, and what it had begun was ended.');
  }
  const refusal = proxy?.lastRefusal;
  if (refusal !== undefined) return new RunnerError(refusal.reason, refusal.message);
  return engine.failed('ApplyFailed', ['apply'], exit, errors);
}

/**
 * Hands a state that could not be saved to the operator.
 * @returns what there is to say about the state, as sentences
 */
async function settleState({ place, proxy }: TerraformStep): Promise<string> {
  const file = path.join(place.code.folder, ERRORED_STATE);
  const held = proxy?.lockHeld === undefined ? '' : ` Its lock ${proxy.lockHeld} is still held.`;
  if (!existsSync(file)) return held === '' ? '(The state is saved.)' : held.trim();
  if (proxy === undefined) {
    return 'The state could not be saved, and is lost with this pod: its backend is that of the code.';
  }
  try {
    const state = await readFile(file);
    await place.log.stage('state', () => place.api.putErroredState(state));
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
