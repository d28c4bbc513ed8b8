import type { WorkflowRun } from '../../src/api/resources.ts';
import type { StepStatus } from '../../src/api/workflow-run.ts';
import type { CastVote } from './ballots.ts';
import { ancestors, type DrawnStep, type DrawnWorkflow, type Gate } from './drawn.ts';

/** What happened around a run that its end depends on. */
export interface Circumstances {
  /** Whether somebody cancelled it, or ended the run that started it. */
  mayBeCancelled: boolean;
  /** Names of the objects of which the API server said that it had forgotten that far back. */
  forgotten: ReadonlySet<string>;
  /** The run that a step started, by its name. */
  child(name: string): WorkflowRun | undefined;
  /** The votes on a step of it that the API server took. */
  votes(step: string): readonly CastVote[];
}

/** How a run ended. */
export interface Ended extends Circumstances {
  workflow: DrawnWorkflow;
  /** The rows of its status by name. */
  rows: ReadonlyMap<string, StepStatus>;
  /** What ended it before its time. */
  halted: 'TimedOut' | 'Cancelled' | undefined;
}

export function endedOf(workflow: DrawnWorkflow, { status }: WorkflowRun, around: Circumstances): Ended {
  const rows = new Map((status?.steps ?? []).map((row) => [row.name, row]));
  const timedOut = status?.timedOutAt === undefined ? undefined : 'TimedOut';
  return { ...around, workflow, rows, halted: status?.cancellation ? 'Cancelled' : timedOut };
}

/** The phase of a run in which these steps have ended. */
export function phaseAfter(steps: readonly DrawnStep[], ended: Ended): string {
  return ended.halted ?? (steps.some((step) => hasFailed(step, ended)) ? 'Failed' : 'Succeeded');
}

/** Whether a step failed and was not forgiven. */
export const hasFailed = (step: DrawnStep, { rows }: Ended): boolean =>
  rows.get(step.name)?.phase === 'Failed' && !step.forgiven && !isDealtWith(step, rows.get(step.name));

/** Whether an approval was not given, and its workflow says what follows that. */
export const isDealtWith = ({ approval }: DrawnStep, row: StepStatus | undefined): boolean =>
  approval?.hasFollowUp === true && isDeclined(row);

/** Whether people, or their silence, decided against it. */
export const isDeclined = (row: StepStatus | undefined): boolean =>
  row?.type === 'approval' &&
  row.phase === 'Failed' &&
  (row.reason === 'Rejected' || row.reason === 'TimedOut');

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
