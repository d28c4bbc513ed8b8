import type { Scalar } from '../api/common.ts';
import type { Interpolation } from '../engine/model.ts';

/**
 * JSON with the templates in its strings replaced. Names are put in brackets where two paths could otherwise be spelled
 * the same.
 */
export function resolvedJson(field: string, value: unknown, scalar: Interpolation['scalar']): unknown {
  if (typeof value === 'string') return scalar(field, value);
  if (Array.isArray(value)) return value.map((entry, i) => resolvedJson(`${field}[${i}]`, entry, scalar));
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).map(([name, member]) => {
    const at = /^[A-Za-z_][\w-]*$/.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`;
    return [name, resolvedJson(`${field}${at}`, member, scalar)];
  });
  return Object.fromEntries(members);
}

/** Scalars by name with the templates in them replaced. */
export const resolvedScalars = (
  field: string,
  values: Readonly<Record<string, Scalar>>,
  scalar: Interpolation['scalar'],
): Record<string, Scalar> =>
  Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, scalar(`${field}.${name}`, value)]),
  );
