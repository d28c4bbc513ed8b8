import { sleep, systemClock } from '../kube/clock.ts';

/** Something outside of this process that is looked at from time to time, and used as it was when that last worked. */
export interface Watched<T> {
  current(): T;
  /** Calls back when it has become another one. */
  subscribe(listener: (value: T) => void): void;
  /** Looks at it now. Rejects when that fails; what was there before then stays. */
  check(): Promise<void>;
  /** Looks at it from time to time, until the signal is aborted. */
  run(signal: AbortSignal): Promise<void>;
}

export interface WatchedOptions<T> {
  /** What was found at the start. */
  first: T;
  look: () => Promise<T>;
  isSame: (one: T, other: T) => boolean;
  /** Milliseconds between two looks. */
  everyMs: number;
  /** Milliseconds until the next one after one that failed. */
  retryMs: number;
  /** Told of each look by `run` that failed. */
  onError: (error: unknown) => void;
}

export function createWatched<T>(options: WatchedOptions<T>): Watched<T> {
  const { look, isSame, everyMs, retryMs, onError } = options;
  const listeners: ((value: T) => void)[] = [];
  let current = options.first;

  async function check(): Promise<void> {
    const found = await look();
    if (isSame(found, current)) return;
    current = found;
    for (const listener of listeners) listener(current);
  }

  return {
    current: () => current,
    subscribe: (listener) => void listeners.push(listener),
    check,
    async run(signal) {
      let wait = everyMs;
      while (!signal.aborted) {
        await sleep(systemClock, wait, signal).catch(() => {});
        if (signal.aborted) return;
        wait = await check().then(
          () => everyMs,
          (error: unknown) => {
            onError(error);
            return retryMs;
          },
        );
      }
    },
  };
}
