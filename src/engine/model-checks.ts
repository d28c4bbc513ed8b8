import type { StepStatus, WorkflowRunStatus } from '../api/workflow-run.ts';
import { type DecideInput, decide } from './decide.ts';
import { mendStatus } from './mend.ts';
import type { ModelAttempt } from './model-cluster.ts';
import type { Decision, Graph, Node, StartEffect } from './model.ts';

// For tests: what must hold in every turn of a run, whatever happens to the shell.

export function demand(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message);
}

export function equal(actual: unknown, expected: unknown, what: string): void {
  demand(same(actual, expected), `${what}: ${JSON.stringify(actual)}, and not ${JSON.stringify(expected)}`);
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

export const isOver = (step: StepStatus | undefined): boolean =>
  step !== undefined && step.phase !== 'Pending' && step.phase !== 'Running';

const rowIn = (status: WorkflowRunStatus, name: string) => status.steps?.find((row) => row.name === name);

const isPart = ({ name }: StepStatus) => name.includes('[');

/** The step that a row belongs to, its own or that of an instance. */
export function nodeOf(graph: Graph, row: string): Node {
  const node = graph.nodes.find(({ name }) => name === row.replace(/\[.*$/, ''));
  demand(node !== undefined, `no step has a row ${row}`);
  return node;
}

/** What must hold when an attempt is made: it was written before, what it waits for has ended, and it is alone. */
export function checkStart(
  graph: Graph,
  written: WorkflowRunStatus,
  { step: name, attempt, id }: StartEffect,
  active: readonly ModelAttempt[],
): void {
  const node = nodeOf(graph, name);
  const row = rowIn(written, name);
  demand(row?.phase === 'Running', `${name} started before it was written`);
  demand(row.attempt === attempt, `attempt ${attempt} of ${name} started, and ${row.attempt} was written`);
  const object = node.kind === 'Run' ? row.run : row.job;
  demand(node.kind === 'Call' ? object === undefined : object?.name === id, `${name} was written as another`);
  demand(rowIn(written, node.name)?.phase === 'Running', `${name} started before its step`);
  const main = graph.nodes.filter((other) => node.finally && !other.finally).map((other) => other.name);
  for (const other of [...node.waitsFor, ...main]) {
    demand(isOver(rowIn(written, other)), `${name} started before ${other} ended`);
  }
  demand(!active.some((one) => one.row === name), `two attempts of ${name} run at once`);
  demand(!isEnding(written, node), `${name} started in a run that is being ended`);
}

/** Whether a run is ended before its time, and a step with it. */
function isEnding({ cancellation, timedOutAt }: WorkflowRunStatus, node: Node): boolean {
  if (node.finally) return cancellation?.terminatedAt !== undefined;
  return cancellation !== undefined || timedOutAt !== undefined;
}

/** What runs in a run that is ended before its time is stopped, and nothing waits for its next attempt. */
function checkStops(graph: Graph, { status, effects }: Decision): void {
  const stopped = new Set(effects.filter(({ type }) => type === 'Stop').map(({ step }) => step));
  for (const { name, phase, attempt } of status.steps ?? []) {
    if (phase !== 'Running' || attempt === undefined || !isEnding(status, nodeOf(graph, name))) continue;
    demand(stopped.has(name), `${name} goes on in a run that is being ended`);
  }
}

/** The same input gives the same decision, and its outcome needs no other until something is observed. */
export function checkDecision(decision: Decision, input: DecideInput): void {
  demand(same(decide(input), decision), 'the same input gives another decision');
  checkStops(input.graph, decision);
  const next = decision.status;
  const attemptOf = (status: WorkflowRunStatus, name: string) => rowIn(status, name)?.attempt;
  const kept = [...input.observed].filter(
    ([name]) => attemptOf(next, name) === attemptOf(input.status, name),
  );
  const again = decide({ ...input, status: next, observed: new Map(kept) });
  demand(again.status === next, 'a second decision changes something');
}

/** What must hold between one status of a round and the next. */
export function checkWrite(
  graph: Graph,
  before: WorkflowRunStatus,
  after: WorkflowRunStatus,
  now: number,
): void {
  for (const row of before.steps ?? []) {
    if (isOver(row)) demand(same(rowIn(after, row.name), row), `${row.name} changed after its end`);
  }
  for (const row of after.steps ?? []) {
    const old = rowIn(before, row.name);
    if (!isPart(row) && old?.phase === 'Pending' && row.phase !== 'Pending')
      checkLeaving(graph, before, after, row);
  }
  for (const node of graph.nodes) if (node.forEach) checkInstances(node, after);
  checkEnd(after);
  if (after.finishedAt === undefined) {
    demand(mendStatus(graph, after, now) === after, 'the status looks broken');
  }
}

/** A failure known when a step starts keeps it from starting; one of an expression may come up beside it. */
function checkLeaving(
  graph: Graph,
  before: WorkflowRunStatus,
  after: WorkflowRunStatus,
  { name, phase, reason }: StepStatus,
): void {
  const node = nodeOf(graph, name);
  if (node.finally) return;
  const failures = (after.steps ?? []).filter((row) => isFailure(graph, row));
  if (phase === 'Running' && node.runIf === 'Success') {
    const known = failures.filter((row) => isOver(rowIn(before, row.name)) || wasObserved(row));
    demand(known.length === 0, `${name} started in a failing run`);
  }
  if (reason === 'RunFailing') demand(failures.length > 0, `${name} skipped without a failure`);
}

const wasObserved = ({ attempt, reason }: StepStatus) =>
  attempt !== undefined && reason !== 'ExpressionError';

function isFailure(graph: Graph, row: StepStatus): boolean {
  if (row.phase !== 'Failed' || isPart(row)) return false;
  const { finally: isFinally, spec } = nodeOf(graph, row.name);
  const isHandled =
    'approval' in spec && spec.approval?.onReject && ['Rejected', 'TimedOut'].includes(row.reason ?? '');
  return !isFinally && !spec.continueOnError && !isHandled;
}

/** Instances follow their step, at most so many at once, and none goes on after its step has ended. */
function checkInstances({ name, forEach }: Node, { steps = [] }: WorkflowRunStatus): void {
  const at = steps.findIndex((row) => row.name === name);
  const parts = steps.filter((row) => row.name.startsWith(`${name}[`));
  demand(
    same(steps.slice(at + 1, at + 1 + parts.length), parts),
    `the instances of ${name} do not follow it`,
  );
  demand(
    new Set(parts.map((row) => row.name)).size === parts.length,
    `two instances of ${name} share a name`,
  );
  const active = parts.filter(({ phase }) => phase === 'Running').length;
  demand(active <= (forEach?.maxParallel ?? 0), `${active} instances of ${name} run at once`);
  if (isOver(steps[at])) demand(parts.every(isOver), `${name} ended before its instances`);
  if (steps[at]?.phase === 'Pending') demand(active === 0, `an instance of ${name} runs before its step`);
}

/** It awaits approval when nothing else goes on, and only then. */
function checkGoing({ phase, steps = [], waitingSince }: WorkflowRunStatus): void {
  const going = steps.filter((row) => row.phase === 'Running');
  const waits = going.length > 0 && going.every(({ type }) => type === 'approval');
  demand(phase === (waits ? 'AwaitingApproval' : 'Running'), `${phase} without an end`);
  demand((waitingSince !== undefined) === waits, 'the clock of the run is not as its steps are');
}

function checkEnd(status: WorkflowRunStatus): void {
  const { finishedAt, steps = [], currentStep } = status;
  if (finishedAt === undefined) return checkGoing(status);
  demand(steps.every(isOver), 'the run ended before its steps');
  demand(currentStep === undefined, 'a step is current after the end');
}
