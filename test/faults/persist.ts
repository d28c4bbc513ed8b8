import { setTimeout as sleep } from 'node:timers/promises';

/** Longer than an operator that is held up needs to start again. */
const LIMIT_MS = 120_000;
const AGAIN_MS = 200;

/**
 * Does again what was refused, as a person would: while no operator is there to judge it, the API server takes nothing.
 *
 * @throws the last error, once it has been refused for too long
 */
export async function persist<T>(ask: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + LIMIT_MS;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await sleep(AGAIN_MS);
    }
  }
}
