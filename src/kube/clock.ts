/** Time as this folder uses it. Handed in, so that tests decide what time it is. */
export interface Clock {
  /** Milliseconds of a clock that never goes back; only differences mean anything. */
  now(): number;
  /** Calls back once after `ms` milliseconds. Returns the function that cancels it. */
  after(ms: number, callback: () => void): () => void;
}

/** A longer timer would overflow and fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** The machine's monotonic clock and timers. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, Math.min(ms, LONGEST_TIMER_MS));
    return () => clearTimeout(timer);
  },
};

/** Waits `ms` milliseconds. Rejects with the signal's reason as soon as it is aborted. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  if (signal?.aborted) {
    reject(signal.reason);
    return promise;
  }
  const onAbort = () => {
    cancel();
    reject(signal?.reason);
  };
  const cancel = clock.after(ms, () => {
    signal?.removeEventListener('abort', onAbort);
    resolve();
  });
  signal?.addEventListener('abort', onAbort, { once: true });
  return promise;
}
