import type { WorkflowRun } from '../../src/api/resources.ts';
import type { StepStatus } from '../../src/api/workflow-run.ts';
import type { DrawnStep, DrawnWorkflow, Gate } from './drawn.ts';

/** What happened around a run that its end depends on. */
export interface Circumstances {
  /** Whether somebody cancelled it, or ended the run that started it. */
  mayBeCancelled: boolean;
  /** Names of the objects of which the API server said that it had forgotten that far back. */
  forgotten: ReadonlySet<string>;
  /** The run that a step started, by its name. */
  child(name: string): WorkflowRun | undefined;
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
export const hasFailed = ({ name, forgiven }: DrawnStep, { rows }: Ended): boolean =>
  rows.get(name)?.phase === 'Failed' && !forgiven;

export function isTrue(gate: Gate, { rows }: Ended): boolean {
  return gate.kind === 'Succeeded' ? rows.get(gate.step)?.phase === 'Succeeded' : gate.kind !== 'False';
}
