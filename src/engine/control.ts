import type { Cancellation, StepStatus, WorkflowRunStatus } from '../api/workflow-run.ts';
import { endSteps } from './accept.ts';
import { withEarlierAttempt } from './attempt.ts';
import type { Graph, Node } from './model.ts';
import { ancestorsOf } from './order.ts';
import { finish, isActive, isForgiven, isInstance, pendingStep, progressOf, succeeded } from './summary.ts';
import { cut, MAX_QUOTE, timeOf } from './text.ts';

/** Longest list of step names in a refusal. */
const MAX_NAMES = 512;

/**
 * The status of a run that somebody cancels. The first time, its steps are stopped and `finally` runs; the second
 * time, it ends at once. A run that has not started ends without any of that. One that has ended stays as it is.
 *
 * @param now milliseconds since the epoch
 */
export function cancelRun(
  status: WorkflowRunStatus,
  { reason, message }: Pick<Cancellation, 'reason' | 'message'>,
  now: number,
): WorkflowRunStatus {
  if (status.finishedAt !== undefined) return status;
  const { cancellation } = status;
  if (cancellation) {
    return {
      ...status,
      cancellation: { ...cancellation, terminatedAt: cancellation.terminatedAt ?? timeOf(now) },
    };
  }
  const cancelled = { ...status, cancellation: { requestedAt: timeOf(now), reason, message } };
  if (isActive(status)) return cancelled;
  const ended = endSteps(cancelled, 'RunCancelled', message, now);
  return finish(ended, { phase: 'Cancelled', reason, message }, now);
}

/** Reasons of skipped steps that a new round would skip just the same, unless something before them is done over. */
const SETTLED = new Set(['WhenFalse', 'NoItems', 'BranchNotTaken', 'NothingFailed', 'ConditionFailed']);

/**
 * The status of a finished run that goes on: from all that did not succeed, or from one step as well, with everything
 * behind. What succeeded before that is kept. Its phase is Pending until it may start again.
 *
 * @param from the name of a step, or `failed`
 * @param now milliseconds since the epoch
 */
export function retryRun(
  graph: Graph,
  status: WorkflowRunStatus,
  from: 'failed' | { step: string },
  now: number,
): { ok: true; status: WorkflowRunStatus } | { ok: false; message: string } {
  if (status.finishedAt === undefined) return refuse('The run has not ended.');
  const steps = new Map((status.steps ?? []).map((step) => [step.name, step]));
  if (steps.size === 0) return refuse('The run never began: create another one.');
  const named = from === 'failed' ? undefined : from.step;
  const main = graph.nodes.filter((node) => !node.finally);
  if (named !== undefined && !main.some(({ name }) => name === named)) {
    const names = cut(main.map(({ name }) => name).join(', '), MAX_NAMES);
    return refuse(`The run has no step ${cut(named, MAX_QUOTE)} to go on from: it has ${names}.`);
  }
  const isOpen = (node: Node) => node.name === named || isUnsettled(node, steps.get(node.name));
  if (named === undefined && !graph.nodes.some(isOpen)) return refuse('No step of the run failed.');
  const open = main.filter(isOpen);
  const redone = behind(graph, open);
  // Of a step with instances only those that did not succeed are done over, unless it begins from the start.
  const inPart = open.filter(
    ({ name, waitsFor }) => name !== named && !waitsFor.some((other) => redone.has(other)),
  );
  const kept = new Set(inPart.map(({ name }) => name));
  const rows = [...steps.values()].map((row) => nextRow(graph, row, redone, kept));
  return { ok: true, status: reopened(status, rows, now) };
}

const refuse = (message: string) => ({ ok: false as const, message });

function isUnsettled(node: Node, step: StepStatus | undefined): boolean {
  if (step?.phase === 'Succeeded') return false;
  if (step?.phase === 'Skipped') return !SETTLED.has(step.reason ?? '');
  // What the run cut short was no failure to be forgiven.
  return !(step?.phase === 'Failed' && isForgiven(node, step) && step.reason !== 'RunTimedOut');
}

/** The steps with all that come behind them; `finally` comes behind everything. */
function behind(graph: Graph, open: readonly Node[]): Set<string> {
  const waitsFor = new Map(graph.nodes.map((node) => [node.name, node.waitsFor]));
  const names = new Set(open.map(({ name }) => name));
  const isBehind = (node: Node) => [...ancestorsOf(node.name, waitsFor)].some((name) => names.has(name));
  const rest = graph.nodes.filter((node) => node.finally || isBehind(node));
  return new Set([...names, ...rest.map(({ name }) => name)]);
}

/** The row of a step or an instance in the next round. */
function nextRow(
  graph: Graph,
  row: StepStatus,
  redone: ReadonlySet<string>,
  kept: ReadonlySet<string>,
): StepStatus {
  const parent = isInstance(row) ? row.name.slice(0, row.name.indexOf('[')) : row.name;
  const node = graph.nodes.find(({ name }) => name === parent);
  if (!node || !redone.has(parent)) return row;
  return isInstance(row) && row.phase === 'Succeeded' && kept.has(parent) ? row : again(node, row);
}

/** A row to be done over, which remembers the attempts that there were. */
function again(node: Node, row: StepStatus): StepStatus {
  const pending = pendingStep({ ...node, name: row.name });
  const { attempt, startedAt, finishedAt, reason = '', message, attempts = [] } = row;
  if (attempt === undefined || startedAt === undefined || finishedAt === undefined) return pending;
  // One that ended while it waited for its next attempt has the last on record.
  if (attempts.length >= attempt) return { ...pending, attempt, attempts, attemptsBefore: attempt };
  const ended = withEarlierAttempt(row, { reason, message }, Date.parse(finishedAt));
  return { ...pending, attempt, attempts: ended.attempts ?? [], attemptsBefore: attempt };
}

function reopened(status: WorkflowRunStatus, steps: StepStatus[], now: number): WorkflowRunStatus {
  const { revision, revisionSeal, startedBy, startedAt, queue, round = 0 } = status;
  return {
    phase: 'Pending',
    ...(revision === undefined ? {} : { revision }),
    ...(revisionSeal === undefined ? {} : { revisionSeal }),
    ...(startedBy === undefined ? {} : { startedBy }),
    ...(startedAt === undefined ? {} : { startedAt }),
    ...(queue === undefined ? {} : { queue: { key: queue.key, policy: queue.policy } }),
    round: round + 1,
    resumedAt: timeOf(now),
    progress: progressOf(steps.filter((step) => !isInstance(step))),
    conditions: [succeeded('Unknown', 'Running', 'The run has not ended.', now)],
    steps,
  };
}
