import type { WorkflowRunStatus } from '../api/workflow-run.ts';
import { refuseRun } from './accept.ts';
import { followApproval } from './approval.ts';
import { end } from './attempt.ts';
import { advanceInstances } from './instances.ts';
import type { Decision, Result } from './model.ts';
import { notify } from './notify.ts';
import { mainHasEnded, schedule } from './schedule.ts';
import { room, shorten, shortestOf } from './size.ts';
import { awaitsApproval, deadlineOf, finish, isActive, summarize } from './summary.ts';
import {
  type DecideInput,
  followAttempt,
  haltOf,
  open,
  put,
  retryAttempt,
  type Turn,
  units,
  valuesOf,
} from './turn.ts';
import { timeOf } from './text.ts';

export type { DecideInput } from './turn.ts';

/**
 * Takes a run as far as what is observed allows: ends attempts, times out, retries, skips, and starts all that is
 * ready. Of a run that is not running, only the notifications are taken on. The same input gives the same decision, and
 * deciding again on its outcome changes nothing.
 */
export function decide(input: DecideInput): Decision {
  const turn = open(input);
  if (isActive(input.status)) {
    endAttempts(turn);
    checkRunTimeout(turn);
    followAttempts(turn);
    schedule(turn);
    checkPhase(turn);
  }
  return close(turn);
}

function close(turn: Turn): Decision {
  const summary = turn.changed ? summed(turn) : turn.status;
  // What was to be looked at later was about steps, and all of them have ended.
  if (summary.finishedAt !== undefined) turn.wakes = [];
  else if (isTimed(turn, summary)) turn.wakes.push(deadlineOf(turn.graph, summary, turn.now));
  const status = notify(turn, summary);
  const times = turn.wakes.filter((time) => Number.isFinite(time));
  return { status, effects: turn.effects, ...(times.length > 0 ? { wakeAt: Math.min(...times) } : {}) };
}

/** The new status, and of one that would become too large what can be kept. */
function summed(turn: Turn): WorkflowRunStatus {
  const next = shorten(withOutputs(turn, summarize(turn)));
  if (next.ok) return next.status;
  turn.effects = [];
  return shortestOf(refuseRun(turn.status, 'StatusTooLarge', next.message, turn.now));
}

/** A run that succeeded gives what its workflow says. */
function withOutputs(turn: Turn, status: WorkflowRunStatus): WorkflowRunStatus {
  if (status.phase !== 'Succeeded') return status;
  const outputs: Record<string, unknown> = {};
  for (const [name, expression] of turn.graph.outputs) {
    const result = expression.evaluate(valuesOf(turn, { phase: status.phase }));
    if ('value' in result) outputs[name] = result.value;
    else return failedOutput(status, `outputs.${name}: ${result.error}`, turn.now);
  }
  if (turn.graph.outputs.size === 0) return status;
  if (hasRoom(turn, { outputs })) return { ...status, outputs };
  return failedOutput(status, `The outputs of the run are too large: ${limitOf(turn)}`, turn.now);
}

const failedOutput = (status: WorkflowRunStatus, message: string, now: number): WorkflowRunStatus =>
  finish(status, { phase: 'Failed', reason: 'OutputError', message }, now);

/** Results come before everything else: a run whose last step has ended does not time out. */
function endAttempts(turn: Turn): void {
  for (const node of units(turn)) {
    if (node.kind === 'Approval') {
      followApproval(turn, node, haltOf(turn, node));
      continue;
    }
    const seen = turn.observed.get(node.name);
    const step = turn.steps.get(node.name);
    if (seen?.state !== 'Ended' || step?.phase !== 'Running' || step.retryAt !== undefined) continue;
    if (hasRoom(turn, seen.result)) followAttempt(turn, node, haltOf(turn, node));
    else put(turn, end(step, tooLarge(turn, seen.result), turn.now));
  }
}

/** Whether the status can take the outputs of a result; if so, they are counted. */
function hasRoom(turn: Turn, { outputs }: Pick<Result, 'outputs'>): boolean {
  if (outputs === undefined) return true;
  turn.outputs ??= [...turn.steps.values()].reduce((sum, step) => sum + sizeOf(step.outputs), 0);
  const total = turn.outputs + sizeOf(outputs);
  if (total > room(turn.steps.size)) return false;
  turn.outputs = total;
  return true;
}

const sizeOf = (outputs: Result['outputs'] | undefined): number =>
  outputs === undefined ? 0 : JSON.stringify(outputs).length;

/** What a result becomes whose outputs would make the status larger than it may be. */
function tooLarge(turn: Turn, { outputs: _outputs, ...result }: Result): Result {
  return { ...result, outcome: 'Failed', reason: 'OutputsTooLarge', message: limitOf(turn) };
}

const limitOf = ({ steps }: Turn): string =>
  `All outputs of the run together may come to ${room(steps.size)} characters, and these exceed that: write what is large elsewhere.`;

function followAttempts(turn: Turn): void {
  for (const node of units(turn)) {
    const halt = haltOf(turn, node);
    if (node.kind !== 'Approval') followAttempt(turn, node, halt);
    // What was decided before stays; a timeout of the run may have come since.
    else if (halt) followApproval(turn, node, halt);
    retryAttempt(turn, node, halt);
  }
  for (const node of turn.graph.nodes) if (node.forEach) advanceInstances(turn, node);
}

function checkRunTimeout(turn: Turn): void {
  const { graph, status, now } = turn;
  if (turn.timedOutAt !== undefined || status.cancellation || mainHasEnded(turn)) return;
  if (now < deadlineOf(graph, status, now)) return;
  turn.timedOutAt = timeOf(now);
  turn.changed = true;
}

/** Whether the clock of a run runs. */
function isTimed(turn: Turn, { phase, cancellation }: WorkflowRunStatus): boolean {
  return (
    phase === 'Running' && cancellation === undefined && turn.timedOutAt === undefined && !mainHasEnded(turn)
  );
}

/** People may have changed the phase by hand. */
function checkPhase(turn: Turn): void {
  const { status, graph, steps, instances } = turn;
  const rows = [...graph.nodes, ...[...instances.values()].flat()].flatMap(
    ({ name }) => steps.get(name) ?? [],
  );
  if (awaitsApproval(rows) !== (status.phase === 'AwaitingApproval')) turn.changed = true;
}
