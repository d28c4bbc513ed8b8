import { keyOfObject, revisionOf } from './identity.ts';
import type { KubeObject } from './resource.ts';

/** A change of one object, told once for each version that the store takes. */
export type Change<P> =
  | { type: 'Added'; key: string; object: P; source: Source }
  | { type: 'Updated'; key: string; object: P; previous: P; source: Source }
  | { type: 'Deleted'; key: string; previous: P; source: Source };

/** Who told first: the watch, or the answer to one of our own writes. */
export type Source = 'Watch' | 'Write';

/** Values under which an object is found; mostly one or none. */
export type Indexer<P> = (object: P) => readonly string[];

export interface TableOptions<T, P, I extends string> {
  /** What is kept of an object. Keep little: it is held for every object there is. Must not hold on to `raw` itself. */
  project: (raw: T) => P;
  indexers: Record<I, Indexer<P>>;
  /** Told what a projection, indexer or listener threw; the others go on. */
  onError: (error: unknown, key: string) => void;
}

/** One object as it is kept. */
export interface Entry<P> {
  key: string;
  uid: string | undefined;
  revision: number;
  object: P;
  /** What the indexers gave, in their order: removal must find the same places again. */
  places: readonly (readonly string[])[];
}

/**
 * Projections by key and by index, and the listeners that are told of each change. What is newer than what is decided by
 * the store, not here.
 */
export function createTable<T extends KubeObject, P, I extends string>(options: TableOptions<T, P, I>) {
  const entries = new Map<string, Entry<P>>();
  const indexes = createIndexes(options.indexers);
  const listeners: ((change: Change<P>) => void)[] = [];

  function tell(change: Change<P>): void {
    for (const listener of listeners) {
      try {
        listener(change);
      } catch (error) {
        options.onError(error, change.key);
      }
    }
  }

  /** Undefined for an object that cannot be projected: it is reported, and the others go on. */
  function entryOf(raw: T): Entry<P> | undefined {
    const key = keyOfObject(raw);
    try {
      const object = options.project(raw);
      const places = indexes.places(object);
      const { uid, resourceVersion } = raw.metadata ?? {};
      return { key, uid, revision: revisionOf(resourceVersion), object, places };
    } catch (error) {
      options.onError(error, key);
      return undefined;
    }
  }

  function remove(entry: Entry<P>, source: Source): void {
    entries.delete(entry.key);
    indexes.remove(entry);
    tell({ type: 'Deleted', key: entry.key, previous: entry.object, source });
  }

  function put(entry: Entry<P>, source: Source): void {
    const { key, object } = entry;
    let previous = entries.get(key);
    if (previous?.revision === entry.revision) return;
    // Same name, other object: the deletion in between went unseen.
    if (previous && previous.uid !== entry.uid) {
      remove(previous, source);
      previous = undefined;
    }
    if (previous) indexes.remove(previous);
    entries.set(key, entry);
    indexes.add(entry);
    if (previous) tell({ type: 'Updated', key, object, previous: previous.object, source });
    else tell({ type: 'Added', key, object, source });
  }

  return {
    entryOf,
    put,
    remove,
    get: (key: string) => entries.get(key),
    find: indexes.find,
    entries: () => entries.values(),
    get size() {
      return entries.size;
    },
    subscribe: (listener: (change: Change<P>) => void): void => void listeners.push(listener),
  };
}

/** For each index, the entries by the values that its indexer gave. */
function createIndexes<P, I extends string>(indexers: Record<I, Indexer<P>>) {
  const indexes = Object.entries<Indexer<P>>(indexers).map(([name, indexer]) => ({
    name,
    indexer,
    byValue: new Map<string, Set<Entry<P>>>(),
  }));

  function forEachPlace(
    entry: Entry<P>,
    visit: (byValue: Map<string, Set<Entry<P>>>, value: string) => void,
  ): void {
    indexes.forEach(({ byValue }, i) => entry.places[i]?.forEach((value) => visit(byValue, value)));
  }

  return {
    places: (object: P) => indexes.map(({ indexer }) => indexer(object)),
    find: (index: I, value: string): Iterable<Entry<P>> =>
      indexes.find(({ name }) => name === index)?.byValue.get(value) ?? [],
    add(entry: Entry<P>) {
      forEachPlace(entry, (byValue, value) => {
        const bucket = byValue.get(value);
        if (bucket) bucket.add(entry);
        else byValue.set(value, new Set([entry]));
      });
    },
    remove(entry: Entry<P>) {
      forEachPlace(entry, (byValue, value) => {
        const bucket = byValue.get(value);
        bucket?.delete(entry);
        if (bucket?.size === 0) byValue.delete(value);
      });
    },
  };
}
