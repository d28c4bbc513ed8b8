/** Longest message of a step or a run, as the schema of the status has it. */
export const MAX_MESSAGE = 1024;
export const MAX_REASON = 128;
export const MAX_SUMMARY = 256;
/** Longest piece of what people wrote that a message repeats. */
export const MAX_QUOTE = 80;

/** The text, or as much of its beginning as fits into `most` characters. */
export function cut(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1).toWellFormed()}…`;
}

/** A span of time for people, to the second: `5m32s`, `1h0m5s`, `0s`. */
export function spanOf(ms: number): string {
  const seconds = Math.round(ms / 1000);
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  if (h > 0) return `${h}h${m}m${s}s`;
  return m > 0 ? `${m}m${s}s` : `${s}s`;
}

/** RFC 3339 in UTC, to the millisecond. */
export const timeOf = (ms: number): string => new Date(ms).toISOString();
