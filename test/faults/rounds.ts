import type { WorkflowRun } from '../../src/api/resources.ts';
import type { StepStatus } from '../../src/api/workflow-run.ts';
import { isDealtWith } from './approval-rules.ts';
import { ancestors, type DrawnStep, type DrawnWorkflow, mainSteps } from './drawn.ts';

/** What a run that was continued had come to before, and what is done over. */
export interface Resumed {
  /** The rows at the end of the round before. */
  rows: ReadonlyMap<string, StepStatus>;
  /** Whether the row of a step or an instance is done over; all others stay as they are. */
  isRedone(row: string): boolean;
}

/** Reasons of skipped steps that a new round would skip just the same. */
const SETTLED = ['WhenFalse', 'NoItems', 'BranchNotTaken', 'NothingFailed', 'ConditionFailed'];

/** By docs/operations.md: all that did not succeed, the step that is named, all behind those, and `finally`. */
export function resumedOf(workflow: DrawnWorkflow, { status }: WorkflowRun): Resumed {
  const { steps, continued } = workflow;
  const rows = new Map((status?.steps ?? []).map((row) => [row.name, row]));
  const named = continued === 'failed' ? undefined : continued;
  const open = mainSteps(steps).filter((step) => step.name === named || isOpen(step, rows.get(step.name)));
  const begin = new Set(open.map(({ name }) => name));
  const isBehind = ({ name }: DrawnStep) => [...ancestors(steps, name)].some((other) => begin.has(other));
  const redone = new Set([
    ...begin,
    ...steps.filter((step) => step.isFinal || isBehind(step)).map(({ name }) => name),
  ]);
  // Of a loop that begins a round those instances stay that succeeded.
  const inPart = open.filter(
    (step) => step.name !== named && !step.waitsFor.some((name) => redone.has(name)),
  );
  const kept = new Set(inPart.map(({ name }) => name));
  return {
    rows,
    isRedone(row) {
      const [step = ''] = row.split('[');
      if (!redone.has(step)) return false;
      return step === row || !kept.has(step) || rows.get(row)?.phase !== 'Succeeded';
    },
  };
}

function isOpen(step: DrawnStep, row: StepStatus | undefined): boolean {
  if (row?.phase === 'Succeeded') return false;
  if (row?.phase === 'Skipped') return !SETTLED.includes(row.reason ?? '');
  return !(row?.phase === 'Failed' && (step.forgiven || isDealtWith(step, row)));
}

/** The rows of a round, with the attempts of that round alone. */
export function rowsOf({ status }: WorkflowRun, resumed: Resumed | undefined): Map<string, StepStatus> {
  return new Map(
    (status?.steps ?? []).map((row) => {
      const { attempt, ...rest } = row;
      const own = (attempt ?? 0) - attemptsBefore(row.name, resumed);
      return [row.name, own === attempt ? row : { ...rest, ...(own > 0 ? { attempt: own } : {}) }];
    }),
  );
}

/** How many attempts of what is done over there were before. */
export const attemptsBefore = (row: string, resumed: Resumed | undefined): number =>
  resumed?.isRedone(row) ? (resumed.rows.get(row)?.attempt ?? 0) : 0;
