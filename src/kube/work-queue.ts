import { type BackoffRange, backoff } from './backoff.ts';
import { type Clock, systemClock } from './clock.ts';

export interface WorkQueueOptions {
  /** Wait after failures of one key, without any between. @default 5 ms to 60 s */
  retry?: BackoffRange;
  /** Called after each try of a key. */
  onProcessed?: (work: ProcessedWork) => void;
  /** @default systemClock */
  clock?: Clock;
  /** @default Math.random */
  random?: () => number;
}

/** One try of one key, for metrics and logs. */
export interface ProcessedWork {
  key: string;
  /** From the first `add` to the start. */
  queuedSeconds: number;
  workSeconds: number;
  /** What `process` threw; the key comes again after `retryMs`. */
  failure?: { error: unknown; retryMs: number };
}

export interface RunOptions {
  /** Most keys processed at once. */
  workers: number;
  /** Handles one key. A key is never handled twice at once. When it throws, the key comes again after a backoff. */
  process: (key: string) => Promise<void>;
  /** Starts nothing new once aborted. */
  signal: AbortSignal;
}

/** Keys that need work, each at most once. */
export interface WorkQueue {
  /** Wants the key processed as soon as a worker is free; once more after the current time when it is being processed. */
  add(key: string): void;
  /** Adds the key after a time; of several times the earliest counts. */
  addAfter(key: string, ms: number): void;
  /** Processes keys until the signal is aborted; then resolves when the last one begun has ended. Call once. */
  run(options: RunOptions): Promise<void>;
  /** Keys that wait for a worker. */
  readonly depth: number;
}

const RETRY: BackoffRange = { initialMs: 5, maxMs: 60_000 };

/**
 * A work queue after client-go's: what is added while it waits is merged, and what is added while it is processed is
 * processed once more, so that no change is missed and no key is worked on twice at once.
 */
export function createWorkQueue(options: WorkQueueOptions = {}): WorkQueue {
  const { retry = RETRY, clock = systemClock, random = Math.random } = options;
  /** Keys that wait for a worker, in order, with the time since when. */
  const waiting = new Map<string, number>();
  /** Keys being processed, with the time of the first `add` since, if any. */
  const processing = new Map<string, number | undefined>();
  const delays = createDelays(clock, add);
  const failures = new Map<string, number>();
  let runs: RunOptions | undefined;
  let scheduled = false;
  let onIdle: (() => void) | undefined;

  function add(key: string): void {
    if (processing.has(key)) {
      if (processing.get(key) === undefined) processing.set(key, clock.now());
      return;
    }
    if (!waiting.has(key)) waiting.set(key, clock.now());
    schedule();
  }

  function addAfter(key: string, ms: number): void {
    if (ms <= 0) add(key);
    else if (!runs?.signal.aborted) delays.start(key, ms);
  }

  /** Adds the key after its backoff, which grows until it succeeds. Returns the wait in milliseconds. */
  function retryLater(key: string): number {
    const attempt = failures.get(key) ?? 0;
    failures.set(key, attempt + 1);
    const ms = backoff(attempt, retry, random);
    addAfter(key, ms);
    return ms;
  }

  /** Work starts from the event loop, not from the caller: thousands of quick keys must not keep I/O and timers waiting. */
  function schedule(): void {
    if (scheduled || !runs || runs.signal.aborted) return;
    scheduled = true;
    setImmediate(() => {
      scheduled = false;
      startWork();
    });
  }

  function startWork(): void {
    if (!runs || runs.signal.aborted) return;
    for (const [key, since] of waiting) {
      if (processing.size >= runs.workers) return;
      waiting.delete(key);
      processing.set(key, undefined);
      void work(key, since, runs.process);
    }
  }

  async function work(key: string, since: number, process: RunOptions['process']): Promise<void> {
    const start = clock.now();
    let failure: ProcessedWork['failure'];
    try {
      await process(key);
      failures.delete(key);
    } catch (error) {
      failure = { error, retryMs: retryLater(key) };
    }
    finish(key);
    options.onProcessed?.({
      key,
      queuedSeconds: (start - since) / 1000,
      workSeconds: (clock.now() - start) / 1000,
      ...(failure ? { failure } : {}),
    });
  }

  function finish(key: string): void {
    const addedAgain = processing.get(key);
    processing.delete(key);
    if (addedAgain !== undefined) waiting.set(key, addedAgain);
    if (waiting.size > 0) schedule();
    if (processing.size === 0) onIdle?.();
  }

  async function run(given: RunOptions): Promise<void> {
    runs = given;
    if (waiting.size > 0) schedule();
    await aborted(given.signal);
    delays.cancel();
    if (processing.size > 0) await new Promise<void>((resolve) => (onIdle = resolve));
  }

  return {
    add,
    addAfter,
    run,
    get depth() {
      return waiting.size;
    },
  };
}

/** Keys that come after a time; of several times for one key the earliest counts. */
function createDelays(clock: Clock, onDue: (key: string) => void) {
  const delayed = new Map<string, { at: number; cancel: () => void }>();
  return {
    start(key: string, ms: number): void {
      const at = clock.now() + ms;
      const earlier = delayed.get(key);
      if (earlier && earlier.at <= at) return;
      earlier?.cancel();
      const cancel = clock.after(ms, () => {
        delayed.delete(key);
        onDue(key);
      });
      delayed.set(key, { at, cancel });
    },
    cancel(): void {
      for (const { cancel } of delayed.values()) cancel();
      delayed.clear();
    },
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
