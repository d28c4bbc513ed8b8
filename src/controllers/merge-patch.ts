import { isDeepStrictEqual } from 'node:util';

/** A merge patch that makes one object into the other: what differs, and null for what is no longer there. */
export function changes(before: object, after: object): object {
  const old = new Map<string, unknown>(Object.entries(before));
  const next = new Map<string, unknown>(Object.entries(after));
  const removed = [...old.keys()].filter((field) => !next.has(field));
  const changed = [...next].filter(([field, value]) => !isDeepStrictEqual(old.get(field), value));
  return Object.fromEntries([
    ...changed.map(([field, value]) => [field, changeOf(old.get(field), value)]),
    ...removed.map((field) => [field, null]),
  ]);
}

/** Objects are merged by the API server, field by field; everything else is replaced. */
const changeOf = (before: unknown, after: unknown): unknown =>
  isObject(before) && isObject(after) ? changes(before, after) : after;

const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
