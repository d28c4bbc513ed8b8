import type { StepStatus } from '../api/workflow-run.ts';
import { ask } from './approval.ts';
import { end } from './attempt.ts';
import { expand, leaveInstances } from './instances.ts';
import type { Branch, Evaluation, Node } from './model.ts';
import { hasEnded, hasFailed, isDeclined, onRejectOf } from './summary.ts';
import { begin, fail, haltOf, put, skip, type Turn, valuesFor } from './turn.ts';
import { cut, MAX_QUOTE, timeOf } from './text.ts';

/** Skips and starts all that is ready. Parents come first in the order, so that one pass is enough. */
export function schedule(turn: Turn): void {
  const { graph, steps } = turn;
  // For each step that has failed, or has one that failed before it: which one.
  const blame = new Map<string, string>();
  const standings = new Map<string, Standing>();
  let failing = graph.nodes.find((node) => hasFailed(node, steps.get(node.name)))?.name;
  for (const node of graph.order) {
    const culprit = node.waitsFor.map((name) => blame.get(name)).find((name) => name !== undefined);
    const standing = standingOf(turn, node, standings);
    standings.set(node.name, standing);
    scheduleStep(turn, node, { culprit, failing, declined: blockerIn(standing) });
    if (node.forEach) leaveInstances(turn, node);
    const failed = hasFailed(node, steps.get(node.name)) ? node.name : undefined;
    if (failed ?? culprit) blame.set(node.name, failed ?? culprit ?? '');
    failing ??= failed;
  }
}

export const mainHasEnded = ({ graph, steps }: Turn): boolean =>
  graph.nodes.every((node) => node.finally || hasEnded(steps.get(node.name)));

/** What keeps new steps from starting. */
interface Failures {
  /** A step before this one that failed. */
  culprit: string | undefined;
  /** A step anywhere that failed. */
  failing: string | undefined;
  /** An approval before this one that was not given, where the workflow says what follows that. */
  declined: string | undefined;
}

/** How a step stands to the approvals before it that were not given, by their names. */
type Standing = ReadonlyMap<string, 'Blocked' | 'Freed'>;

/** What is behind such an approval is left out, but for what follows the rejection and comes after that. */
function standingOf({ graph, steps }: Turn, node: Node, known: ReadonlyMap<string, Standing>): Standing {
  const standing = new Map<string, 'Blocked' | 'Freed'>();
  const add = (approval: string, how: 'Blocked' | 'Freed') => {
    if (standing.get(approval) !== 'Freed') standing.set(approval, how);
  };
  for (const name of node.waitsFor) {
    for (const [approval, how] of known.get(name) ?? []) add(approval, how);
    if (!isDeclined(steps.get(name))) continue;
    const approval = graph.nodes.find((other) => other.name === name);
    if (!approval || onRejectOf(approval).length === 0) continue;
    add(name, node.branch?.condition === name ? 'Freed' : 'Blocked');
  }
  return standing;
}

const blockerIn = (standing: Standing): string | undefined =>
  [...standing].find(([, how]) => how === 'Blocked')?.[0];

function scheduleStep(turn: Turn, node: Node, failures: Failures): void {
  const step = turn.steps.get(node.name);
  if (step?.phase !== 'Pending') return;
  const halt = haltOf(turn, node);
  if (halt) return skip(turn, step, halt.reason, `${halt.because} before this step started.`);
  if (!node.waitsFor.every((name) => hasEnded(turn.steps.get(name)))) return;
  if (!node.finally) return admit(turn, node, step, failures);
  if (mainHasEnded(turn)) enter(turn, node, step);
}

/** Lets a main step in or skips it, by its branch and its `runIf`. */
function admit(turn: Turn, node: Node, step: StepStatus, { culprit, failing, declined }: Failures): void {
  const off = branchNotTaken(turn, node) ?? behindDeclined(turn, declined);
  if (off) return skip(turn, step, off.reason, off.message);
  switch (node.runIf) {
    case 'Always':
      return enter(turn, node, step);
    case 'Failure':
      if (culprit !== undefined) return enter(turn, node, step);
      return skip(turn, step, 'NothingFailed', 'No step before this one failed.');
    case 'Success':
      if (culprit !== undefined) return skip(turn, step, 'UpstreamFailed', `Step ${culprit} failed.`);
      if (failing === undefined) return enter(turn, node, step);
      return skip(turn, step, 'RunFailing', `Step ${failing} failed, so nothing new starts.`);
    default:
      return node.runIf satisfies never;
  }
}

type Off = { reason: string; message: string } | undefined;

const NOT_TAKEN = 'BranchNotTaken';

/** Why a step is not on the way that the conditions before it chose, if it is not. */
function branchNotTaken({ steps }: Turn, node: Node): Off {
  const off = node.branch && offBranch(node.branch, steps.get(node.branch.condition));
  if (off) return off;
  const parents = node.waitsFor.map((name) => steps.get(name));
  if (parents.length === 0 || !parents.every((parent) => parent?.reason === NOT_TAKEN)) return undefined;
  return { reason: NOT_TAKEN, message: parents[0]?.message ?? '' };
}

function behindDeclined({ steps }: Turn, approval: string | undefined): Off {
  if (approval === undefined) return undefined;
  return { reason: NOT_TAKEN, message: `step ${approval} was not approved: ${steps.get(approval)?.message}` };
}

function offBranch({ condition, side }: Branch, decided: StepStatus | undefined): Off {
  const { type, phase, reason = '', message = '', outputs } = decided ?? {};
  if (isDeclined(decided)) return undefined;
  if (type === 'approval' && phase === 'Succeeded')
    return { reason: NOT_TAKEN, message: `step ${condition} was approved` };
  if (phase === 'Succeeded') {
    const result = outputs?.['result'] === true;
    if (result === (side === 'then')) return undefined;
    return { reason: NOT_TAKEN, message: `condition ${condition} is ${result}` };
  }
  if (reason === NOT_TAKEN) return { reason, message };
  // Without a decision there is no branch to take: its steps are left out for the reason that the condition was.
  const why = `condition ${condition} did not decide: ${message}`;
  return { reason: phase === 'Failed' ? 'ConditionFailed' : reason, message: why };
}

/** The step is going to run, unless its `when` says otherwise. */
function enter(turn: Turn, node: Node, step: StepStatus): void {
  const verdict = node.when ? judge(turn, node, node.when.evaluate) : { value: true };
  if ('error' in verdict) return fail(turn, step, 'ExpressionError', `when: ${verdict.error}`);
  if (!verdict.value) return skip(turn, step, 'WhenFalse', `when is false: ${node.when?.source}`);
  if (node.kind === 'Approval') return ask(turn, node, step);
  if (node.kind === 'Inline') return decideCondition(turn, node, step);
  if (node.forEach) return expand(turn, node, step);
  begin(turn, node, step);
}

function decideCondition(turn: Turn, node: Node, step: StepStatus): void {
  const expression = node.expressions.get('condition.if');
  const verdict = expression ? judge(turn, node, expression.evaluate) : { error: 'is not there' };
  if ('error' in verdict) return fail(turn, step, 'ExpressionError', `condition.if: ${verdict.error}`);
  const side = verdict.value ? 'then' : 'else';
  const { spec } = node;
  const taken = ('condition' in spec ? spec.condition?.[side] : undefined) ?? [];
  const summary = `${verdict.value}: ${taken.length > 0 ? taken.join(', ') : 'nothing to do'}`;
  const result = {
    outcome: 'Succeeded',
    reason: 'Completed',
    summary,
    outputs: { result: verdict.value },
    finishedAt: turn.now,
  } as const;
  put(turn, end({ ...step, startedAt: timeOf(turn.now) }, result, turn.now));
}

/** What an expression that must be true or false comes to. */
function judge(
  turn: Turn,
  node: Node,
  evaluate: NonNullable<Node['when']>['evaluate'],
): { value: boolean } | { error: string } {
  const values = valuesFor(turn, node);
  const verdict: Evaluation = 'error' in values ? values : evaluate(values);
  if ('error' in verdict) return verdict;
  if (typeof verdict.value === 'boolean') return { value: verdict.value };
  const what = cut(JSON.stringify(verdict.value), MAX_QUOTE);
  return { error: `must come to true or false, and came to ${what}` };
}
