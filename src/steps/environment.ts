import type { EnvVar } from 'kubernetes-types/core/v1.d.ts';
import type { KeyReference } from './step-type.ts';

/**
 * The kubelet expands `$(NAME)` in commands and values and makes `$` of `$$`. Every `$` is doubled, so that text
 * arrives as it was written and a value from outside cannot name a variable that holds a Secret.
 */
export const literal = (text: string) => text.replaceAll('$', '$$$$');

export const plainVariables = (values: Readonly<Record<string, string>>): EnvVar[] =>
  Object.entries(values).map(([name, value]) => ({ name, value: literal(value) }));

/** Variables whose values the kubelet reads from Secrets. */
export const secretVariables = (values: Readonly<Record<string, KeyReference>>): EnvVar[] =>
  Object.entries(values).map(([name, { name: secret, key }]) => ({
    name,
    valueFrom: { secretKeyRef: { name: secret, key } },
  }));
