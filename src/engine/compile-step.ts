import { parseDuration } from '../api/common.ts';
import { MAX_INSTANCES } from '../api/for-each.ts';
import {
  type FinallyStep,
  gracePeriodOf,
  type Step,
  type StepTypeName,
  stepTypeOf,
  timeoutOf,
} from '../api/step.ts';
import type { WorkflowSpec } from '../api/workflow.ts';
import { compileExpression, type Expression } from './expression.ts';
import type { ForEachPlan, Node, Problem, StepResolver } from './model.ts';
import type { Scope } from './references.ts';
import { compileTemplate, type Template } from './template.ts';
import { ANY, BOOLEAN, DECLARED, INTEGER, joinAll, listOf, type Type } from './type.ts';
import type { TypesOf } from './type-check.ts';

const DEFAULT_PENDING_TIMEOUT = '5m';

export type Resolvers = Readonly<Record<StepTypeName, StepResolver>>;

interface Place {
  /** Path of the step in the workflow. */
  field: string;
  scope: Scope;
  resolvers: Resolvers;
  /** What is wrong is added here. */
  problems: Problem[];
  workflow: WorkflowSpec;
}

/** A step as far as it can be told without its place in the graph. */
export function compileStep(
  spec: Step | FinallyStep,
  place: Place,
): Omit<Node, 'waitsFor' | 'finally' | 'runIf'> {
  const { field, scope, resolvers, workflow } = place;
  const type = stepTypeOf(spec);
  const pending = spec.pod?.pendingTimeout ?? workflow.podDefaults?.pendingTimeout ?? DEFAULT_PENDING_TIMEOUT;
  const compiler = createCompiler(place);
  const inner = spec.forEach ? withVariables(scope, instanceVariables(spec.forEach)) : scope;
  const when = spec.when === undefined ? undefined : compiler.expression('when', spec.when, scope, BOOLEAN);
  const forEach = spec.forEach && compileForEach(spec.forEach, compiler, scope);
  const resolver = resolvers[type];
  return {
    name: spec.name,
    type,
    kind: resolver.kind,
    spec,
    field,
    forgiven: spec.continueOnError ?? resolver.forgives?.(spec) ?? false,
    ...(when ? { when } : {}),
    ...(forEach ? { forEach } : {}),
    templates: compiler.templates(spec, resolver, inner),
    expressions: compiler.expressions(spec, resolver, inner),
    timeout: timeoutOf(spec),
    pendingTimeout: parseDuration(pending),
    gracePeriod: gracePeriodOf(spec),
  };
}

const withVariables = (scope: Scope, variables: TypesOf): Scope => ({
  ...scope,
  variables: { ...scope.variables, ...variables },
});

/** What the strings and expressions of an instance can read beside the rest. */
function instanceVariables({ items }: NonNullable<Step['forEach']>): TypesOf {
  const types = items?.map((item) => DECLARED[typeof item as 'string' | 'number' | 'boolean']);
  return { item: types ? joinAll(types) : ANY, index: INTEGER };
}

type Compiler = ReturnType<typeof createCompiler>;

function createCompiler({ field, problems }: Place) {
  const report = (at: string, messages: readonly string[]) =>
    void problems.push(...messages.map((message) => ({ field: `${field}.${at}`, message })));

  function expression(at: string, source: string, scope: Scope, needed: Type = ANY): Expression | undefined {
    const compiled = compileExpression(source, scope, needed);
    if (compiled.ok) return compiled.expression;
    report(at, compiled.problems);
    return undefined;
  }

  return {
    report,
    expression,

    templates(spec: Step | FinallyStep, resolver: StepResolver, scope: Scope): Map<string, Template> {
      const templates = new Map<string, Template>();
      const text = (at: string, source: string): string => {
        const compiled = source.includes('${{') ? compileTemplate(source, scope) : undefined;
        if (compiled?.ok) templates.set(at, compiled.template);
        else if (compiled) report(at, compiled.problems);
        return source;
      };
      const scalar = (at: string, value: string | number | boolean) =>
        typeof value === 'string' ? text(at, value) : value;
      resolver.resolve(spec, { text, scalar });
      return templates;
    },

    expressions(spec: Step | FinallyStep, resolver: StepResolver, scope: Scope): Map<string, Expression> {
      const declared = resolver.expressions?.(spec) ?? [];
      const compiled = declared.map(({ field: at, source, variables, needed }) => {
        return [at, expression(at, source, withVariables(scope, variables), needed)] as const;
      });
      return new Map(compiled.filter((entry): entry is [string, Expression] => entry[1] !== undefined));
    },
  };
}

function compileForEach(spec: NonNullable<Step['forEach']>, compiler: Compiler, scope: Scope): ForEachPlan {
  const { items, expression: source, key: keySource, maxParallel, failFast } = spec;
  const expression =
    source === undefined ? undefined : compiler.expression('forEach.expression', source, scope, listOf(ANY));
  const key =
    keySource === undefined
      ? undefined
      : compiler.expression('forEach.key', keySource, withVariables(scope, instanceVariables(spec)));
  const template = (items ?? []).findIndex((item) => typeof item === 'string' && item.includes('${{'));
  if (template >= 0) {
    const hint =
      'is taken as it stands, without ${{ }}: use forEach.expression for a list that is worked out';
    compiler.report(`forEach.items[${template}]`, [hint]);
  }
  return {
    items: expression ?? items ?? [],
    maxParallel: maxParallel ?? MAX_INSTANCES,
    failFast: failFast !== false,
    ...(key ? { key } : {}),
  };
}
