import type { WorkflowRun } from '../../src/api/resources.ts';
import type { StepStatus } from '../../src/api/workflow-run.ts';
import { type Resumed, resumedOf, rowsOf } from './rounds.ts';
import { isDealtWith } from './approval-rules.ts';
import type { CastVote } from './ballots.ts';
import { ancestors, type DrawnStep, type DrawnWorkflow, type Gate } from './drawn.ts';

/** What happened around a run that the end of a round of it depends on. */
export interface Circumstances {
  /** Whether somebody cancelled it, or ended the run that started it. */
  mayBeCancelled: boolean;
  /** Names of the objects of which the API server said that it had forgotten that far back. */
  forgotten: ReadonlySet<string>;
  /** The run that a step started, by its name. */
  child(name: string): WorkflowRun | undefined;
  /** The votes on a step of it that the API server took. */
  votes(step: string): readonly CastVote[];
  /** The run at the end of the round before. */
  before?: WorkflowRun | undefined;
}

/** How a round of a run ended. */
export interface Ended extends Circumstances {
  workflow: DrawnWorkflow;
  /** The rows of its status by name; of what was done over, with the attempts of this round alone. */
  rows: ReadonlyMap<string, StepStatus>;
  /** What it had come to before, if this is not its first round. */
  resumed: Resumed | undefined;
  /** Whether its turn came. */
  hasStarted: boolean;
  /** What ended it before its time. */
  halted: 'TimedOut' | 'Cancelled' | undefined;
}

export function endedOf(workflow: DrawnWorkflow, run: WorkflowRun, around: Circumstances): Ended {
  const { status } = run;
  const resumed = around.before && resumedOf(workflow, around.before);
  const rows = rowsOf(run, resumed);
  const timedOut = status?.timedOutAt === undefined ? undefined : 'TimedOut';
  const halted = status?.cancellation ? 'Cancelled' : timedOut;
  return { ...around, workflow, rows, resumed, hasStarted: status?.startedAt !== undefined, halted };
}

/** The phase of a run in which these steps have ended. */
export function phaseAfter(steps: readonly DrawnStep[], ended: Ended): string {
  return ended.halted ?? (steps.some((step) => hasFailed(step, ended)) ? 'Failed' : 'Succeeded');
}

/** Whether a step failed and was not forgiven. */
export const hasFailed = (step: DrawnStep, { rows }: Ended): boolean =>
  rows.get(step.name)?.phase === 'Failed' && !step.forgiven && !isDealtWith(step, rows.get(step.name));

/** The approval that keeps a step from running: one before it that was not given, unless the step is of what follows that. */
export function blockedBy(step: DrawnStep, { workflow, rows }: Ended): DrawnStep | undefined {
  const { steps } = workflow;
  const before = ancestors(steps, step.name);
  return steps.find(
    (approval) =>
      before.has(approval.name) &&
      isDealtWith(approval, rows.get(approval.name)) &&
      !steps.some(
        ({ name, branch }) => branch?.condition === approval.name && (name === step.name || before.has(name)),
      ),
  );
}

export function isTrue(gate: Gate, { rows }: Ended): boolean {
  return gate.kind === 'Succeeded' ? rows.get(gate.step)?.phase === 'Succeeded' : gate.kind !== 'False';
}
