import { accessOf, childrenOf, type Expr, isFunction } from './cel.ts';
import { didYouMean } from './suggest.ts';
import { ANY, listOf, mapOf, STRING, TYPE, type Type } from './type.ts';
import type { TypesOf } from './type-check.ts';

/** What an expression may read where it stands. */
export interface Scope {
  params: ReadonlyMap<string, Type>;
  /** Steps that have ended before it is evaluated. */
  before: ReadonlySet<string>;
  /** All steps of the workflow. */
  steps: ReadonlySet<string>;
  /** Steps that can never come before this one: itself, and those of `finally` behind it. */
  behind: ReadonlySet<string>;
  /** What the outputs of steps are, as far as it is known. */
  outputs: ReadonlyMap<string, Outputs>;
  /** Fields of `run`: in `finally` the phase is known. */
  run: readonly string[];
  /** Variables that are there beside those of every expression, for example `item`. */
  variables?: TypesOf;
}

/** What a step gives. */
export interface Outputs {
  type: Type;
  /** Whether it runs once for each item, and gives a list. */
  each: boolean;
}

/** What an expression reads. */
export interface References {
  variables: ReadonlySet<string>;
  steps: ReadonlySet<string>;
}

/** Deepest nesting of `map`, `filter`, `all`, `exists` and `exists_one` in each other. */
const MAX_NESTING = 2;

const MACROS = new Set(['all', 'exists', 'existsOne', 'exists_one', 'filter', 'map']);
const TYPES = new Set([
  'bool',
  'bytes',
  'double',
  'int',
  'list',
  'map',
  'null_type',
  'string',
  'type',
  'uint',
]);
const STEP_FIELDS = ['phase', 'outputs', 'summary', 'terraform', 'ansible'];
const TRIGGER_FIELDS = ['type', 'name', 'by', 'scheduledAt', 'git'];
const WORKFLOW_FIELDS = ['name'];
const VARIABLES = ['params', 'steps', 'run', 'workflow', 'trigger'];

/** A variable, or one member of it: `params`, `params.region`, `steps["check-env"]`. */
interface Reference {
  variable: string;
  /** Undefined for the whole variable; null when the member is only known at run time. */
  member?: string | null;
}

interface Walk {
  scope: Scope;
  problems: Set<string>;
  variables: Set<string>;
  steps: Set<string>;
}

/** Checks every variable, member, step and function that an expression names, and its nesting. */
export function checkReferences(
  expr: Expr,
  source: string,
  scope: Scope,
): { problems: string[]; references: References } {
  const walk: Walk = { scope, problems: new Set(), variables: new Set(), steps: new Set() };
  visit(expr, walk, new Set(), 0);
  const problems = walk.problems.size > 0 ? (hyphenProblem(source, scope) ?? [...walk.problems]) : [];
  return { problems, references: walk };
}

/** `steps.check-env.phase` is a subtraction to CEL, whose error would make no sense to anybody. */
function hyphenProblem(source: string, { steps }: Scope): string[] | undefined {
  const name = [...steps].find((step) => step.includes('-') && source.includes(`steps.${step}`));
  if (name === undefined) return undefined;
  return [`reads steps.${name} as a subtraction because of the "-": write steps["${name}"]`];
}

function visit(expr: Expr, walk: Walk, locals: ReadonlySet<string>, nesting: number): void {
  const reference = referenceOf(expr, locals);
  if (reference) checkReference(reference, walk);
  else checkNode(expr, walk, locals);
  if (expr.exprKind.case === 'comprehensionExpr') {
    visitComprehension(expr, walk, locals, nesting + 1);
    return;
  }
  for (const child of childrenOf(expr)) {
    const isRoot =
      reference && child.exprKind.case === 'identExpr' && child.exprKind.value.name === reference.variable;
    if (!isRoot) visit(child, walk, locals, nesting);
  }
}

function visitComprehension(expr: Expr, walk: Walk, locals: ReadonlySet<string>, nesting: number): void {
  if (expr.exprKind.case !== 'comprehensionExpr') return;
  if (nesting > MAX_NESTING) {
    walk.problems.add(
      `nests map, filter, all or exists deeper than ${MAX_NESTING}: move the work into a script step`,
    );
    return;
  }
  const { iterRange, iterVar, accuVar, accuInit, loopCondition, loopStep, result } = expr.exprKind.value;
  const inner = new Set([...locals, iterVar, accuVar]);
  if (iterRange) visit(iterRange, walk, locals, nesting - 1);
  for (const part of [accuInit, loopCondition, loopStep, result]) if (part) visit(part, walk, inner, nesting);
}

function referenceOf(expr: Expr, locals: ReadonlySet<string>): Reference | undefined {
  const kind = expr.exprKind;
  if (kind.case === 'identExpr') {
    const { name } = kind.value;
    return locals.has(name) || TYPES.has(name) ? undefined : { variable: name };
  }
  const access = accessOf(expr);
  const root = access && referenceOf(access.operand, locals);
  return root && root.member === undefined ? { ...root, member: access.member } : undefined;
}

function checkReference({ variable, member }: Reference, walk: Walk): void {
  const { scope, problems } = walk;
  walk.variables.add(variable);
  switch (variable) {
    case 'steps':
      checkStep(member, walk);
      return;
    case 'params':
      if (typeof member !== 'string' || scope.params.has(member)) return;
      problems.add(
        `reads params.${member}, which the workflow does not declare: add it to spec.params.${didYouMean(member, scope.params.keys())}`,
      );
      return;
    case 'run':
      checkField('run', member, scope.run, problems);
      return;
    case 'workflow':
      checkField('workflow', member, WORKFLOW_FIELDS, problems);
      return;
    case 'trigger':
      checkField('trigger', member, TRIGGER_FIELDS, problems);
      return;
    default:
      checkVariable(variable, walk);
  }
}

function checkVariable(name: string, { scope, problems }: Walk): void {
  const known = [...VARIABLES, ...Object.keys(scope.variables ?? {})];
  if (known.includes(name)) return;
  const list = `${known.slice(0, -1).join(', ')} and ${known.at(-1)}`;
  problems.add(`reads ${name}, which is not known here: there are ${list}.${quoteHint(name)}`);
}

const quoteHint = (word: string) => ` Text is written in quotes: "${word}".`;

function checkStep(name: string | null | undefined, { scope, steps, problems }: Walk): void {
  if (typeof name !== 'string') {
    problems.add('reads steps without naming one: write steps.<name> or steps["<name>"]');
    return;
  }
  steps.add(name);
  if (!scope.before.has(name)) problems.add(`reads step ${name}, ${whyNotBefore(name, scope)}`);
}

function whyNotBefore(name: string, { steps, behind }: Scope): string {
  if (!steps.has(name)) return `which does not exist.${didYouMean(name, steps)}`;
  if (behind.has(name)) return 'which never ends before this step starts: read a step that comes before';
  return `which need not have ended when this step starts: add ${name} to dependsOn`;
}

function checkField(
  owner: string,
  field: string | null | undefined,
  fields: readonly string[],
  problems: Set<string>,
): void {
  if (typeof field !== 'string' || fields.includes(field)) return;
  const why =
    owner === 'run' && field === 'phase' ? ', which is known in finally only' : ', which does not exist';
  problems.add(`reads ${owner}.${field}${why}: there is ${fields.join(', ')}.${didYouMean(field, fields)}`);
}

/** Checks a node that is no reference: fields of a step, functions, and what has no place in a workflow. */
function checkNode(expr: Expr, { problems }: Walk, locals: ReadonlySet<string>): void {
  const access = accessOf(expr);
  const owner = access && referenceOf(access.operand, locals);
  if (owner?.variable === 'steps' && typeof owner.member === 'string') {
    checkField(`steps.${owner.member}`, access?.member, STEP_FIELDS, problems);
  }
  const kind = expr.exprKind;
  if (kind.case === 'structExpr' && kind.value.messageName !== '') {
    problems.add(`makes a ${kind.value.messageName}, which is not known here`);
  }
  if (kind.case === 'callExpr') checkFunction(kind.value.function, problems);
}

function checkFunction(name: string, problems: Set<string>): void {
  if (!/^[A-Za-z]/.test(name) || isFunction(name)) return;
  if (name === 'has') problems.add('uses has() without a field: write has(steps.build.outputs.version)');
  else if (MACROS.has(name))
    problems.add(`uses ${name}() wrongly: write list.${name}(x, <expression with x>)`);
  else problems.add(`calls ${name}(), which is no function of CEL`);
}

/** The types of all that an expression may read. Of steps there may be hundreds, and these are those that it does read. */
export function typesIn({ params, outputs, run, variables }: Scope, { steps }: References): TypesOf {
  const texts = (fields: readonly string[]) =>
    mapOf(Object.fromEntries(fields.map((field) => [field, STRING])));
  return {
    ...Object.fromEntries([...TYPES].map((name) => [name, TYPE])),
    ...variables,
    params: mapOf(Object.fromEntries(params)),
    run: texts(run),
    workflow: texts(WORKFLOW_FIELDS),
    trigger: mapOf(
      Object.fromEntries(TRIGGER_FIELDS.map((field) => [field, field === 'git' ? mapOf() : STRING])),
    ),
    steps: mapOf(Object.fromEntries([...steps].map((name) => [name, stepType(outputs.get(name))]))),
  };
}

function stepType({ type, each }: Outputs = { type: ANY, each: false }): Type {
  const given = (one: Type) => (each ? listOf(one) : one);
  return mapOf({
    phase: STRING,
    summary: STRING,
    outputs: given(type),
    terraform: given(ANY),
    ansible: given(ANY),
  });
}
