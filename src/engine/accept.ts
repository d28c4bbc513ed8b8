import type { StepStatus, WorkflowRunStatus } from '../api/workflow-run.ts';
import type { Graph } from './model.ts';
import { finish, hasEnded, isInstance, pendingStep, progressOf, succeeded } from './summary.ts';
import { cut, MAX_MESSAGE, timeOf } from './text.ts';

/**
 * The status of a run that was just accepted.
 *
 * @param mark names the ControllerRevision that it executes, and who started it
 * @param now milliseconds since the epoch
 */
export function acceptRun(
  graph: Graph,
  mark: Pick<WorkflowRunStatus, 'revision' | 'revisionSeal' | 'startedBy'>,
  now: number,
): WorkflowRunStatus {
  const steps = graph.nodes.map(pendingStep);
  return {
    phase: 'Running',
    ...mark,
    startedAt: timeOf(now),
    progress: progressOf(steps),
    conditions: [succeeded('Unknown', 'Running', 'The run has not ended.', now)],
    steps,
  };
}

/** Ends a run that can not start or go on as Failed; steps that have not ended go with it. */
export function refuseRun(
  status: WorkflowRunStatus,
  reason: string,
  message: string,
  now: number,
): WorkflowRunStatus {
  const { currentStep: _current, ...before } = endSteps(status, reason, message, now);
  return finish(before, { phase: 'Failed', reason, message }, now);
}

/** Ends the steps that have not ended: those that run as Failed, the others as Skipped. */
export function endSteps(
  status: WorkflowRunStatus,
  reason: string,
  message: string,
  now: number,
): WorkflowRunStatus {
  if (!status.steps) return status;
  const steps = status.steps.map((step) => endStep(step, reason, message, now));
  return { ...status, steps, progress: progressOf(steps.filter((step) => !isInstance(step))) };
}

function endStep(step: StepStatus, reason: string, message: string, now: number): StepStatus {
  if (hasEnded(step)) return step;
  const phase = step.phase === 'Running' ? 'Failed' : 'Skipped';
  const { retryAt: _retryAt, ...rest } = step;
  return { ...rest, phase, reason, message: cut(message, MAX_MESSAGE), finishedAt: timeOf(now) };
}
