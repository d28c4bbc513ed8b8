import { API_VERSION } from '../api/common.ts';
import type { StepStatus, WorkflowRunStatus } from '../api/workflow-run.ts';
import type { Happening } from '../kube/events.ts';
import type { RunView } from './views.ts';

/**
 * What went wrong between two statuses of a run, as events for `kubectl describe`. What goes well is in the status
 * itself, and would cost a write for each step.
 */
export function happenings(run: RunView, before: WorkflowRunStatus, after: WorkflowRunStatus): Happening[] {
  const known = new Map(before.steps?.map((step) => [step.name, step]));
  const troubled = (after.steps ?? []).filter((step) => isTrouble(step, known.get(step.name)));
  const notes = troubled.map((step) => ({ reason: step.reason ?? step.phase, note: noteOf(step) }));
  if (after.finishedAt && after.phase !== 'Succeeded') {
    notes.push({ reason: after.reason ?? after.phase ?? 'Failed', note: after.message ?? 'The run failed.' });
  }
  return notes.map((note) => warning(run, note.reason, note.note));
}

/** A run can not be worked on for now; it is tried again. */
export function reconcileFailure(run: RunView, error: unknown): Happening {
  const why = error instanceof Error ? error.message : String(error);
  return warning(run, 'ReconcileFailed', `The run can not go on, and is tried again: ${why}`);
}

export function warning(run: RunView, reason: string, note: string): Happening {
  return { regarding: regardingRun(run), type: 'Warning', reason, note };
}

/** A run as events name what they are about. */
export function regardingRun({ namespace, name, uid }: RunView): Happening['regarding'] {
  return { apiVersion: API_VERSION, kind: 'WorkflowRun', namespace, name, uid };
}

function isTrouble(step: StepStatus, before: StepStatus | undefined): boolean {
  if (step.reason === undefined || step.reason === before?.reason) return false;
  return step.phase === 'Running' || step.phase === 'Failed';
}

function noteOf({ name, phase, message, reason, attempt }: StepStatus): string {
  const verb = phase === 'Failed' ? 'failed' : 'is held up';
  return `Step ${name} ${verb} in attempt ${attempt ?? 1}: ${message ?? reason}`;
}
