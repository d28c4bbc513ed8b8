import type { TerraformTask } from '../api/runner.ts';
import { RunnerError } from './failure.ts';
import { readIdentity } from './grant.ts';
import { runApply, runAutoApproved } from './terraform-apply.ts';
import { Engine } from './terraform-engine.ts';
import { runPlan } from './terraform-plan.ts';
import { setUp } from './terraform-setup.ts';
import { StateProxy } from './terraform-state-proxy.ts';
import type { TerraformStep } from './terraform-step.ts';
import type { Outcome, WorkPlace } from './work.ts';

/** Plans, applies or destroys with Terraform or OpenTofu. */
export async function runTerraform(task: TerraformTask, place: WorkPlace): Promise<Outcome> {
  const { code, env, folder, paths, log, mask, stop, api } = place;
  const identity = readIdentity(place.grant);
  await using proxy = task.state === 'managed' ? await StateProxy.start(api, { log, stop }) : undefined;
  if (proxy !== undefined) mask.hide([proxy.secret]);
  const setup = await setUp({ task, env, folder, code: code.folder, paths, log });
  const engine = new Engine({
    name: task.engine,
    cwd: code.folder,
    env: { ...setup.env, ...proxy?.environment },
    log,
    mask,
    stop,
    lockHolder: () => proxy?.lockHolder,
  });
  const version = await engine.version(task.version);
  log.say(`${task.engine} ${version}, workspace ${task.workspace}, ${task.state} state`);
  // Awaited here, so that the proxy lives as long.
  return await act({ place, task, identity, setup, engine, version, proxy });
}

async function act(step: TerraformStep): Promise<Outcome> {
  const { action, plan } = step.task;
  if (action === 'plan') return runPlan(step);
  if (plan !== undefined) return runApply(step, plan);
  if (action === 'apply') return runAutoApproved(step);
  throw new RunnerError('TaskInvalid', 'A step that destroys needs the plan of a step with destroy: true.');
}
