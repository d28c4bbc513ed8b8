import { accessOf, childrenOf, type Expr, textOf } from './cel.ts';
import type { Values } from './expression.ts';
import { cut, MAX_QUOTE } from './text.ts';

/** Longest error of the evaluator that is passed on; some repeat the value. */
const MAX_ERROR = 256;

const OPERATORS: Record<string, string> = { '!_': '!', '-_': '-', '@in': 'in', '_?_:_': '?' };

/** Turns an error of the evaluator into a sentence for the people who wrote the expression. */
export function explain(
  { error, node }: { error: string; node?: bigint },
  expr: Expr,
  values: Pick<Values, 'step'>,
): string {
  const [, missing] = /^field not found: (.*)$/s.exec(error) ?? [];
  if (missing !== undefined) return explainMissing(missing, ownerOf(expr, missing, node), values);
  const overload = /^found no matching overload for '?(.*?)'? applied to '(?:(.*)\.)?\((.*)\)'$/s.exec(error);
  if (overload) {
    const [, name = '', target, types = ''] = overload;
    return typeMismatch(name, target, types);
  }
  const [, got] = /^type mismatch: expected bool, got (.*)$/s.exec(error) ?? [];
  if (got !== undefined) return `&& and || work on true and false, and got a value of type ${got}`;
  const [, index] = /^index (.*) out of bounds/.exec(error) ?? [];
  if (index !== undefined) return `there is no entry ${index} in the list: guard it with size()`;
  const [, text] = /^Cannot convert (.*) to a BigInt$/s.exec(error) ?? [];
  return text === undefined ? cut(error, MAX_ERROR) : `"${cut(text, MAX_QUOTE)}" is no whole number`;
}

/** Says that a function or an operator does not take these types. */
export function typeMismatch(name: string, target: string | undefined, types: string): string {
  const hint = 'convert with int(), double() or string()';
  if (/^\w*[a-z]\w*$/i.test(name)) {
    return `${name}() does not take (${types})${target === undefined ? '' : ` on a ${target}`}: ${hint}`;
  }
  return `${OPERATORS[name] ?? name.replaceAll('_', '')} does not work on (${types}): ${hint}`;
}

/** What lacks the member. The evaluator blames the access itself, or only the variable where it began. */
function ownerOf(expr: Expr, missing: string, node: bigint | undefined): string | undefined {
  const accesses = nodesOf(expr).flatMap((place) => {
    const access = accessOf(place);
    return access ? [{ ...access, id: place.id }] : [];
  });
  const named = accesses.filter(({ member }) => member === missing);
  const blamed =
    named.find(({ id }) => id === node) ?? named[0] ?? accesses.find(({ member }) => member === null);
  return blamed && textOf(blamed.operand);
}

function nodesOf(expr: Expr): Expr[] {
  return [expr, ...childrenOf(expr).flatMap(nodesOf)];
}

function explainMissing(name: string, owner: string | undefined, { step }: Pick<Values, 'step'>): string {
  if (owner === undefined) return `${name} is not there: guard it with has()`;
  const path = /^[A-Za-z_]\w*$/.test(name) ? `${owner}.${name}` : `${owner}["${name}"]`;
  if (owner === 'params') {
    return `${path} is not there: the run gave no value and there is no default; guard it with has()`;
  }
  const [, dotted, quoted] = /^steps(?:\.(\w+)|\["([^"]+)"\])\.outputs$/.exec(owner) ?? [];
  const stepName = dotted ?? quoted;
  if (stepName === undefined) return `${path} is not there: guard it with has()`;
  const why =
    step(stepName).phase === 'Skipped'
      ? `step ${stepName} was skipped`
      : `step ${stepName} gave no output named ${name}`;
  return `${path} is not there: ${why}; guard it with has()`;
}
