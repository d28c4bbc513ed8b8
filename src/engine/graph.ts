import { parseDuration } from '../api/common.ts';
import { DEFAULT_TIMEOUT, type FinallyStep, type Step, type StepTypeName, stepTypeOf } from '../api/step.ts';
import { type WorkflowSpec, workflowSpec } from '../api/workflow.ts';
import { compileExpression, type Expression } from './expression.ts';
import type { Graph, Node, Problem, StepResolver } from './model.ts';
import { ancestorsOf, dependencies, sortByDependency } from './order.ts';
import { checkParam } from './params.ts';
import type { Scope } from './references.ts';
import { durationProblems, nameProblems, retryProblems, schemaProblems } from './spec-problems.ts';
import { compileTemplate, type Template } from './template.ts';

const DEFAULT_PENDING_TIMEOUT = '5m';

/** Steps of a workflow before their place is known. */
interface Listed {
  spec: Step | FinallyStep;
  field: string;
  finally: boolean;
}

export type Compiled = { ok: true; graph: Graph } | { ok: false; problems: Problem[] };

/**
 * Checks a workflow and prepares it for execution. All problems are reported, each with the path of its field and
 * what to do about it.
 *
 * @param spec what the `spec` of a Workflow holds; nothing about it is taken for granted
 */
export function compile(spec: unknown, resolvers: Readonly<Record<StepTypeName, StepResolver>>): Compiled {
  const parsed = workflowSpec.safeParse(spec);
  if (!parsed.success) return { ok: false, problems: schemaProblems(parsed.error) };
  const problems = [nameProblems, durationProblems, retryProblems].flatMap((check) => check(parsed.data));
  // Steps that share a name, or durations that are none, would make the rest of the checks guess.
  if (problems.length > 0) return { ok: false, problems };
  return compileSteps(parsed.data, resolvers);
}

function compileSteps(spec: WorkflowSpec, resolvers: Readonly<Record<StepTypeName, StepResolver>>): Compiled {
  const listed = listSteps(spec);
  const finallyNames = new Set((spec.finally ?? []).map(({ name }) => name));
  const { waitsFor, problems } = dependencies(spec.steps, finallyNames);
  const { order, cycles } = sortByDependency(waitsFor);
  problems.push(...cycles.map((cycle) => cycleProblem(cycle, spec)));
  problems.push(...(spec.params ?? []).flatMap((param, index) => checkParam(param, `spec.params[${index}]`)));
  const scopeOf = scopes(spec, waitsFor);
  const nodes = listed.map((step) => {
    const parts = compileStep(step, scopeOf(step), resolvers, problems);
    return nodeOf(step, spec, waitsFor, parts);
  });
  if (problems.length > 0) return { ok: false, problems };
  return { ok: true, graph: graphOf(spec, nodes, order) };
}

function listSteps(spec: WorkflowSpec): Listed[] {
  const main = spec.steps.map((step, index) => ({
    spec: step,
    field: `spec.steps[${index}]`,
    finally: false,
  }));
  const last = (spec.finally ?? []).map((step, index) => {
    return { spec: step, field: `spec.finally[${index}]`, finally: true };
  });
  return [...main, ...last];
}

function graphOf(spec: WorkflowSpec, nodes: Node[], order: readonly string[]): Graph {
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

/** What each step may read: main steps what comes before them, those of `finally` all but what is behind them. */
function scopes(spec: WorkflowSpec, waitsFor: ReadonlyMap<string, string[]>): (step: Listed) => Scope {
  const params = new Set((spec.params ?? []).map(({ name }) => name));
  const main = spec.steps.map(({ name }) => name);
  const last = (spec.finally ?? []).map(({ name }) => name);
  const steps = new Set([...main, ...last]);
  const run = ['name', 'namespace', 'uid'];
  return ({ spec: { name }, finally: isFinally }) => {
    if (!isFinally) {
      const before = ancestorsOf(name, waitsFor);
      return { params, steps, before, behind: new Set([name, ...last]), run };
    }
    const at = last.indexOf(name);
    const before = new Set([...main, ...last.slice(0, at)]);
    return { params, steps, before, behind: new Set(last.slice(at)), run: [...run, 'phase'] };
  };
}

interface Parts {
  when?: Expression;
  templates: ReadonlyMap<string, Template>;
}

/** Parses `when` and every template that the step's type knows of. */
function compileStep(
  { spec, field }: Listed,
  scope: Scope,
  resolvers: Readonly<Record<StepTypeName, StepResolver>>,
  problems: Problem[],
): Parts {
  const report = (at: string, messages: readonly string[]) =>
    problems.push(...messages.map((message) => ({ field: `${field}.${at}`, message })));
  const templates = new Map<string, Template>();
  resolvers[stepTypeOf(spec)].resolve(spec, (at, text) => {
    const compiled = text.includes('${{') ? compileTemplate(text, scope) : undefined;
    if (compiled?.ok) templates.set(at, compiled.template);
    else if (compiled) report(at, compiled.problems);
    return text;
  });
  if (spec.when === undefined) return { templates };
  const compiled = compileExpression(spec.when, scope);
  if (compiled.ok) return { when: compiled.expression, templates };
  report('when', compiled.problems);
  return { templates };
}

function nodeOf(
  { spec, field, finally: isFinally }: Listed,
  workflow: WorkflowSpec,
  waitsFor: ReadonlyMap<string, string[]>,
  parts: Parts,
): Node {
  const pending = spec.pod?.pendingTimeout ?? workflow.podDefaults?.pendingTimeout ?? DEFAULT_PENDING_TIMEOUT;
  const last = workflow.finally ?? [];
  const previous = last[last.findIndex(({ name }) => name === spec.name) - 1]?.name;
  const finallyWaitsFor = previous === undefined ? [] : [previous];
  return {
    name: spec.name,
    type: stepTypeOf(spec),
    spec,
    field,
    waitsFor: isFinally ? finallyWaitsFor : (waitsFor.get(spec.name) ?? []),
    finally: isFinally,
    runIf: isFinally ? 'Always' : (('runIf' in spec ? spec.runIf : undefined) ?? 'Success'),
    ...parts,
    timeout: parseDuration(spec.timeout ?? DEFAULT_TIMEOUT),
    pendingTimeout: parseDuration(pending),
  };
}
