import type { RunPhase, StepStatus, WorkflowRunStatus } from '../api/workflow-run.ts';
import { missingApproval } from './approval-question.ts';
import { end, follow, type Halt } from './attempt.ts';
import type { Resolvers } from './compile-step.ts';
import type { Values } from './expression.ts';
import type { Effect, Evaluation, Graph, Node, Observation, RunContext } from './model.ts';
import { jobName } from './names.ts';
import { isInstance, outcomeOf, pendingStep } from './summary.ts';
import { renderScalar, renderTemplate } from './template.ts';
import { cut, MAX_MESSAGE, timeOf } from './text.ts';

export interface DecideInput {
  graph: Graph;
  run: RunContext;
  /** What was last written. */
  status: WorkflowRunStatus;
  /** What is seen of the current attempts, by the name of the step; what is missing is Absent. */
  observed: ReadonlyMap<string, Observation>;
  resolvers: Resolvers;
  /** Milliseconds since the epoch. */
  now: number;
}

/** A decision in the making. */
export interface Turn extends DecideInput {
  /** The rows by name: those of all steps, their instances, and notifications. */
  steps: Map<string, StepStatus>;
  /** The instances of each step with `forEach`, in order; none before it has been taken apart. */
  instances: Map<string, Node[]>;
  timedOutAt?: string | undefined;
  /** The phase of the run, once it is decided. */
  phase?: RunPhase | undefined;
  changed: boolean;
  effects: Effect[];
  wakes: number[];
  /** Characters that the outputs of all steps come to; counted when it first matters. */
  outputs?: number;
}

export function open(input: DecideInput): Turn {
  const { graph, status } = input;
  const rows = [...(status.steps ?? []), ...(status.notifications ?? [])];
  const steps = new Map(rows.map((row) => [row.name, row]));
  for (const node of graph.nodes) if (!steps.has(node.name)) steps.set(node.name, pendingStep(node));
  const instances = instancesIn(graph, status.steps ?? []);
  const { timedOutAt } = status;
  return { ...input, steps, instances, timedOutAt, changed: false, effects: [], wakes: [] };
}

/** The instances that the rows speak of: each follows its step, in the order of its items. */
function instancesIn(graph: Graph, rows: readonly StepStatus[]): Map<string, Node[]> {
  const parents = new Map(graph.nodes.flatMap((node) => (node.forEach ? [[node.name, node]] : [])));
  const found = new Map<string, Node[]>([...parents.keys()].map((name) => [name, []]));
  if (parents.size === 0) return found;
  for (const { name } of rows.filter(isInstance)) {
    const parent = name.slice(0, name.indexOf('['));
    const of = parents.get(parent);
    const list = found.get(parent);
    if (of && list) list.push(instanceOf(of, name, list.length));
  }
  return found;
}

/** What runs for one item of a step with `forEach`. */
export function instanceOf(of: Node, name: string, index: number): Node {
  const { forEach: _forEach, ...rest } = of;
  return { ...rest, name, instance: { index, of } };
}

/** Everything that has attempts: steps, and the instances of those that have some. */
export function* units({ graph, instances }: Turn): Generator<Node> {
  for (const node of graph.nodes) {
    if (node.forEach) yield* instances.get(node.name) ?? [];
    else yield node;
  }
}

export function put(turn: Turn, step: StepStatus): void {
  if (turn.steps.get(step.name) === step) return;
  turn.steps.set(step.name, step);
  turn.changed = true;
}

/** What ends steps before their time; those of `finally` come after a timeout or a cancellation. */
export function haltOf({ status, timedOutAt }: Turn, node: Node): Halt | undefined {
  const { cancellation } = status;
  const cancelled = {
    outcome: 'Cancelled',
    reason: 'RunCancelled',
    because: 'The run was cancelled',
  } as const;
  if (cancellation?.terminatedAt) {
    return { ...cancelled, at: Date.parse(cancellation.terminatedAt), force: true };
  }
  if (node.finally) return undefined;
  if (cancellation) return { ...cancelled, at: Date.parse(cancellation.requestedAt), force: false };
  if (timedOutAt === undefined) return undefined;
  const because = 'The run exceeded its timeout';
  return { outcome: 'Failed', reason: 'RunTimedOut', because, at: Date.parse(timedOutAt), force: false };
}

/** Takes the current attempt of a step on by what is seen of it. */
export function followAttempt(turn: Turn, node: Node, halt: Halt | undefined): void {
  const { run, now, observed } = turn;
  const step = turn.steps.get(node.name);
  if (step?.phase !== 'Running' || step.retryAt !== undefined) return;
  const seen = observed.get(node.name) ?? { state: 'Absent' };
  if (seen.state === 'Votes') return;
  const followed = follow({ node, step, seen, run, now, halt });
  put(turn, followed.step);
  if (followed.wakeAt !== undefined) turn.wakes.push(followed.wakeAt);
  if (followed.effect === 'Stop') turn.effects.push(stopEffect(turn, node, step, halt));
  if (followed.effect === 'Start') start(turn, node, followed.step);
}

/** Begins the next attempt of a step that waits for it, once it is time. */
export function retryAttempt(turn: Turn, node: Node, halt: Halt | undefined): void {
  const step = turn.steps.get(node.name);
  if (step?.retryAt === undefined) return;
  const retryAt = Date.parse(step.retryAt);
  if (halt) {
    const { outcome, reason, because } = halt;
    const message = `${because} before the next attempt.`;
    put(turn, end(step, { outcome, reason, message, finishedAt: turn.now }, turn.now));
  } else if (retryAt > turn.now) turn.wakes.push(retryAt);
  else begin(turn, node, step);
}

function stopEffect(turn: Turn, node: Node, { attempt = 1 }: StepStatus, halt: Halt | undefined): Effect {
  const id = attemptId(turn, node, attempt);
  const force = halt?.force ? { force: true as const } : {};
  return { type: 'Stop', step: node.name, stepType: node.type, attempt, id, ...force };
}

const attemptId = ({ run, status }: Turn, { name }: Node, attempt: number): string =>
  jobName(run, name, attempt, status.round);

/** Begins the next attempt. */
export function begin(turn: Turn, node: Node, step: StepStatus): void {
  const { retryAt: _retryAt, reason: _reason, message: _message, ...rest } = step;
  const attempt = (step.attempt ?? 0) + 1;
  const now = timeOf(turn.now);
  start(turn, node, {
    ...rest,
    phase: 'Running',
    startedAt: step.startedAt ?? now,
    attempt,
    // Five hundred steps have to fit into a status: what can be told from the rest is left out.
    ...(step.startedAt === undefined ? {} : { attemptStartedAt: now }),
    ...objectOf(node, attemptId(turn, node, attempt)),
  });
}

/** The object that an attempt is, if it is one. */
function objectOf({ kind }: Node, name: string): Pick<StepStatus, 'job' | 'run'> {
  switch (kind) {
    case 'Job':
      return { job: { name } };
    case 'Run':
      return { run: { name } };
    case 'Call':
    case 'Approval':
    case 'Inline':
      return {};
    default:
      return kind satisfies never;
  }
}

/** Has the attempt that the step names started; safe to repeat. */
function start(turn: Turn, node: Node, step: StepStatus): void {
  const { attempt = 1, job: _job, run: _run, ...rest } = step;
  const missing = missingApproval(turn, node);
  if (missing !== undefined) return fail(turn, { ...rest, attempt }, 'NotApproved', missing);
  const resolved = resolve(turn, node);
  if ('error' in resolved) return fail(turn, { ...rest, attempt }, 'ExpressionError', resolved.error);
  put(turn, step);
  turn.wakes.push(turn.now + node.pendingTimeout);
  const id = attemptId(turn, node, attempt);
  const { outputs: posted } = node.updates ?? {};
  const effect = { type: 'Start' as const, step: node.name, attempt, id, ...resolved };
  turn.effects.push(posted ? { ...effect, posted } : effect);
}

type Resolved = Pick<Extract<Effect, { type: 'Start' }>, 'spec' | 'evaluate'>;

/** The step with its templates replaced by their values. */
export function resolve(turn: Turn, node: Node): Resolved | { error: string } {
  const values = valuesFor(turn, node);
  if ('error' in values) return values;
  const evaluate = (field: string, variables: Record<string, unknown>): Evaluation => {
    const expression = node.expressions.get(field);
    if (!expression) return { error: `${field} is no expression` };
    return expression.evaluate({ ...values, variables: { ...values.variables, ...variables } });
  };
  if (node.templates.size === 0) return { spec: node.spec, evaluate };
  const errors: string[] = [];
  const spec = turn.resolvers[node.type].resolve(node.spec, {
    text(field, text, escape) {
      const template = node.templates.get(field);
      const rendered = template ? renderTemplate(template, values, escape) : { text };
      if ('text' in rendered) return rendered.text;
      errors.push(`${field}: ${rendered.error}`);
      return '';
    },
    scalar(field, value) {
      const template = node.templates.get(field);
      const rendered = template ? renderScalar(template, values) : { value };
      if ('value' in rendered) return rendered.value;
      errors.push(`${field}: ${rendered.error}`);
      return '';
    },
  });
  return errors.length > 0 ? { error: errors.join('; ') } : { spec, evaluate };
}

/** What the expressions of a step can read. */
export function valuesFor(turn: Turn, node: Node): Values | { error: string } {
  const { graph, steps, status, timedOutAt } = turn;
  const phaseSoFar = () => turn.phase ?? outcomeOf(graph, steps, { ...status, timedOutAt });
  const phase = node.finally ? { phase: phaseSoFar() } : {};
  const values = valuesOf(turn, phase);
  if (!node.instance) return values;
  const items = itemsOf(turn, node.instance.of);
  if ('error' in items) return items;
  const { index } = node.instance;
  if (index >= items.items.length)
    return { error: `forEach gives ${items.items.length} items now, and gave more` };
  return { ...values, variables: { item: items.items[index], index } };
}

export function valuesOf({ run, steps, instances }: Turn, phase: { phase?: string }): Values {
  const { name, namespace, uid, params, trigger, workflow } = run;
  return {
    params,
    trigger,
    workflow: { name: workflow },
    run: { name, namespace, uid, ...phase },
    step: (name) => {
      const { phase = 'Pending', summary = '', outputs = {}, terraform, ansible } = steps.get(name) ?? {};
      const parts = instances.get(name);
      if (!parts) {
        return {
          phase,
          summary,
          outputs,
          ...(terraform ? { terraform } : {}),
          ...(ansible ? { ansible } : {}),
        };
      }
      const listOf = (member: 'outputs' | 'terraform' | 'ansible') =>
        parts.map((part) => steps.get(part.name)?.[member] ?? {});
      return {
        phase,
        summary,
        outputs: listOf('outputs'),
        terraform: listOf('terraform'),
        ansible: listOf('ansible'),
      };
    },
  };
}

/** The items of a step with `forEach`: they follow from what ended before it, so that they need not be kept. */
export function itemsOf(turn: Turn, node: Node): { items: readonly unknown[] } | { error: string } {
  const from = node.forEach?.items ?? [];
  if (!('evaluate' in from)) return { items: from };
  const values = valuesFor(turn, node);
  const result = 'error' in values ? values : from.evaluate(values);
  if ('error' in result) return { error: `forEach.expression: ${result.error}` };
  if (Array.isArray(result.value)) return { items: result.value };
  const text = JSON.stringify(result.value);
  return { error: `forEach.expression: must give a list, and gave ${cut(text, MAX_MESSAGE / 8)}` };
}

export function skip(turn: Turn, step: StepStatus, reason: string, message: string): void {
  const finishedAt = timeOf(turn.now);
  put(turn, { ...step, phase: 'Skipped', reason, message: cut(message, MAX_MESSAGE), finishedAt });
}

export function fail(turn: Turn, step: StepStatus, reason: string, message: string): void {
  put(turn, end(step, { outcome: 'Failed', reason, message, finishedAt: turn.now }, turn.now));
}
