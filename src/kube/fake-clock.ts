import type { Clock } from './clock.ts';

/** A fake clock for tests: time passes when the test says so. */
export interface FakeClock extends Clock {
  /** Lets `ms` milliseconds pass, and all timers due by then fire in order, with what they set off. */
  advance(ms: number): Promise<void>;
  /** Times from now, in milliseconds, at which timers will fire. */
  readonly pending: number[];
}

/** A clock that stands still at 0. */
export function fakeClock(): FakeClock {
  const timers = new Set<{ at: number; callback: () => void }>();
  let now = 0;
  return {
    now: () => now,
    after(ms, callback) {
      const timer = { at: now + ms, callback };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    async advance(ms) {
      const end = now + ms;
      for (;;) {
        const [next] = [...timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
        if (!next) break;
        timers.delete(next);
        now = next.at;
        next.callback();
        await settled();
      }
      now = end;
      await settled();
    },
    get pending() {
      return [...timers].map(({ at }) => at - now).sort((a, b) => a - b);
    },
  };
}

/** Lets everything run that waits for nothing but its turn. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}
