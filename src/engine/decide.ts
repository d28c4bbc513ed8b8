import type { StepTypeName } from '../api/step.ts';
import type { StepStatus, WorkflowRunStatus } from '../api/workflow-run.ts';
import { end, follow } from './attempt.ts';
import type { Values } from './expression.ts';
import type {
  Decision,
  Effect,
  Graph,
  Node,
  Observation,
  Result,
  RunContext,
  StepResolver,
} from './model.ts';
import { jobName } from './names.ts';
import { hasEnded, hasFailed, outcomeOf, pendingStep, summarize } from './summary.ts';
import { renderTemplate } from './template.ts';
import { cut, MAX_MESSAGE, MAX_QUOTE, timeOf } from './text.ts';

/** Most that the outputs of all steps of a run may come to, in characters of JSON. */
const MAX_OUTPUTS = 262_144;

export interface DecideInput {
  graph: Graph;
  run: RunContext;
  /** What was last written. */
  status: WorkflowRunStatus;
  /** What is seen of the current attempts, by the name of the step; what is missing is Absent. */
  observed: ReadonlyMap<string, Observation>;
  resolvers: Readonly<Record<StepTypeName, StepResolver>>;
  /** Milliseconds since the epoch. */
  now: number;
}

/** A decision in the making. */
interface Turn extends DecideInput {
  steps: Map<string, StepStatus>;
  timedOutAt?: string | undefined;
  changed: boolean;
  effects: Effect[];
  wakes: number[];
  /** Characters that the outputs of all steps come to; counted when it first matters. */
  outputs?: number;
}

/**
 * Takes a run as far as what is observed allows: ends attempts, times out, retries, skips, and starts all that is
 * ready. The same input gives the same decision, and deciding again on its outcome changes nothing.
 */
export function decide(input: DecideInput): Decision {
  if (input.status.finishedAt !== undefined) return { status: input.status, effects: [] };
  const turn = open(input);
  endAttempts(turn);
  checkRunTimeout(turn);
  followAttempts(turn);
  schedule(turn);
  return close(turn);
}

function open(input: DecideInput): Turn {
  const known = new Map(input.status.steps?.map((step) => [step.name, step]));
  const steps = new Map(
    input.graph.nodes.map((node) => [node.name, known.get(node.name) ?? pendingStep(node)]),
  );
  return { ...input, steps, timedOutAt: input.status.timedOutAt, changed: false, effects: [], wakes: [] };
}

function close({ graph, status, steps, timedOutAt, changed, effects, wakes, now }: Turn): Decision {
  const next = changed ? summarize({ graph, status, steps, timedOutAt, now }) : status;
  if (next.finishedAt !== undefined || wakes.length === 0) return { status: next, effects };
  return { status: next, effects, wakeAt: Math.min(...wakes) };
}

function put(turn: Turn, step: StepStatus): void {
  if (turn.steps.get(step.name) === step) return;
  turn.steps.set(step.name, step);
  turn.changed = true;
}

/** Results come before everything else: a run whose last step has ended does not time out. */
function endAttempts(turn: Turn): void {
  for (const node of turn.graph.nodes) {
    const seen = turn.observed.get(node.name);
    const step = turn.steps.get(node.name);
    if (seen?.state !== 'Ended' || step?.phase !== 'Running' || step.retryAt !== undefined) continue;
    if (hasRoom(turn, seen.result)) followAttempt(turn, node);
    else put(turn, end(step, tooLarge(seen.result), turn.now));
  }
}

/** Whether the status can take the outputs of a result; if so, they are counted. */
function hasRoom(turn: Turn, { outputs }: Result): boolean {
  if (outputs === undefined) return true;
  turn.outputs ??= [...turn.steps.values()].reduce((sum, step) => sum + sizeOf(step.outputs), 0);
  const total = turn.outputs + sizeOf(outputs);
  if (total > MAX_OUTPUTS) return false;
  turn.outputs = total;
  return true;
}

const sizeOf = (outputs: Result['outputs'] | undefined): number =>
  outputs === undefined ? 0 : JSON.stringify(outputs).length;

/** What a result becomes whose outputs would make the status larger than the API server takes. */
function tooLarge({ outputs: _outputs, ...result }: Result): Result {
  const message = `The outputs of all steps of a run may come to ${MAX_OUTPUTS} characters, and this step exceeds that: write what is large elsewhere.`;
  return { ...result, outcome: 'Failed', reason: 'OutputsTooLarge', message };
}

function followAttempts(turn: Turn): void {
  for (const node of turn.graph.nodes) {
    followAttempt(turn, node);
    retryAttempt(turn, node);
  }
}

function followAttempt(turn: Turn, node: Node): void {
  const { run, now, observed } = turn;
  const step = turn.steps.get(node.name);
  if (step?.phase !== 'Running' || step.retryAt !== undefined) return;
  const seen = observed.get(node.name) ?? { state: 'Absent' };
  const followed = follow({ node, step, seen, run, now, timedOutAt: stopTime(turn, node) });
  put(turn, followed.step);
  if (followed.wakeAt !== undefined) turn.wakes.push(followed.wakeAt);
  if (followed.effect === 'Stop') turn.effects.push(stopEffect(step));
  if (followed.effect === 'Start') start(turn, node, followed.step);
}

function retryAttempt(turn: Turn, node: Node): void {
  const step = turn.steps.get(node.name);
  if (step?.retryAt === undefined) return;
  const retryAt = Date.parse(step.retryAt);
  if (stopTime(turn, node) !== undefined)
    fail(turn, step, 'RunTimedOut', 'The run exceeded its timeout before the next attempt.');
  else if (retryAt > turn.now) turn.wakes.push(retryAt);
  else begin(turn, node, step);
}

/** When the run exceeded its timeout, for the steps that this stops; those of `finally` come after it. */
function stopTime({ timedOutAt }: Turn, node: Node): number | undefined {
  return timedOutAt === undefined || node.finally ? undefined : Date.parse(timedOutAt);
}

function stopEffect({ name, attempt = 1, job }: StepStatus): Effect {
  return { type: 'Stop', step: name, attempt, job: job?.name ?? '' };
}

function checkRunTimeout(turn: Turn): void {
  const { graph, status, now } = turn;
  if (graph.timeout === undefined || turn.timedOutAt !== undefined || mainHasEnded(turn)) return;
  const deadline = Date.parse(status.startedAt ?? timeOf(now)) + graph.timeout;
  if (now < deadline) {
    turn.wakes.push(deadline);
    return;
  }
  turn.timedOutAt = timeOf(now);
  turn.changed = true;
}

const mainHasEnded = ({ graph, steps }: Turn): boolean =>
  graph.nodes.every((node) => node.finally || hasEnded(steps.get(node.name)));

/** Skips and starts all that is ready. Parents come first in the order, so that one pass is enough. */
function schedule(turn: Turn): void {
  const { graph, steps } = turn;
  // For each step that has failed, or has one that failed before it: which one.
  const blame = new Map<string, string>();
  let failing = graph.nodes.find((node) => hasFailed(node, steps.get(node.name)))?.name;
  for (const node of graph.order) {
    const culprit = node.waitsFor.map((name) => blame.get(name)).find((name) => name !== undefined);
    scheduleStep(turn, node, { culprit, failing });
    const failed = hasFailed(node, steps.get(node.name)) ? node.name : undefined;
    if (failed ?? culprit) blame.set(node.name, failed ?? culprit ?? '');
    failing ??= failed;
  }
}

/** What keeps new steps from starting. */
interface Failures {
  /** A step before this one that failed. */
  culprit: string | undefined;
  /** A step anywhere that failed. */
  failing: string | undefined;
}

function scheduleStep(turn: Turn, node: Node, failures: Failures): void {
  const step = turn.steps.get(node.name);
  if (step?.phase !== 'Pending') return;
  if (turn.timedOutAt !== undefined && !node.finally) {
    return skip(turn, step, 'RunTimedOut', 'The run exceeded its timeout before this step started.');
  }
  if (!node.waitsFor.every((name) => hasEnded(turn.steps.get(name)))) return;
  if (!node.finally) return admit(turn, node, step, failures);
  if (mainHasEnded(turn)) enter(turn, node, step);
}

/** Lets a main step in or skips it, by its `runIf`. */
function admit(turn: Turn, node: Node, step: StepStatus, { culprit, failing }: Failures): void {
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

/** The step is going to run, unless its `when` says otherwise. */
function enter(turn: Turn, node: Node, step: StepStatus): void {
  const { when } = node;
  const verdict = when ? when.evaluate(valuesFor(turn, node)) : { value: true };
  if ('error' in verdict) return fail(turn, step, 'ExpressionError', `when: ${verdict.error}`);
  if (verdict.value === true) return begin(turn, node, step);
  if (verdict.value === false) return skip(turn, step, 'WhenFalse', `when is false: ${when?.source}`);
  const what = JSON.stringify(verdict.value);
  fail(
    turn,
    step,
    'ExpressionError',
    `when: must come to true or false, and came to ${cut(what, MAX_QUOTE)}`,
  );
}

/** Begins the next attempt. */
function begin(turn: Turn, node: Node, step: StepStatus): void {
  const { retryAt: _retryAt, reason: _reason, message: _message, ...rest } = step;
  const attempt = (step.attempt ?? 0) + 1;
  const now = timeOf(turn.now);
  start(turn, node, {
    ...rest,
    phase: 'Running',
    startedAt: step.startedAt ?? now,
    attempt,
    attemptStartedAt: now,
    job: { name: jobName(turn.run, node.name, attempt) },
  });
}

/** Has the attempt that the step names started; safe to repeat. */
function start(turn: Turn, node: Node, step: StepStatus): void {
  const { attempt = 1, job } = step;
  const resolved = resolve(turn, node);
  if ('error' in resolved) return fail(turn, withoutJob(step), 'ExpressionError', resolved.error);
  put(turn, step);
  turn.wakes.push(turn.now + node.pendingTimeout);
  turn.effects.push({ type: 'Start', step: node.name, attempt, job: job?.name ?? '', spec: resolved.spec });
}

function withoutJob({ job: _job, ...step }: StepStatus): StepStatus {
  return step;
}

/** The step with its templates replaced by their values. */
function resolve(turn: Turn, node: Node): { spec: Node['spec'] } | { error: string } {
  if (node.templates.size === 0) return { spec: node.spec };
  const values = valuesFor(turn, node);
  const errors: string[] = [];
  const spec = turn.resolvers[node.type].resolve(node.spec, (field, text) => {
    const template = node.templates.get(field);
    const rendered = template ? renderTemplate(template, values) : { text };
    if ('text' in rendered) return rendered.text;
    errors.push(`${field}: ${rendered.error}`);
    return '';
  });
  return errors.length > 0 ? { error: errors.join('; ') } : { spec };
}

function valuesFor({ graph, run, steps, timedOutAt }: Turn, node: Node): Values {
  const { name, namespace, uid, params, trigger, workflow } = run;
  const phase = node.finally ? { phase: outcomeOf(graph, steps, timedOutAt) } : {};
  return {
    params,
    trigger,
    workflow: { name: workflow },
    run: { name, namespace, uid, ...phase },
    step: (name) => {
      const { phase = 'Pending', summary = '', outputs = {} } = steps.get(name) ?? {};
      return { phase, summary, outputs };
    },
  };
}

function skip(turn: Turn, step: StepStatus, reason: string, message: string): void {
  const finishedAt = timeOf(turn.now);
  put(turn, { ...step, phase: 'Skipped', reason, message: cut(message, MAX_MESSAGE), finishedAt });
}

function fail(turn: Turn, step: StepStatus, reason: string, message: string): void {
  put(turn, end(step, { outcome: 'Failed', reason, message, finishedAt: turn.now }, turn.now));
}
