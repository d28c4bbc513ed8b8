import { API_VERSION } from '../api/common.ts';
import type { StepStatus, WorkflowRunStatus } from '../api/workflow-run.ts';
import { plansText } from '../engine/approval-text.ts';
import type { Happening } from '../kube/events.ts';
import type { RunView } from './views.ts';

/**
 * What went wrong between two statuses of a run, as events for `kubectl describe`. What goes well is in the status
 * itself, and would cost a write for each step.
 */
export function happenings(run: RunView, before: WorkflowRunStatus, after: WorkflowRunStatus): Happening[] {
  const known = new Map(rowsOf(before).map((row) => [row.name, row]));
  const troubled = rowsOf(after).filter((row) => isTrouble(row, known.get(row.name), after));
  const notes = troubled.map((row) => warning(run, row.reason ?? row.phase, noteOf(row)));
  notes.push(...rowsOf(after).flatMap((row) => approvalNote(run, row, known.get(row.name))));
  const { finishedAt, phase = 'Failed', reason = phase, message = 'The run failed.' } = after;
  if (finishedAt === undefined || finishedAt === before.finishedAt || phase === 'Succeeded') return notes;
  // Somebody wanted a run to be cancelled.
  const type = phase === 'Cancelled' ? 'Normal' : 'Warning';
  return [...notes, { regarding: regardingRun(run), type, reason, note: message }];
}

/** What people want to know of an approval, beside what goes wrong with it. */
function approvalNote(run: RunView, row: StepStatus, before: StepStatus | undefined): Happening[] {
  const { type, name, phase, summary, message, approval } = row;
  if (type !== 'approval' || phase === before?.phase) return [];
  const regarding = regardingRun(run);
  if (phase === 'Succeeded') {
    return [{ regarding, type: 'Normal', reason: 'Approved', note: `Step ${name}: ${summary}.` }];
  }
  if (phase !== 'Running') return [];
  const note = [`Step ${name}: ${message}`, ...plansText(approval?.plans ?? [])].join(' ');
  return [{ regarding, type: 'Normal', reason: 'ApprovalRequested', note }];
}

const rowsOf = ({ steps = [], notifications = [] }: WorkflowRunStatus): StepStatus[] => [
  ...steps,
  ...notifications,
];

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

/** Reasons of running steps that are as they should be. */
const EXPECTED = new Set(['Queued', 'AwaitingApproval']);

function isTrouble(
  { phase, reason }: StepStatus,
  before: StepStatus | undefined,
  { cancellation }: WorkflowRunStatus,
): boolean {
  if (reason === undefined || reason === before?.reason || EXPECTED.has(reason)) return false;
  return phase === 'Failed' || (phase === 'Running' && !(cancellation && reason === 'Stopping'));
}

function noteOf({ name, phase, message, reason, attempt }: StepStatus): string {
  const verb = phase === 'Failed' ? 'failed' : 'is held up';
  return `Step ${name} ${verb} in attempt ${attempt ?? 1}: ${message ?? reason}`;
}
