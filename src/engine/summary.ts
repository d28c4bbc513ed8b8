import type { Condition } from '../api/common.ts';
import type { Cancellation, RunPhase, StepStatus, WorkflowRunStatus } from '../api/workflow-run.ts';
import type { Graph, Node } from './model.ts';
import { cut, MAX_MESSAGE, spanOf, timeOf } from './text.ts';

/** Longest list of running steps. */
const MAX_CURRENT = 128;

type Steps = ReadonlyMap<string, StepStatus>;

/** Whether nothing more will become of a step. */
export function hasEnded(step: StepStatus | undefined): boolean {
  return step !== undefined && step.phase !== 'Pending' && step.phase !== 'Running';
}

/** Whether a run has begun and not ended. */
export const isActive = ({ phase }: WorkflowRunStatus): boolean =>
  phase === 'Running' || phase === 'AwaitingApproval';

/** Whether the failure of a step does not count: it was forgiven, or is a rejection that the workflow deals with. */
export const isForgiven = (node: Node, step: StepStatus): boolean =>
  node.forgiven || (isDeclined(step) && onRejectOf(node).length > 0);

/** What runs if an approval is rejected. */
export const onRejectOf = ({ spec }: Pick<Node, 'spec'>): readonly string[] =>
  ('approval' in spec ? spec.approval?.onReject : undefined) ?? [];

/** Reasons of approvals that people, or their silence, decided against. */
const DECLINED = new Set(['Rejected', 'TimedOut']);

/** Whether a step was asked for approval and did not get it. */
export const isDeclined = (row: StepStatus | undefined): boolean =>
  row?.type === 'approval' && row.phase === 'Failed' && DECLINED.has(row.reason ?? '');

/** Whether a step failed and was not forgiven. */
export const hasFailed = (node: Node, step: StepStatus | undefined): boolean =>
  step?.phase === 'Failed' && !isForgiven(node, step);

/** Whether a row is that of an instance of a step, as `plan[us]`. */
export const isInstance = ({ name }: StepStatus): boolean => name.includes('[');

/** A step that nothing has been decided about. */
export const pendingStep = ({ name, type }: Node): StepStatus => ({ name, type, phase: 'Pending' });

/** What ends a run before its time. */
export interface Interruption {
  cancellation?: Cancellation | undefined;
  timedOutAt?: string | undefined;
}

/** The phase that a run ends in if nothing else happens. */
export function outcomeOf(graph: Graph, steps: Steps, { cancellation, timedOutAt }: Interruption): RunPhase {
  if (cancellation) return 'Cancelled';
  if (timedOutAt !== undefined) return 'TimedOut';
  return graph.nodes.some((node) => hasFailed(node, steps.get(node.name))) ? 'Failed' : 'Succeeded';
}

export interface Summarized {
  graph: Graph;
  status: WorkflowRunStatus;
  steps: Steps;
  /** The instances of each step that has been taken apart. */
  instances: ReadonlyMap<string, readonly Node[]>;
  timedOutAt?: string | undefined;
  now: number;
}

/** Whether nothing of a run goes on but approvals that wait: its clock stands still. */
export function awaitsApproval(rows: readonly StepStatus[]): boolean {
  const going = rows.filter(({ phase }) => phase === 'Running');
  return going.length > 0 && going.every(({ type }) => type === 'approval');
}

type Clock = Pick<WorkflowRunStatus, 'phase' | 'waitingSince' | 'waitedMs'>;

/** Whether a run that goes on is waiting for approvals alone, and how long it was before. */
function clockOf(
  { waitingSince, waitedMs = 0 }: WorkflowRunStatus,
  rows: readonly StepStatus[],
  now: number,
): Clock {
  const waits = awaitsApproval(rows);
  const phase = waits ? 'AwaitingApproval' : 'Running';
  const before = waitedMs > 0 ? { waitedMs } : {};
  if (waits) return { phase, waitingSince: waitingSince ?? timeOf(now), ...before };
  if (waitingSince === undefined) return { phase, ...before };
  return { phase, waitedMs: waitedMs + Math.max(0, now - Date.parse(waitingSince)) };
}

/** When a run has taken as long as it may, in milliseconds since the epoch; the time that only approvals take is free. */
export function deadlineOf(
  { timeout }: Graph,
  { startedAt, resumedAt, waitedMs = 0, waitingSince }: WorkflowRunStatus,
  now: number,
): number {
  if (timeout === undefined) return Number.POSITIVE_INFINITY;
  const waiting = waitingSince === undefined ? 0 : Math.max(0, now - Date.parse(waitingSince));
  return Date.parse(resumedAt ?? startedAt ?? timeOf(now)) + timeout + waitedMs + waiting;
}

/** The status of a run whose steps have changed. */
export function summarize(turn: Summarized): WorkflowRunStatus {
  const { graph, status, steps, instances, timedOutAt, now } = turn;
  const rowOf = (node: Node) => steps.get(node.name) ?? pendingStep(node);
  const list = graph.nodes.map(rowOf);
  const rows = graph.nodes.flatMap((node) => [rowOf(node), ...(instances.get(node.name) ?? []).map(rowOf)]);
  const { currentStep: _current, waitingSince: _since, ...before } = status;
  const current = currentOf(list);
  const next: WorkflowRunStatus = {
    ...before,
    ...clockOf(status, rows, now),
    progress: progressOf(list),
    ...(current === '' ? {} : { currentStep: current }),
    ...(timedOutAt === undefined ? {} : { timedOutAt }),
    steps: rows,
  };
  if (!list.every(hasEnded)) return next;
  const phase = outcomeOf(graph, steps, next);
  return finish(next, { phase, ...reasonOf(phase, turn) }, now);
}

/** Ends a run. */
export function finish(
  status: WorkflowRunStatus,
  { phase, reason, message }: { phase: RunPhase; reason: string; message: string },
  now: number,
): WorkflowRunStatus {
  const startedAt = status.startedAt === undefined ? now : Date.parse(status.startedAt);
  const short = cut(message, MAX_MESSAGE);
  return {
    ...status,
    phase,
    reason,
    message: short,
    finishedAt: timeOf(now),
    duration: spanOf(Math.max(0, now - startedAt)),
    conditions: [succeeded(phase === 'Succeeded' ? 'True' : 'False', reason, short, now)],
  };
}

/** The condition that `kubectl wait --for=condition=Succeeded` waits for. */
export function succeeded(
  status: Condition['status'],
  reason: string,
  message: string,
  now: number,
): Condition {
  return { type: 'Succeeded', status, reason, message, lastTransitionTime: timeOf(now) };
}

/** The phase that a run is in, or ends in if nothing else happens to it. */
export function outcomeSoFar(graph: Graph, status: WorkflowRunStatus): RunPhase {
  if (status.phase && status.phase !== 'Running') return status.phase;
  return outcomeOf(graph, new Map((status.steps ?? []).map((step) => [step.name, step])), status);
}

/** Steps that have ended, of all: `3/5`. */
export const progressOf = (steps: readonly StepStatus[]): string =>
  `${steps.filter(hasEnded).length}/${steps.length}`;

function currentOf(steps: readonly StepStatus[]): string {
  const running = steps.filter(({ phase }) => phase === 'Running').map(({ name }) => name);
  const all = running.join(', ');
  if (all.length <= MAX_CURRENT) return all;
  const [first = ''] = running;
  return `${first} and ${running.length - 1} more`;
}

function reasonOf(
  phase: RunPhase,
  { graph, status: { cancellation }, steps }: Summarized,
): { reason: string; message: string } {
  if (phase === 'Cancelled' && cancellation) {
    return { reason: cancellation.reason, message: cancellation.message };
  }
  if (phase === 'TimedOut') {
    const limit = graph.timeout === undefined ? '' : ` of ${spanOf(graph.timeout)}`;
    return { reason: 'RunTimedOut', message: `The run exceeded its timeout${limit}.` };
  }
  const failed = graph.nodes.filter((node) => hasFailed(node, steps.get(node.name)));
  const [first] = failed;
  if (!first) return { reason: 'Succeeded', message: `All ${graph.nodes.length} steps have ended.` };
  const { reason, message } = steps.get(first.name) ?? {};
  const others = failed.length > 1 ? `, and ${failed.length - 1} more` : '';
  return { reason: 'StepFailed', message: `Step ${first.name} failed${others}: ${message ?? reason}` };
}
