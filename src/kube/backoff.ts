/** Bounds of an exponential backoff, in milliseconds. */
export interface BackoffRange {
  initialMs: number;
  maxMs: number;
}

/**
 * The wait before try `attempt` (0 for the first repetition): doubles each time up to the maximum, and its
 * upper half is random, so that those who failed together do not come back together.
 *
 * @param random a number from 0 (inclusive) to 1, as by `Math.random`.
 */
export function backoff(attempt: number, range: BackoffRange, random: () => number): number {
  const full = Math.min(range.maxMs, range.initialMs * 2 ** attempt);
  return full / 2 + (random() * full) / 2;
}
