import { keyOfObject, revisionOf } from './identity.ts';
import type { KubeObject } from './resource.ts';
import { type Change, createTable, type Entry, type TableOptions } from './table.ts';

export { keyOf, nameOf } from './identity.ts';
export type { Change, Indexer, Source } from './table.ts';

/** What a watch says of an object. */
export type EventType = 'ADDED' | 'MODIFIED' | 'DELETED';

/** What the watch has seen of one resource, and what own writes have returned since. See README.md, "Never back in time". */
export interface Store<T, P, I extends string> {
  get(key: string): P | undefined;
  list(): P[];
  /** Objects whose indexer gave this value. */
  byIndex(index: I, value: string): P[];
  readonly size: number;
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

/** An empty store. */
export function createStore<T extends KubeObject, P, I extends string>(
  options: TableOptions<T, P, I>,
): Store<T, P, I> {
  const table = createTable(options);
  let revision = 0;

  function upsert(raw: T): void {
    const entry = table.entryOf(raw);
    // What the watch has passed and the store does not hold was deleted since.
    if (entry && entry.revision > Math.max(revision, table.get(entry.key)?.revision ?? 0)) {
      table.put(entry, 'Write');
    }
  }

  function observe(type: EventType, raw: T): void {
    const seen = revisionOf(raw.metadata?.resourceVersion);
    revision = Math.max(revision, seen);
    const known = table.get(keyOfObject(raw));
    // An own write is ahead of the watch.
    if (known && known.revision > seen) return;
    if (type === 'DELETED') {
      if (known) table.remove(known, 'Watch');
      return;
    }
    const entry = table.entryOf(raw);
    if (entry) table.put(entry, 'Watch');
  }

  function commit(found: Map<string, Entry<P> | undefined>, resourceVersion: string): void {
    const taken = revisionOf(resourceVersion);
    // The server is behind what it told before: it was restored from a backup, and what it has now is the truth.
    const restored = taken < revision;
    revision = taken;
    for (const known of table.entries()) {
      if (!found.has(known.key) && (restored || known.revision <= taken)) table.remove(known, 'Watch');
    }
    for (const entry of found.values()) {
      if (entry && (restored || entry.revision > (table.get(entry.key)?.revision ?? 0))) {
        table.put(entry, 'Watch');
      }
    }
  }

  return {
    get: (key) => table.get(key)?.object,
    list: () => Array.from(table.entries(), ({ object }) => object),
    byIndex: (index, value) => Array.from(table.find(index, value), ({ object }) => object),
    get size() {
      return table.size;
    },
    get revision() {
      return revision;
    },
    upsert,
    observe,
    subscribe: table.subscribe,
    advance(resourceVersion) {
      revision = Math.max(revision, revisionOf(resourceVersion));
    },
    snapshot() {
      const found = new Map<string, Entry<P> | undefined>();
      return {
        take(type, raw) {
          if (type === 'DELETED') found.delete(keyOfObject(raw));
          else found.set(keyOfObject(raw), table.entryOf(raw));
        },
        commit: (resourceVersion) => commit(found, resourceVersion),
      };
    },
  };
}
