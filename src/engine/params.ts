import type { Scalar } from '../api/common.ts';
import type { Param } from '../api/param.ts';
import { wholeMatch } from './cel.ts';
import type { Problem } from './model.ts';
import { didYouMean } from './suggest.ts';
import { cut, MAX_QUOTE } from './text.ts';

/**
 * The values of a run's parameters: what it was given, and defaults. A parameter with neither is absent.
 *
 * @param params what the workflow declares
 * @param given what the run's `spec.params` holds
 */
export function resolveParams(
  params: readonly Param[],
  given: Readonly<Record<string, Scalar>>,
): { ok: true; values: Record<string, Scalar> } | { ok: false; problems: Problem[] } {
  const declared = new Map(params.map((param) => [param.name, param]));
  const problems = [
    ...unknownParams(declared, given),
    ...params.flatMap((param) => valueProblems(param, given)),
  ];
  if (problems.length > 0) return { ok: false, problems };
  const values = params.flatMap((param) => {
    const value = givenValue(given, param.name) ?? param.default;
    return value === undefined ? [] : [[param.name, value] as const];
  });
  return { ok: true, values: Object.fromEntries(values) };
}

const givenValue = (given: Readonly<Record<string, Scalar>>, name: string): Scalar | undefined =>
  Object.hasOwn(given, name) ? given[name] : undefined;

function unknownParams(
  declared: ReadonlyMap<string, Param>,
  given: Readonly<Record<string, Scalar>>,
): Problem[] {
  const unknown = Object.keys(given).filter((name) => !declared.has(name));
  const known = declared.size === 0 ? 'it takes none' : `it takes ${[...declared.keys()].join(', ')}`;
  return unknown.map((name) => ({
    field: `spec.params.${name}`,
    message: `is no parameter of the workflow: ${known}.${didYouMean(name, declared.keys())}`,
  }));
}

function valueProblems(param: Param, given: Readonly<Record<string, Scalar>>): Problem[] {
  const field = `spec.params.${param.name}`;
  const value = givenValue(given, param.name);
  if (value !== undefined) return checkValue(param, value).map((message) => ({ field, message }));
  if (!param.required) return [];
  const what = param.description === undefined ? '' : ` (${param.description})`;
  return [{ field, message: `is required${what}: give a ${param.type}` }];
}

/** What is wrong with the declaration itself; `field` is its path. */
export function checkParam(param: Param, field: string): Problem[] {
  if (param.pattern !== undefined && wholeMatch(param.pattern) === undefined) {
    const message = 'is no regular expression in RE2 syntax, which has no look-around and no back-references';
    return [{ field: `${field}.pattern`, message }];
  }
  const { enum: allowed, ...rest } = param;
  const entries = (allowed ?? []).flatMap((value, index) =>
    checkValue(rest, value).map((message) => ({ field: `${field}.enum[${index}]`, message })),
  );
  if (param.default === undefined) return entries;
  const fallback = entries.length > 0 ? rest : param;
  return [
    ...entries,
    ...checkValue(fallback, param.default).map((message) => ({ field: `${field}.default`, message })),
  ];
}

/** Sentences about what keeps a value from being one of this parameter. */
export function checkValue({ type, enum: allowed, pattern }: Omit<Param, 'name'>, value: Scalar): string[] {
  const text = JSON.stringify(value);
  if (typeof value !== type) {
    const quotes =
      type === 'string'
        ? ': write it in quotes'
        : typeof value === 'string'
          ? ': write it without quotes'
          : '';
    return [`must be a ${type}, and ${cut(text, MAX_QUOTE)} is a ${typeof value}${quotes}`];
  }
  if (allowed && !allowed.includes(value)) {
    return [
      `must be one of ${allowed.map((entry) => JSON.stringify(entry)).join(', ')}, and is ${cut(text, MAX_QUOTE)}`,
    ];
  }
  // The engine of CEL takes linear time: no pattern can hold the operator up.
  if (pattern !== undefined && typeof value === 'string' && wholeMatch(pattern)?.(value) !== true) {
    return [`must match ${pattern} as a whole, and is ${cut(text, MAX_QUOTE)}`];
  }
  return [];
}
