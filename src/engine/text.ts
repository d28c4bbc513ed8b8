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

/** The text on one line, so that it can not pass for further lines of a message. */
export const oneLine = (text: string): string => text.replace(/[\s\p{Cc}]+/gu, ' ').trim();

/**
 * What is no text: halves of characters, and what steers a terminal or turns the order of letters around, so that people
 * read something else than what is written.
 */
const NO_TEXT = /(?![\t\n\r])[\p{Cc}\p{Cs}\u202a-\u202e\u2066-\u2069]/u;

/** The first character that is not for people to read, as `U+001B`. New lines and tabs are. */
export function strangeCharacter(text: string): string | undefined {
  const [found] = NO_TEXT.exec(text) ?? [];
  const code = found?.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0');
  return code === undefined ? undefined : `U+${code}`;
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
