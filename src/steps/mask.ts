import { spellingsOf } from '../api/secret-spellings.ts';

/** Replaces secrets in text by `***`. */
export type Mask = (text: string) => string;

/**
 * Hides these values as they are, in Base64 and hexadecimal, and as JSON, HTML and URLs spell them. The longer ones go
 * first: one may be part of another.
 */
export function createMask(secrets: readonly string[]): Mask {
  const spellings = secrets.flatMap((secret) => [...spellingsOf(secret)]);
  const hidden = [...new Set(spellings)].filter((text) => text !== '').sort((a, b) => b.length - a.length);
  return (text) => hidden.reduce((masked, secret) => masked.replaceAll(secret, '***'), text);
}

/** Hides secrets in every text, number and name of a JSON value. */
export function maskDeep(value: unknown, mask: Mask): unknown {
  if (typeof value === 'string') return mask(value);
  if (typeof value === 'number') return mask(String(value)) === String(value) ? value : '***';
  if (Array.isArray(value)) return value.map((entry) => maskDeep(entry, mask));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [mask(name), maskDeep(member, mask)]),
  );
}
