import type { KubeObject, ObjectName } from './resource.ts';

/** A change of one object, told once for each version that the store takes. */
export type Change<P> =
  | { type: 'Added'; key: string; object: P; source: Source }
  | { type: 'Updated'; key: string; object: P; previous: P; source: Source }
  | { type: 'Deleted'; key: string; previous: P; source: Source };

/** What a watch says of an object. */
export type EventType = 'ADDED' | 'MODIFIED' | 'DELETED';

/** Who told first: the watch, or the answer to one of our own writes. */
export type Source = 'Watch' | 'Write';

/** Values under which an object is found; mostly one or none. */
export type Indexer<P> = (object: P) => readonly string[];

export interface StoreOptions<T, P, I extends string> {
  /** What is kept of an object. Keep little: it is held for every object there is. Must not hold on to `raw` itself. */
  project: (raw: T) => P;
  indexers: Record<I, Indexer<P>>;
  /** Told what a projection, indexer or listener threw; the others go on. */
  onError: (error: unknown, key: string) => void;
}

/** The read side, for those who decide. */
export interface Lister<P, I extends string> {
  get(key: string): P | undefined;
  list(): P[];
  /** Objects whose indexer gave this value. */
  byIndex(index: I, value: string): P[];
  readonly size: number;
}

/** What the watch has seen of one resource, and what own writes have returned since. See README.md, "Never back in time". */
export interface Store<T, P, I extends string> extends Lister<P, I> {
  /** Takes the answer of an own write, unless the store knows a newer version or knows that the object is gone. */
  upsert(raw: T): void;
  /** Calls back in the tick of each change. Must return quickly: put a key into a queue. */
  subscribe(listener: (change: Change<P>) => void): void;
  /** The version up to which the watch has told everything; 0 before the first snapshot. */
  readonly revision: number;
  /** Takes an event of the watch. */
  observe(type: EventType, raw: T): void;
  /** Takes a bookmark of the watch. */
  advance(resourceVersion: string): void;
  /** Begins to gather all objects that exist. Nothing changes before `commit`. */
  snapshot(): Snapshot<T>;
}

/** All objects at one version, gathered piece by piece. */
export interface Snapshot<T> {
  /** Takes an object of a list, or an event that comes before the list has ended. */
  take(type: EventType, raw: T): void;
  /** Makes the store equal to what was taken, except for own writes that are newer than `resourceVersion`. */
  commit(resourceVersion: string): void;
}

/** `namespace/name`, or the name alone for cluster-scoped objects. */
export function keyOf({ namespace, name }: ObjectName): string {
  return namespace ? `${namespace}/${name}` : name;
}

/** The reverse of `keyOf`. */
export function nameOf(key: string): ObjectName {
  const slash = key.indexOf('/');
  return slash === -1 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

/**
 * Resource versions of one resource type are integers that grow with each write (KEP-5504), in practice etcd's
 * revisions, far below 2^53.
 *
 * @throws {RangeError} for anything else, because nothing here would hold.
 */
export function revisionOf(resourceVersion: string | undefined): number {
  const revision = Number(resourceVersion);
  if (resourceVersion && Number.isSafeInteger(revision)) return revision;
  throw new RangeError(`resourceVersion "${resourceVersion}" is not an integer: versions cannot be compared`);
}

interface Entry<P> {
  key: string;
  uid: string | undefined;
  revision: number;
  object: P;
  /** What the indexers gave, in their order: removal must find the same places again. */
  places: readonly (readonly string[])[];
}

/** An empty store. */
export function createStore<T extends KubeObject, P, I extends string>(
  options: StoreOptions<T, P, I>,
): Store<T, P, I> {
  const entries = new Map<string, Entry<P>>();
  const indexes = createIndexes(options.indexers);
  const listeners: ((change: Change<P>) => void)[] = [];
  let revision = 0;

  function tell(change: Change<P>): void {
    for (const listener of listeners) {
      try {
        listener(change);
      } catch (error) {
        options.onError(error, change.key);
      }
    }
  }

  /** One object that cannot be projected is reported and left as it was; the others go on. */
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

  function upsert(raw: T): void {
    const entry = entryOf(raw);
    if (!entry) return;
    const known = entries.get(entry.key);
    // What the watch has passed and the store does not hold was deleted since.
    if (entry.revision > Math.max(known?.revision ?? 0, revision)) put(entry, 'Write');
  }

  function observe(type: EventType, raw: T): void {
    const seen = revisionOf(raw.metadata?.resourceVersion);
    revision = Math.max(revision, seen);
    const known = entries.get(keyOfObject(raw));
    if (known && known.revision > seen) return;
    if (type === 'DELETED') {
      if (known) remove(known, 'Watch');
      return;
    }
    const entry = entryOf(raw);
    if (entry) put(entry, 'Watch');
  }

  function commit(found: Map<string, Entry<P> | undefined>, resourceVersion: string): void {
    const taken = revisionOf(resourceVersion);
    // The server is behind what it told before: it was restored from a backup, and what it has now is the truth.
    const restored = taken < revision;
    revision = taken;
    for (const known of entries.values()) {
      if (!found.has(known.key) && (restored || known.revision <= taken)) remove(known, 'Watch');
    }
    for (const entry of found.values()) {
      if (entry && (restored || entry.revision > (entries.get(entry.key)?.revision ?? 0)))
        put(entry, 'Watch');
    }
  }

  return {
    get: (key) => entries.get(key)?.object,
    list: () => Array.from(entries.values(), ({ object }) => object),
    byIndex: (index, value) => Array.from(indexes.find(index, value), ({ object }) => object),
    get size() {
      return entries.size;
    },
    get revision() {
      return revision;
    },
    upsert,
    observe,
    subscribe: (listener) => listeners.push(listener),
    advance(resourceVersion) {
      revision = Math.max(revision, revisionOf(resourceVersion));
    },
    snapshot() {
      const found = new Map<string, Entry<P> | undefined>();
      return {
        take(type, raw) {
          if (type === 'DELETED') found.delete(keyOfObject(raw));
          else found.set(keyOfObject(raw), entryOf(raw));
        },
        commit: (resourceVersion) => commit(found, resourceVersion),
      };
    },
  };
}

function keyOfObject({ metadata }: KubeObject): string {
  return keyOf({ namespace: metadata?.namespace, name: metadata?.name ?? '' });
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
