import type { TerraformTask } from '../api/runner.ts';
import { RunnerError } from './failure.ts';
import type { PlanMeta, StatePosition } from './terraform-bundle.ts';

type PlanToApply = NonNullable<TerraformTask['plan']>;

/** What a plan is to be applied with. */
export interface ApplyNow {
  run: string;
  commit: string;
  version: string;
  plan: PlanToApply;
}

/**
 * Refuses a plan that was not made for this step, or not of what is here now. What is refused was not begun.
 * @throws RunnerError with a reason for each of them
 */
export function checkPlan(meta: PlanMeta, task: TerraformTask, now: ApplyNow): void {
  if (meta.run !== now.run || meta.row !== now.plan.row) {
    throw refused('PlanOfOtherRun', `it was made by step ${meta.row} of another run`);
  }
  if (now.commit !== now.plan.commit || meta.commit !== now.plan.commit) {
    throw refused('CommitMoved', `it was made of commit ${meta.commit}, and this step has ${now.commit}`);
  }
  if (meta.workspace !== task.workspace) {
    throw refused(
      'WorkspaceChanged',
      `it is for workspace ${meta.workspace}, and this step for ${task.workspace}`,
    );
  }
  if (meta.engine !== task.engine || meta.version !== now.version) {
    const [then, here] = [`${meta.engine} ${meta.version}`, `${task.engine} ${now.version}`];
    throw refused('VersionChanged', `it was made by ${then}, and this image has ${here}`);
  }
  if (meta.projectHash !== task.projectHash) {
    throw refused('ProjectChanged', 'the Project, or what the step says, was changed after it was made');
  }
  checkAction(meta, task);
}

function checkAction({ destroy, row }: PlanMeta, { action }: TerraformTask): void {
  if (action === 'destroy' && !destroy) {
    throw new RunnerError(
      'NotADestroyPlan',
      `The plan of step ${row} is not that of a destruction. Set destroy: true on the plan step, or use action: apply.`,
    );
  }
  if (action === 'apply' && destroy) {
    throw new RunnerError(
      'DestroyNeedsAction',
      `The plan of step ${row} destroys everything in the state. Only a step with action: destroy carries it out.`,
    );
  }
}

/** @throws RunnerError `PlanStale` */
export function checkPosition(then: StatePosition, now: StatePosition): void {
  if (then.lineage === now.lineage && then.serial === now.serial) return;
  throw refused('PlanStale', `it was made of ${describe(then)}, and now there is ${describe(now)}`);
}

function describe({ lineage, serial }: StatePosition): string {
  return lineage === undefined ? 'no state' : `serial ${serial} of state ${lineage}`;
}

/** @throws RunnerError `LockFileChanged` */
export function checkLockFile(then: Buffer | undefined, now: Buffer | undefined): void {
  const same = then === undefined || now === undefined ? then === now : then.equals(now);
  if (!same)
    throw refused('LockFileChanged', 'the providers that init selects are not those that it was made with');
}

function refused(reason: string, why: string): RunnerError {
  return new RunnerError(reason, `The plan can not be applied: ${why}. Nothing was changed. Plan again.`);
}
