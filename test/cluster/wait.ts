import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Asks until the answer is there.
 * @param what completes the sentence "still waiting for …".
 * @param limit milliseconds until it gives up.
 * @throws Error when the limit is over, with the last error that `ask` threw.
 */
export async function waitFor<T>(
  what: string,
  limit: number,
  ask: () => Promise<T | undefined> | T | undefined,
): Promise<T> {
  const deadline = performance.now() + limit;
  let problem = '';
  for (;;) {
    try {
      const answer = await ask();
      if (answer !== undefined && answer !== false) return answer;
    } catch (error) {
      if (error instanceof Hopeless) throw error;
      problem = `: ${String(error)}`;
    }
    if (performance.now() > deadline)
      throw new Error(`Still waiting for ${what} after ${limit / 1000} s${problem}`);
    await sleep(25);
  }
}

/** Thrown by what {@link waitFor} asks when waiting longer can't help. */
export class Hopeless extends Error {
  override name = 'Hopeless';
}
