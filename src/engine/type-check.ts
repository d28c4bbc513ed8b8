import { accessOf, type Expr, overloadsOf, textOf } from './cel.ts';
import { typeMismatch } from './explain.ts';
import { didYouMean } from './suggest.ts';
import { cut, MAX_QUOTE } from './text.ts';
import {
  ANY,
  BOOLEAN,
  fromCel,
  INTEGER,
  join,
  joinAll,
  listOf,
  mapOf,
  mayBe,
  mayEqual,
  nameOf,
  STRING,
  type Type,
} from './type.ts';

// Finds what can never work, whatever the values are: 1 + "a", a member of a number. Where the type of something is not
// known, as that of what a script gives, everything may work. The overloads are those that evaluation uses.

/** The types of variables, by name. Those that are not there may be anything. */
export type TypesOf = Readonly<Record<string, Type>>;

/**
 * The type of what an expression gives. What can never work is added to the problems, each as a sentence.
 *
 * @param variables those that the expression can read, and inside of macros those of the macro
 */
export function typeOf(expr: Expr, variables: TypesOf, problems: Set<string>): Type {
  const kind = expr.exprKind;
  const of = (part: Expr | undefined): Type => (part ? typeOf(part, variables, problems) : ANY);
  switch (kind.case) {
    case 'constExpr':
      return constantType(kind.value.constantKind.case);
    case 'identExpr':
      return Object.hasOwn(variables, kind.value.name) ? (variables[kind.value.name] ?? ANY) : ANY;
    case 'selectExpr': {
      const member = memberType(expr, of(kind.value.operand), kind.value.field, problems);
      return kind.value.testOnly ? BOOLEAN : member;
    }
    case 'callExpr':
      return callType(expr, of, problems);
    case 'listExpr':
      return listOf(joinAll(kind.value.elements.map(of)));
    case 'structExpr':
      for (const { keyKind, value } of kind.value.entries)
        void [of(keyKind.case === 'mapKey' ? keyKind.value : undefined), of(value)];
      return mapOf();
    case 'comprehensionExpr':
      return loopType(expr, variables, problems);
    case undefined:
      return ANY;
    default:
      return kind satisfies never;
  }
}

const CONSTANTS: Record<string, Type> = {
  boolValue: BOOLEAN,
  bytesValue: { kind: 'scalar', names: ['bytes'] },
  doubleValue: { kind: 'scalar', names: ['double'] },
  int64Value: INTEGER,
  nullValue: { kind: 'scalar', names: ['null_type'] },
  stringValue: STRING,
  uint64Value: { kind: 'scalar', names: ['uint'] },
};

const constantType = (name: string | undefined): Type => CONSTANTS[name ?? ''] ?? ANY;

/** @param expr the access as a whole, for messages */
function memberType(expr: Expr, owner: Type, member: string, problems: Set<string>): Type {
  const name = cut(textOf(accessOf(expr)?.operand ?? expr), MAX_QUOTE);
  if (owner.kind === 'scalar' || owner.kind === 'list') {
    const hint =
      owner.kind === 'list' ? `: take one entry, ${name}[0], or all, ${name}.map(x, x.${member})` : '';
    problems.add(`reads ${member} of ${name}, which is a ${nameOf(owner)} and has no members${hint}`);
    return ANY;
  }
  if (owner.kind === 'any' || owner.members === undefined) return ANY;
  const type = Object.hasOwn(owner.members, member) ? owner.members[member] : undefined;
  if (type) return type;
  const names = Object.keys(owner.members);
  const there = names.length === 0 ? `${name} has no members` : `there is ${names.join(', ')}`;
  problems.add(`reads ${name}.${member}, which does not exist: ${there}.${didYouMean(member, names)}`);
  return ANY;
}

type TypeOfPart = (part: Expr | undefined) => Type;

function callType(expr: Expr, of: TypeOfPart, problems: Set<string>): Type {
  if (expr.exprKind.case !== 'callExpr') return ANY;
  const { function: name, target, args } = expr.exprKind.value;
  const types = args.map(of);
  const [first = ANY, second = ANY, third = ANY] = types;
  switch (name) {
    case '_[_]':
      return entryType(expr, first, second, problems);
    case '_?_:_':
      checkBoolean('?', first, problems);
      return join(second, third);
    case '_&&_':
    case '_||_':
      for (const type of types) checkBoolean(name.replaceAll('_', ''), type, problems);
      return BOOLEAN;
    case '_==_':
    case '_!=_':
      checkEqual(args, first, second, problems);
      return BOOLEAN;
    case '@in':
      if (second.kind === 'list') checkEqual(args, first, second.element, problems);
      break;
    default:
  }
  return overloadType(name, target && of(target), types, problems);
}

function checkBoolean(operator: string, type: Type, problems: Set<string>): void {
  if (!mayBe(type, BOOLEAN))
    problems.add(`has a ${nameOf(type)} where "${operator}" needs true or false: compare it with something`);
}

function checkEqual(args: readonly Expr[], left: Type, right: Type, problems: Set<string>): void {
  if (mayEqual(left, right)) return;
  const [one = '', other = ''] = args.map((arg) => cut(textOf(arg), MAX_QUOTE));
  problems.add(
    `compares ${one} with ${other}, a ${nameOf(left)} with a ${nameOf(right)}, which are never equal: convert with int(), double() or string()`,
  );
}

/** `list[0]`, `map["member"]`. */
function entryType(expr: Expr, owner: Type, index: Type, problems: Set<string>): Type {
  if (owner.kind === 'list') {
    if (!mayBe(index, INTEGER))
      problems.add(`takes the entry of a list by a ${nameOf(index)}: lists are counted from 0`);
    return owner.element;
  }
  const member = accessOf(expr)?.member;
  return typeof member === 'string' || owner.kind === 'scalar'
    ? memberType(expr, owner, member ?? 'a member', problems)
    : ANY;
}

/** What a function gives, by the overloads that may take these types. */
function overloadType(
  name: string,
  target: Type | undefined,
  types: readonly Type[],
  problems: Set<string>,
): Type {
  const overloads = overloadsOf(name);
  // What macros are made of is not for people.
  if (overloads.length === 0 || name.startsWith('@not_') || name === '@turn' || name === '@entries')
    return ANY;
  const fitting = overloads.filter(
    (overload) =>
      (overload.target === undefined) === (target === undefined) &&
      (overload.target === undefined || target === undefined || mayBe(target, fromCel(overload.target))) &&
      overload.arguments.length === types.length &&
      overload.arguments.every((argument, index) => mayBe(types[index] ?? ANY, fromCel(argument))),
  );
  if (fitting.length > 0) return joinAll(fitting.map(({ result }) => fromCel(result)));
  problems.add(typeMismatch(name, target && nameOf(target), types.map(nameOf).join(', ')));
  return ANY;
}

/** What map, filter, all, exists and exists_one give. */
function loopType(expr: Expr, variables: TypesOf, problems: Set<string>): Type {
  if (expr.exprKind.case !== 'comprehensionExpr') return ANY;
  const { iterRange, iterVar, accuVar, accuInit, loopCondition, loopStep, result } = expr.exprKind.value;
  const range = iterRange ? typeOf(iterRange, variables, problems) : ANY;
  if (range.kind === 'scalar') problems.add(`goes through a ${nameOf(range)}: that takes a list or a map`);
  const start = accuInit ? typeOf(accuInit, variables, problems) : ANY;
  const inner = { ...variables, [iterVar]: range.kind === 'list' ? range.element : ANY, [accuVar]: start };
  if (loopCondition) typeOf(loopCondition, inner, problems);
  const step = loopStep ? typeOf(loopStep, inner, problems) : ANY;
  return result ? typeOf(result, { ...inner, [accuVar]: step }, problems) : ANY;
}
