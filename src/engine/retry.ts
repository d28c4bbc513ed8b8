import { parseDuration } from '../api/common.ts';
import type { Retry } from '../api/retry.ts';
import { hash64 } from './hash.ts';

/**
 * Milliseconds to wait after a failed attempt: `initial * factor^(failures - 1)`, at most `max`, and up to a fifth
 * less, so that steps that failed together do not come back together. The same seed gives the same wait.
 *
 * @param failures how many attempts have failed, from 1
 */
export function backoffMs(backoff: Retry['backoff'], failures: number, seed: string): number {
  const initial = parseDuration(backoff?.initial ?? '10s');
  const max = parseDuration(backoff?.max ?? '5m');
  const wait = Math.min(max, initial * (backoff?.factor ?? 2) ** (failures - 1));
  const share = Number(hash64(seed) % 1000n) / 1000;
  return Math.round(wait * (1 - share / 5));
}
