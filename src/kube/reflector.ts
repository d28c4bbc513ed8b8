import { type BackoffRange, backoff } from './backoff.ts';
import { type Clock, sleep, systemClock } from './clock.ts';
import { ApiError, ConnectionError, isInvalid } from './errors.ts';
import type { KubeObject, ResourceClient, Selection } from './resource.ts';
import type { Snapshot, Store } from './store.ts';
import { endsInitialEvents, type WatchEvent } from './watch.ts';

export interface ReflectorOptions<T extends KubeObject, P, I extends string> {
  client: ResourceClient<T>;
  store: Store<T, P, I>;
  /** Which objects the store is to hold. Own writes of others must not be put into it. */
  selection?: Selection;
  /** Told each time a watch or list fails; the reflector goes on by itself. */
  onError: (error: unknown) => void;
  /** The server counts as dead when a watch is silent for so long. @default 150000 */
  idleTimeoutMs?: number;
  /** @default systemClock */
  clock?: Clock;
  /** @default Math.random */
  random?: () => number;
}

/** Keeps a store equal to what the API server has. */
export interface Reflector {
  /** Runs until the signal is aborted; then resolves. Call once. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves at the first whole snapshot; rejects with the signal's reason when stopped before. */
  readonly synced: Promise<void>;
  hasSynced(): boolean;
}

/** Each watch lasts between this and twice this, so that watches do not all end together. */
const MIN_WATCH_SECONDS = 300;
/** A few watches of one process are no load for a server that comes back; being blind for long is worse. */
const BACKOFF: BackoffRange = { initialMs: 100, maxMs: 3_000 };

/**
 * Makes the reflector; nothing runs before `run`. It works as client-go's does: one snapshot, then a watch from its
 * version on, taken up again where it broke, and a new snapshot only when the server no longer knows that version.
 * The snapshot is a streaming list, or pages where the server refuses that.
 */
export function createReflector<T extends KubeObject, P, I extends string>(
  options: ReflectorOptions<T, P, I>,
): Reflector {
  const { client, store, selection = {}, idleTimeoutMs = 150_000 } = options;
  const { clock = systemClock, random = Math.random } = options;
  const { promise: synced, resolve: onSynced, reject: onNeverSynced } = Promise.withResolvers<void>();
  // Not everybody waits for it; a rejection that nobody takes would end the process.
  synced.catch(() => {});
  let streamsLists = true;
  let current = false;
  let hasSynced = false;
  let failures = 0;

  function commit(snapshot: Snapshot<T>, resourceVersion: string): void {
    snapshot.commit(resourceVersion);
    current = true;
    hasSynced = true;
    onSynced();
  }

  function observe(event: WatchEvent<T>): void {
    failures = 0;
    if (event.type === 'BOOKMARK') store.advance(event.object.metadata.resourceVersion);
    else store.observe(event.type, event.object);
  }

  function watch(signal: AbortSignal, from: object, onEvent: (event: WatchEvent<T>) => void): Promise<void> {
    const timeoutSeconds = Math.ceil(MIN_WATCH_SECONDS * (1 + random()));
    return client.watch(selection, { ...from, timeoutSeconds, idleTimeoutMs, signal }, onEvent);
  }

  /** A snapshot that turns into the watch which goes on from it. */
  async function streamList(signal: AbortSignal): Promise<void> {
    const snapshot = store.snapshot();
    const streaming = watch(signal, { sendInitialEvents: true }, (event) => {
      if (current) observe(event);
      else if (event.type !== 'BOOKMARK') snapshot.take(event.type, event.object);
      else if (endsInitialEvents(event.object)) commit(snapshot, event.object.metadata.resourceVersion);
    });
    await streaming.catch((error: unknown) => {
      if (current || !isInvalid(error)) throw error;
    });
    // Refused as an invalid request, or ended without a mark: the server does not know streaming lists.
    if (!current) streamsLists = false;
  }

  async function pagedList(signal: AbortSignal): Promise<void> {
    const snapshot = store.snapshot();
    let resourceVersion = '';
    for await (const page of client.pages(selection, { signal })) {
      for (const object of page.items) snapshot.take('ADDED', object);
      resourceVersion = page.resourceVersion;
    }
    commit(snapshot, resourceVersion);
  }

  /** Until the watch ends, one way or the other. */
  async function listAndWatch(signal: AbortSignal): Promise<void> {
    if (!current && streamsLists) return streamList(signal);
    if (!current) await pagedList(signal);
    await watch(signal, { resourceVersion: String(store.revision) }, observe);
  }

  function onFailure(error: unknown): void {
    options.onError(error);
    if (!isResumable(error)) current = false;
  }

  async function run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const start = clock.now();
      let retryAfterMs: number | undefined;
      try {
        await listAndWatch(signal);
      } catch (error) {
        if (signal.aborted) break;
        onFailure(error);
        if (error instanceof ApiError) retryAfterMs = error.retryAfterMs;
      }
      if (clock.now() - start > BACKOFF.maxMs) failures = 0;
      // Also after a good end: a server that ends watches as fast as they are made must not be asked in a tight loop.
      await sleep(clock, retryAfterMs ?? backoff(failures++, BACKOFF, random), signal).catch(() => {});
    }
    onNeverSynced(signal.reason);
  }

  return { run, synced, hasSynced: () => hasSynced };
}

/** Whether the watch can go on from the version it had come to. All else is answered by a new snapshot. */
function isResumable(error: unknown): boolean {
  if (error instanceof ConnectionError) return true;
  return error instanceof ApiError && [401, 403, 429, 503].includes(error.status);
}
