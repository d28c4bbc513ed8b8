import {
  type CelFunc,
  type CelInput,
  CelScalar,
  type CelType,
  type CelValue,
  celEnv,
  celFunc,
  celMethod,
  isCelError,
  isCelList,
  isCelMap,
  isCelType,
  isCelUint,
  parse,
  plan,
  unparse,
} from '@bufbuild/cel';
import { strings } from '@bufbuild/cel/ext';

export type { CelType };

/** A node of a parsed expression. */
export type Expr = ReturnType<typeof parse>['expr'];

/** What an evaluation gives: a plain JavaScript value, or why there is none and at which node. */
export type Evaluated = { value: unknown } | { error: string; node?: bigint };

/** The longest list that a comprehension goes through. */
const MAX_ENTRIES = 256;
/** What one evaluation may cost, in node visits of about 50 ns. */
const MAX_COST = 1_000_000;
/** The longest text that a value may come to, in characters. */
const MAX_TEXT = 65_536;

/** String functions beside those of the standard. The library's own `replace` takes quadratic time. */
const STRING_FUNCTIONS = new Set([
  'charAt',
  'indexOf',
  'join',
  'lastIndexOf',
  'lowerAscii',
  'split',
  'substring',
  'trim',
  'upperAscii',
]);

const { BOOL, DYN, INT, STRING } = CelScalar;

const replace = celMethod('replace', STRING, [STRING, STRING], STRING, function (from, to) {
  return this.replaceAll(from, () => to);
});

/** What the evaluation under way has cost. Evaluation is synchronous, so there is only ever one. */
let cost = 0;

function charge(units: number): void {
  cost += units;
  if (cost > MAX_COST) throw new Error('it does too much work: use shorter lists and texts');
}

/** Letters that a value is worth: an entry of a list costs about as much to compare as 16 of them. */
function length(value: CelValue | undefined): number {
  if (typeof value === 'string') return value.length;
  return isCelList(value) ? value.size * 16 : 0;
}

/** Node visits that a call is worth: work on texts grows with their length, or with the product of two. */
function price(name: string, target: CelValue | undefined, args: CelValue[]): number {
  const [first, second] = args;
  const letters = args.reduce((sum: number, arg) => sum + length(arg), length(target));
  switch (name) {
    case 'matches':
      return 100 + (length(target) * length(first)) / 8;
    case 'replace':
      return (letters + (length(target) * length(second)) / Math.max(1, length(first))) / 4;
    case 'join':
      return isCelList(target) ? [...target].reduce((sum: number, text) => sum + 1 + length(text) / 4, 0) : 1;
    default:
      return letters / (/^\w*[a-z]/i.test(name) ? 4 : 64);
  }
}

/** The same function, paid for at each call. */
function priced(func: CelFunc): CelFunc {
  const call: CelFunc['call'] = (id, target, args) => {
    charge(price(func.name, target, args));
    return func.call(id, target, args);
  };
  return Object.create(func, { call: { value: call } });
}

const environment = celEnv({
  funcs: [
    ...[...celEnv().funcs, ...strings.filter(({ name }) => STRING_FUNCTIONS.has(name)), replace].map(priced),
    celFunc('@turn', [BOOL, INT], BOOL, (goOn, nodes) => {
      charge(Number(nodes));
      return goOn;
    }),
    celFunc('@entries', [DYN], DYN, (range) => {
      const size = isCelList(range) || isCelMap(range) ? range.size : 0;
      if (size <= MAX_ENTRIES) return range;
      throw new Error(`a list of ${size} entries is too long to go through: at most ${MAX_ENTRIES}`);
    }),
  ],
});

/** The forms of a function or an operator, by the types that each takes and gives. */
export type Overload = Pick<CelFunc, 'target' | 'arguments' | 'result'>;

export const overloadsOf = (name: string): readonly Overload[] => [...(environment.funcs.find(name) ?? [])];

/** Whether expressions can call this function. */
export const isFunction = (name: string): boolean => environment.funcs.find(name) !== undefined;

/** The expression as text, for messages; what macros were made into can not be written, and is an ellipsis. */
export function textOf(expr: Expr): string {
  try {
    return unparse(expr);
  } catch {
    return '(…)';
  }
}

/** Parses an expression. The error says what is wrong at which column. */
export function parseCel(source: string): { expr: Expr } | { error: string } {
  try {
    return { expr: parse(source).expr };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    const [, column, found] = /<input>:\d+:(\d+): (.*)/s.exec(text) ?? [];
    return { error: column === undefined ? text : `${found} at column ${column}` };
  }
}

/** The nodes directly below a node. */
export function childrenOf(expr: Expr): Expr[] {
  const kind = expr.exprKind;
  switch (kind.case) {
    case 'selectExpr':
      return present([kind.value.operand]);
    case 'callExpr':
      return present([kind.value.target, ...kind.value.args]);
    case 'listExpr':
      return kind.value.elements;
    case 'structExpr':
      return present(
        kind.value.entries.flatMap((entry) => [
          entry.keyKind.case === 'mapKey' ? entry.keyKind.value : undefined,
          entry.value,
        ]),
      );
    case 'comprehensionExpr': {
      const { iterRange, accuInit, loopCondition, loopStep, result } = kind.value;
      return present([iterRange, accuInit, loopCondition, loopStep, result]);
    }
    case 'constExpr':
    case 'identExpr':
    case undefined:
      return [];
    default:
      return kind satisfies never;
  }
}

const present = (list: (Expr | undefined)[]): Expr[] => list.filter((expr) => expr !== undefined);

/** `operand.member` or `operand["member"]`; the member is null when it is computed. */
export function accessOf(expr: Expr): { operand: Expr; member: string | null } | undefined {
  const kind = expr.exprKind;
  if (kind.case === 'selectExpr' && kind.value.operand) {
    return { operand: kind.value.operand, member: kind.value.field };
  }
  const [operand, index] = kind.case === 'callExpr' && kind.value.function === '_[_]' ? kind.value.args : [];
  if (!operand || !index) return undefined;
  const constant = index.exprKind.case === 'constExpr' ? index.exprKind.value.constantKind : undefined;
  return { operand, member: constant?.case === 'stringValue' ? constant.value : null };
}

/** How many nodes the expression has. */
export const sizeOf = (expr: Expr): number =>
  childrenOf(expr).reduce((sum: number, child) => sum + sizeOf(child), 1);

/** Turns a parsed expression into a function of its variables; `undefined` in them is absent. */
export function planCel(expr: Expr): (variables: Record<string, unknown>) => Evaluated {
  const run = plan(environment, metered(expr));
  return (variables) => {
    cost = 0;
    const bindings = Object.fromEntries(
      Object.entries(variables).map(([name, value]) => [name, toInput(value)]),
    );
    const result = run(bindings);
    if (!isCelError(result)) return plainOf(result);
    const error = result.message;
    return result.exprId === undefined ? { error } : { error, node: result.exprId };
  };
}

const hasComprehension = (expr: Expr): boolean =>
  expr.exprKind.case === 'comprehensionExpr' || childrenOf(expr).some(hasComprehension);

/** The expression with its price, which is another one where it goes through lists: it may be planned again. */
function metered(expr: Expr): Expr {
  if (!hasComprehension(expr)) return expr;
  const own = structuredClone(expr);
  meter(own);
  return own;
}

/** Makes every turn of every comprehension pay for the nodes of its body, and every range be short enough. */
function meter(expr: Expr): void {
  for (const child of childrenOf(expr)) meter(child);
  if (expr.exprKind.case !== 'comprehensionExpr') return;
  const loop = expr.exprKind.value;
  if (!loop.iterRange || !loop.loopCondition || !loop.loopStep) return;
  const nodes = integer(loop.loopCondition, sizeOf(loop.loopStep));
  loop.loopCondition = call('@turn', loop.loopCondition, nodes);
  loop.iterRange = call('@entries', loop.iterRange);
}

function call(name: string, first: Expr, ...rest: Expr[]): Expr {
  const value = { $typeName: 'cel.expr.Expr.Call' as const, function: name, args: [first, ...rest] };
  return { ...first, exprKind: { case: 'callExpr', value } };
}

function integer(place: Expr, value: number): Expr {
  const constantKind = { case: 'int64Value' as const, value: BigInt(value) };
  return {
    ...place,
    exprKind: { case: 'constExpr', value: { $typeName: 'cel.expr.Constant', constantKind } },
  };
}

/** A JSON value that was made ready for CEL, which takes long of a large one. */
export class ReadyValue {
  readonly input: CelInput;

  constructor(value: unknown) {
    this.input = toInput(value);
  }
}

/** A JSON value for CEL: whole numbers are ints, as people expect of `params.count + 1`. */
function toInput(value: unknown): CelInput {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return value;
  if (Array.isArray(value)) return value.map(toInput);
  if (typeof value !== 'object') return null;
  if (value instanceof ReadyValue) return value.input;
  const entries = Object.entries(value).filter(([, member]) => member !== undefined);
  return new Map(entries.map(([key, member]) => [key, toInput(member)]));
}

function plainOf(value: CelValue): Evaluated {
  try {
    const budget = { left: MAX_TEXT };
    return { value: toPlain(value, budget) };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

/**
 * A CEL value as JSON would hold it: ints become numbers, those beyond 2^53 decimal text; bytes base64;
 * timestamps, durations and types the text that `string()` gives.
 */
function toPlain(value: CelValue, budget: { left: number }): unknown {
  budget.left -= 1 + (typeof value === 'string' ? value.length : 0);
  if (budget.left < 0) throw new Error(`its value is longer than ${MAX_TEXT} characters`);
  if (typeof value === 'bigint') return wholeNumber(value);
  if (isCelUint(value)) return wholeNumber(value.value);
  if (isCelList(value)) return [...value].map((entry) => toPlain(entry, budget));
  if (isCelMap(value)) {
    const entries = [...value].map(([key, member]) => {
      return [isCelUint(key) ? String(key.value) : String(key), toPlain(member, budget)];
    });
    return Object.fromEntries(entries);
  }
  if (value instanceof Uint8Array) return btoa(String.fromCharCode(...value));
  if (isCelType(value)) return value.toString();
  if (typeof value !== 'object' || value === null) return value;
  const text = environment.funcs.find('string')?.call(0, undefined, [value]);
  return typeof text === 'string' ? text : null;
}

const wholeNumber = (value: bigint): number | string => {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : String(value);
};

/**
 * A test for a regular expression (RE2 syntax, linear time) that must match the whole text.
 * `undefined` when the pattern is no regular expression.
 */
export function wholeMatch(pattern: string): ((text: string) => boolean) | undefined {
  const matches = environment.funcs.find('matches');
  const test = (text: string, pattern: string) => {
    cost = 0;
    return matches?.call(0, text, [pattern]);
  };
  if (typeof test('', pattern) !== 'boolean') return undefined;
  return (text) => test(text, `\\A(?:${pattern})\\z`) === true;
}
