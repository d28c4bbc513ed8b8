import type { Scalar } from '../api/common.ts';
import type { WorkflowRunTrigger } from '../api/workflow-run.ts';
import { type Evaluated, type Expr, planCel } from './cel.ts';
import { explain } from './explain.ts';
import { parsedCel } from './parsed.ts';
import { checkReferences, type References, type Scope, typesIn } from './references.ts';
import { ANY, mayBe, nameOf, type Type } from './type.ts';
import { type TypesOf, typeOf } from './type-check.ts';

/** Longest source, in bytes of UTF-8. */
const MAX_SOURCE = 1024;
/** Most nodes of the parsed expression, macros expanded. */
const MAX_NODES = 200;

/** What expressions can read of a step that has ended. */
export interface StepValues {
  phase: string;
  summary: string;
  /** By name; of a step with forEach the list of what its instances gave. */
  outputs: Record<string, unknown> | readonly Record<string, unknown>[];
  /** What a step of this type did; of one with forEach the list of what its instances did. */
  terraform?: unknown;
  ansible?: unknown;
}

/** What expressions can read. */
export interface Values {
  params: Record<string, Scalar>;
  trigger: WorkflowRunTrigger;
  run: { name: string; namespace: string; uid: string; phase?: string };
  workflow: { name: string };
  /** A step that comes before the one that asks. */
  step: (name: string) => StepValues;
  /** What else is there, by name, for example `item`. */
  variables?: Record<string, unknown>;
}

/** What an expression comes to; the error is a sentence. */
export type Evaluation = { value: unknown } | { error: string };

/** An expression that passed every check, planned once and evaluated often. */
export interface Expression {
  source: string;
  /** Never throws; the error is a sentence that says what is missing and how to guard against it. */
  evaluate(values: Values): Evaluation;
}

/**
 * Parses, bounds and checks a CEL expression against what is known where it stands.
 * The problems are sentences that say what is wrong and how to mend it.
 *
 * @param needed the type of the value that is of use there
 */
export function compileExpression(
  source: string,
  scope: Scope,
  needed: Type = ANY,
): { ok: true; expression: Expression } | { ok: false; problems: string[] } {
  if (new TextEncoder().encode(source).length > MAX_SOURCE) {
    return refuse(`is longer than ${MAX_SOURCE} bytes: move the work into a script step`);
  }
  if (source.trimStart().startsWith('${{'))
    return refuse('is an expression already: write it without ${{ }}');
  const parsed = parsedCel(source);
  if ('error' in parsed) {
    const hint = /\.\?|\[\?/.test(source) ? '; for what may be absent write has(a.b) ? a.b : "default"' : '';
    return refuse(`is not a CEL expression: ${parsed.error}${hint}`);
  }
  const { expr, nodes } = parsed;
  if (nodes > MAX_NODES) {
    return refuse(
      `has ${nodes} parts, more than ${MAX_NODES} (macros such as map count about 10): move the work into a script step`,
    );
  }
  const { problems, references } = checkReferences(expr, source, scope);
  if (problems.length > 0) return { ok: false, problems };
  const mismatches = typeProblems(expr, typesIn(scope, references), needed);
  if (mismatches.length > 0) return { ok: false, problems: mismatches };
  return { ok: true, expression: expressionOf(source, expr, references) };
}

function typeProblems(expr: Expr, types: TypesOf, needed: Type): string[] {
  const problems = new Set<string>();
  const type = typeOf(expr, types, problems);
  if (problems.size === 0 && !mayBe(type, needed))
    problems.add(`gives a ${nameOf(type)}, and what is needed here is a ${nameOf(needed)}`);
  return [...problems];
}

const refuse = (problem: string) => ({ ok: false as const, problems: [problem] });

function expressionOf(source: string, expr: Expr, references: References): Expression {
  const run = planCel(expr);
  const evaluate = (values: Values): Evaluated => run(bindings(values, references));
  return {
    source,
    evaluate(values) {
      const result = evaluate(values);
      return 'error' in result ? { error: explain(result, expr, values) } : result;
    },
  };
}

/** Only what the expression reads is converted: a run may have 500 steps. */
function bindings(values: Values, read: References): Record<string, unknown> {
  const { params, trigger, run, workflow, variables } = values;
  const steps = Object.fromEntries([...read.steps].map((name) => [name, values.step(name)]));
  const all = Object.entries({ ...variables, params, trigger, run, workflow, steps });
  return Object.fromEntries(all.filter(([name]) => read.variables.has(name)));
}
