import type { Problem } from '../engine/model.ts';

/** Longest message of a condition. */
const MESSAGE_LENGTH = 4096;

/** All problems, a line each, as far as they fit. */
export function describe(problems: readonly Problem[]): string {
  const text = problems.map(({ field, message }) => `${field}: ${message}`).join('\n');
  return text.length > MESSAGE_LENGTH ? `${text.slice(0, MESSAGE_LENGTH - 1)}…` : text;
}
