import type { CelType } from './cel.ts';

/**
 * What is known of a value before there is one.
 *
 * - `any`: nothing.
 * - `scalar`: it is of one of these types of CEL, such as `int` and `double` for a number.
 * - `map`: with these members and no others; without `members` they are not known.
 */
export type Type =
  | { readonly kind: 'any' }
  | { readonly kind: 'scalar'; readonly names: readonly string[] }
  | { readonly kind: 'list'; readonly element: Type }
  | { readonly kind: 'map'; readonly members?: Readonly<Record<string, Type>> };

const scalarOf = (...names: string[]): Type => ({ kind: 'scalar', names });

export const ANY: Type = { kind: 'any' };
export const BOOLEAN = scalarOf('bool');
export const INTEGER = scalarOf('int');
/** Whole numbers are ints to CEL, others doubles, and which comes is not known before. */
export const NUMBER = scalarOf('int', 'double');
export const STRING = scalarOf('string');
/** The type of a type, such as `int`. */
export const TYPE = scalarOf('type');

export const listOf = (element: Type): Type => ({ kind: 'list', element });
export const mapOf = (members?: Readonly<Record<string, Type>>): Type =>
  members ? { kind: 'map', members } : { kind: 'map' };

/** The types that a workflow declares its params and the fields of its approvals with. */
export const DECLARED = { string: STRING, number: NUMBER, boolean: BOOLEAN } as const;

/** The type that a function of CEL gives or takes. */
export function fromCel(type: CelType): Type {
  switch (type.kind) {
    case 'list':
      return listOf(fromCel(type.element));
    case 'map':
      return mapOf();
    case 'scalar':
    case 'object':
      return type.name === 'dyn' ? ANY : scalarOf(type.name);
    default:
      return type satisfies never;
  }
}

/** Whether a value of the one may be of the other. */
export function mayBe(type: Type, other: Type): boolean {
  if (type.kind === 'any' || other.kind === 'any') return true;
  if (type.kind !== 'scalar' || other.kind !== 'scalar') return type.kind === other.kind;
  return type.names.some((name) => other.names.includes(name));
}

const NUMBERS = ['int', 'uint', 'double'];

/** Whether values of them may be equal: numbers of all types are compared by value, and anything with null. */
export function mayEqual(left: Type, right: Type): boolean {
  const [one, other] = [left, right].map(comparable);
  return one === undefined || other === undefined || mayBe(one, other);
}

function comparable(type: Type): Type | undefined {
  if (type.kind !== 'scalar') return type;
  if (type.names.includes('null_type')) return undefined;
  return type.names.some((name) => NUMBERS.includes(name)) ? scalarOf(...type.names, ...NUMBERS) : type;
}

/** A type that the values of both are of. */
export function join(left: Type, right: Type): Type {
  if (left.kind === 'scalar' && right.kind === 'scalar')
    return scalarOf(...new Set([...left.names, ...right.names]));
  if (left.kind === 'list' && right.kind === 'list') return listOf(join(left.element, right.element));
  return left.kind === 'map' && right.kind === 'map' ? mapOf() : ANY;
}

/** `join` of several; of none nothing is known. */
export function joinAll([first, ...others]: readonly Type[]): Type {
  return first ? others.reduce(join, first) : ANY;
}

const WORDS: Record<string, string> = {
  bool: 'boolean',
  double: 'number',
  int: 'number',
  uint: 'number',
  null_type: 'null',
  'google.protobuf.Duration': 'duration',
  'google.protobuf.Timestamp': 'timestamp',
};

/** The type in words, for messages: `number`, `string or boolean`. */
export function nameOf(type: Type): string {
  if (type.kind !== 'scalar') return type.kind;
  return [...new Set(type.names.map((name) => WORDS[name] ?? name))].join(' or ');
}
