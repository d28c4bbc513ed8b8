import { parseDuration } from '../api/common.ts';
import { type FinallyStep, type Step, stepTypeOf } from '../api/step.ts';
import { type WorkflowSpec, workflowSpec } from '../api/workflow.ts';
import { placeApprovals } from './approval-graph.ts';
import { compileStep, type Resolvers } from './compile-step.ts';
import { compileExpression, type Expression } from './expression.ts';
import type { Graph, Node, Notification, NotificationEvent, Problem } from './model.ts';
import { type Listed, listSteps } from './listed.ts';
import { ancestorsOf, dependencies, type Order, sortByDependency } from './order.ts';
import { checkParam } from './params.ts';
import { planProblems } from './plan-reference.ts';
import type { Outputs, Scope } from './references.ts';
import {
  approvalProblems,
  durationProblems,
  fieldProblems,
  nameProblems,
  retryProblems,
  schemaProblems,
} from './spec-problems.ts';
import { compileTemplate } from './template.ts';
import { ANY, DECLARED, type Type } from './type.ts';

const EVENTS = [
  'onStart',
  'onWaiting',
  'onApproved',
  'onRejected',
  'onExpired',
  'onSuccess',
  'onFailure',
] as const satisfies NotificationEvent[];
const RUN_FIELDS = ['name', 'namespace', 'uid'];

export type Compiled = { ok: true; graph: Graph } | { ok: false; problems: Problem[] };

/**
 * Checks a workflow and prepares it for execution. All problems are reported, each with the path of its field and
 * what to do about it.
 *
 * @param spec what the `spec` of a Workflow holds; nothing about it is taken for granted
 */
export function compile(spec: unknown, resolvers: Resolvers): Compiled {
  const parsed = workflowSpec.safeParse(spec);
  if (!parsed.success) return { ok: false, problems: schemaProblems(parsed.error) };
  const checks = [nameProblems, durationProblems, retryProblems, approvalProblems, fieldProblems];
  const problems = checks.flatMap((check) => check(parsed.data));
  // Steps that share a name, or durations that are none, would make the rest of the checks guess.
  if (problems.length > 0) return { ok: false, problems };
  return compileSteps(parsed.data, resolvers);
}

function compileSteps(spec: WorkflowSpec, resolvers: Resolvers): Compiled {
  const finallyNames = new Set((spec.finally ?? []).map(({ name }) => name));
  const order = dependencies(spec.steps, finallyNames);
  const sorted = sortByDependency(order.waitsFor);
  const problems = [
    ...order.problems,
    ...sorted.cycles.map((cycle) => cycleProblem(cycle, spec)),
    ...(spec.params ?? []).flatMap((param, index) => checkParam(param, `spec.params[${index}]`)),
  ];
  const scopeOf = scopes(spec, order.waitsFor, resolvers);
  const nodes = listSteps(spec).map((step) => nodeOf(step, { spec, order, scopeOf, resolvers, problems }));
  const parts = {
    notifications: compileNotifications(spec, scopeOf.whole, resolvers, problems),
    outputs: compileOutputs(spec, scopeOf.whole, problems),
    ...compileConcurrency(spec, scopeOf.none, problems),
  };
  if (problems.length > 0) return { ok: false, problems };
  const placed = placeApprovals(nodes);
  if (placed.problems.length > 0) return { ok: false, problems: placed.problems };
  return { ok: true, graph: { ...graphOf(spec, placed.nodes, sorted.order), ...parts } };
}

function graphOf(
  spec: WorkflowSpec,
  nodes: Node[],
  order: readonly string[],
): Pick<Graph, 'nodes' | 'order' | 'timeout'> {
  const rank = new Map(order.map((name, index) => [name, index]));
  const rankOf = (node: Node) => rank.get(node.name) ?? Number.POSITIVE_INFINITY;
  const main = nodes.filter((node) => !node.finally).sort((a, b) => rankOf(a) - rankOf(b));
  return {
    nodes,
    order: [...main, ...nodes.filter((node) => node.finally)],
    ...(spec.timeout === undefined ? {} : { timeout: parseDuration(spec.timeout) }),
  };
}

function cycleProblem(cycle: readonly string[], spec: WorkflowSpec): Problem {
  const path = [...cycle, cycle[0]].join(' waits for ');
  const index = spec.steps.findIndex(({ name }) => name === cycle[0]);
  return {
    field: `spec.steps[${index}].dependsOn`,
    message: `makes steps wait for each other: ${path}. Remove one of these dependencies`,
  };
}

interface Scopes {
  /** Main steps may read what comes before them, those of `finally` all but what is behind them. */
  of(step: Listed): Scope;
  /** When all steps have ended. */
  whole: Scope;
  /** Before the first step. */
  none: Scope;
}

function scopes(spec: WorkflowSpec, waitsFor: Order['waitsFor'], resolvers: Resolvers): Scopes {
  const params = new Map((spec.params ?? []).map(({ name, type }): [string, Type] => [name, DECLARED[type]]));
  const outputs = new Map(
    listSteps(spec).map(({ spec: step }): [string, Outputs] => [step.name, outputsOf(step, resolvers)]),
  );
  const main = spec.steps.map(({ name }) => name);
  const last = (spec.finally ?? []).map(({ name }) => name);
  const steps = new Set([...main, ...last]);
  const late = [...RUN_FIELDS, 'phase'];
  return {
    of({ spec: { name }, finally: isFinally }) {
      if (!isFinally) {
        const before = ancestorsOf(name, waitsFor);
        return { params, outputs, steps, before, behind: new Set([name, ...last]), run: RUN_FIELDS };
      }
      const at = last.indexOf(name);
      const before = new Set([...main, ...last.slice(0, at)]);
      return { params, outputs, steps, before, behind: new Set(last.slice(at)), run: late };
    },
    whole: { params, outputs, steps, before: steps, behind: new Set(), run: late },
    none: { params, outputs, steps, before: new Set(), behind: steps, run: RUN_FIELDS },
  };
}

function outputsOf(step: Step | FinallyStep, resolvers: Resolvers): Outputs {
  const type = resolvers[stepTypeOf(step)].outputs?.(step) ?? ANY;
  return { type, each: step.forEach !== undefined };
}

interface Workshop {
  spec: WorkflowSpec;
  order: Order;
  scopeOf: Scopes;
  resolvers: Resolvers;
  problems: Problem[];
}

function nodeOf(step: Listed, { spec: workflow, order, scopeOf, resolvers, problems }: Workshop): Node {
  const { spec, field, finally: isFinally } = step;
  const last = workflow.finally ?? [];
  const previous = last[last.findIndex(({ name }) => name === spec.name) - 1]?.name;
  const finallyWaitsFor = previous === undefined ? [] : [previous];
  const branch = order.branches.get(spec.name);
  const scope = scopeOf.of(step);
  problems.push(...planProblems(spec, [...workflow.steps, ...last], scope, field));
  return {
    ...compileStep(spec, { field, scope, resolvers, problems, workflow }),
    waitsFor: isFinally ? finallyWaitsFor : (order.waitsFor.get(spec.name) ?? []),
    finally: isFinally,
    runIf: isFinally ? 'Always' : (('runIf' in spec ? spec.runIf : undefined) ?? 'Success'),
    ...(branch ? { branch } : {}),
  };
}

/** Notifications are carried out like steps, beside the graph: nothing waits for them. */
function compileNotifications(
  workflow: WorkflowSpec,
  scope: Scope,
  resolvers: Resolvers,
  problems: Problem[],
): Notification[] {
  return EVENTS.flatMap((event) =>
    (workflow.notifications?.[event] ?? []).map((notification, index) => {
      const field = `spec.notifications.${event}[${index}]`;
      const spec = { name: `${event}[${index}]`, ...notification };
      const compiled = compileStep(spec, { field, scope, resolvers, problems, workflow });
      return { event, node: { ...compiled, waitsFor: [], finally: true, runIf: 'Always', forgiven: true } };
    }),
  );
}

function compileOutputs(spec: WorkflowSpec, scope: Scope, problems: Problem[]): Map<string, Expression> {
  const outputs = new Map<string, Expression>();
  for (const [name, source] of Object.entries(spec.outputs ?? {})) {
    const compiled = compileExpression(source, scope);
    if (compiled.ok) outputs.set(name, compiled.expression);
    else problems.push(...compiled.problems.map((message) => ({ field: `spec.outputs.${name}`, message })));
  }
  return outputs;
}

function compileConcurrency(
  { concurrency }: WorkflowSpec,
  scope: Scope,
  problems: Problem[],
): Pick<Graph, 'concurrency'> {
  if (!concurrency) return {};
  const { key, policy, limit } = concurrency;
  const compiled = key === undefined ? undefined : compileTemplate(key, scope);
  if (compiled?.ok === false) {
    problems.push(...compiled.problems.map((message) => ({ field: 'spec.concurrency.key', message })));
  }
  return {
    concurrency: {
      policy,
      ...(compiled?.ok ? { key: compiled.template } : {}),
      ...(limit === undefined ? {} : { limit }),
    },
  };
}
