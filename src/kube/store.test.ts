import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { revisionOf } from './identity.ts';
import { type Change, createStore, keyOf, nameOf } from './store.ts';

interface Thing {
  metadata: { namespace?: string; name: string; uid: string; resourceVersion: string };
  owner?: string;
}

const thing = (name: string, revision: number, more: { uid?: string; owner?: string } = {}): Thing => ({
  metadata: { namespace: 'ns', name, uid: more.uid ?? `${name}-1`, resourceVersion: String(revision) },
  ...(more.owner === undefined ? {} : { owner: more.owner }),
});

interface View {
  revision: number;
  uid: string;
  owner: string | undefined;
}

function makeStore() {
  const errors: unknown[] = [];
  const changes: string[] = [];
  const store = createStore({
    project: ({ metadata, owner }: Thing): View => {
      if (owner === 'bad') throw new Error('cannot be projected');
      return { revision: Number(metadata.resourceVersion), uid: metadata.uid, owner };
    },
    indexers: { owner: (view) => (view.owner ? view.owner.split(',') : []) },
    onError: (error) => errors.push(error),
  });
  store.subscribe((change) => changes.push(describe(change)));
  return { store, errors, changes };
}

function describe(change: Change<View>): string {
  const to = change.type === 'Deleted' ? change.previous.revision : change.object.revision;
  return `${change.source} ${change.type} ${change.key} ${to}`;
}

test('each version is told once, by whom it was told first', () => {
  const { store, changes } = makeStore();
  store.observe('ADDED', thing('a', 1));
  store.upsert(thing('a', 2));
  store.observe('MODIFIED', thing('a', 2));
  store.observe('MODIFIED', thing('a', 3));
  store.upsert(thing('a', 3));
  store.observe('DELETED', thing('a', 4));
  assert.deepEqual(changes, [
    'Watch Added ns/a 1',
    'Write Updated ns/a 2',
    'Watch Updated ns/a 3',
    'Watch Deleted ns/a 3',
  ]);
});

test('the watch lags behind an own write: the store keeps the newer', () => {
  const { store } = makeStore();
  store.upsert(thing('a', 5));
  store.observe('ADDED', thing('a', 3));
  store.observe('MODIFIED', thing('a', 4));
  assert.equal(store.get('ns/a')?.revision, 5);
});

test('a late answer to an own write does not bring a deleted object back', () => {
  const { store, changes } = makeStore();
  store.observe('ADDED', thing('a', 1));
  store.observe('DELETED', thing('a', 3));
  store.upsert(thing('a', 2));
  assert.equal(store.size, 0);
  assert.deepEqual(changes, ['Watch Added ns/a 1', 'Watch Deleted ns/a 1']);
});

test('nor when a bookmark or another object was the last that the watch told', () => {
  const { store } = makeStore();
  store.advance('10');
  store.upsert(thing('a', 9));
  assert.equal(store.size, 0);
  store.observe('ADDED', thing('b', 20));
  store.upsert(thing('a', 19));
  assert.equal(store.get('ns/a'), undefined);
});

test('an object made again under its name is another one, and its predecessor’s deletion comes too late to hurt it', () => {
  const { store, changes } = makeStore();
  store.observe('ADDED', thing('a', 1));
  store.upsert(thing('a', 5, { uid: 'a-2' }));
  store.observe('DELETED', thing('a', 4));
  store.observe('ADDED', thing('a', 5, { uid: 'a-2' }));
  assert.equal(store.get('ns/a')?.uid, 'a-2');
  assert.deepEqual(changes, ['Watch Added ns/a 1', 'Write Deleted ns/a 1', 'Write Added ns/a 5']);
});

test('a snapshot reports what is gone as deleted, and keeps own writes that it cannot know', () => {
  const { store, changes } = makeStore();
  store.observe('ADDED', thing('gone', 1));
  store.observe('ADDED', thing('stays', 2));
  store.observe('ADDED', thing('changed', 3));
  const snapshot = store.snapshot();
  snapshot.take('ADDED', thing('stays', 2));
  snapshot.take('ADDED', thing('changed', 5));
  snapshot.take('ADDED', thing('short', 6));
  snapshot.take('DELETED', thing('short', 7));
  store.upsert(thing('own', 9));
  changes.length = 0;
  snapshot.commit('8');
  assert.deepEqual(changes, ['Watch Deleted ns/gone 1', 'Watch Updated ns/changed 5']);
  assert.deepEqual(
    store.list().map(({ revision }) => revision),
    [2, 5, 9],
  );
  assert.equal(store.revision, 8);
});

test('an own write that the snapshot should hold and does not was deleted', () => {
  const { store } = makeStore();
  store.upsert(thing('own', 3));
  store.snapshot().commit('5');
  assert.equal(store.size, 0);
});

test('a server restored from a backup is believed, although its versions are lower', () => {
  const { store } = makeStore();
  store.observe('ADDED', thing('a', 100));
  store.observe('ADDED', thing('b', 101));
  const snapshot = store.snapshot();
  snapshot.take('ADDED', thing('a', 40));
  snapshot.commit('50');
  assert.deepEqual(
    store.list().map(({ revision }) => revision),
    [40],
  );
  store.observe('MODIFIED', thing('a', 51));
  assert.equal(store.get('ns/a')?.revision, 51);
});

test('an object is found by each value of its indexer, and no longer by the old ones', () => {
  const { store } = makeStore();
  store.observe('ADDED', thing('a', 1, { owner: 'x,y' }));
  store.observe('ADDED', thing('b', 2, { owner: 'y' }));
  assert.equal(store.byIndex('owner', 'y').length, 2);
  store.observe('MODIFIED', thing('a', 3, { owner: 'z' }));
  store.observe('DELETED', thing('b', 4));
  assert.deepEqual(store.byIndex('owner', 'x'), []);
  assert.deepEqual(store.byIndex('owner', 'y'), []);
  assert.equal(store.byIndex('owner', 'z')[0]?.revision, 3);
});

test('one object that cannot be projected, or one listener that throws, stops nothing else', () => {
  const { store, errors, changes } = makeStore();
  store.observe('ADDED', thing('a', 1));
  store.subscribe(() => {
    throw new Error('listener');
  });
  store.subscribe((change) => changes.push(`second: ${change.key}`));
  store.observe('MODIFIED', thing('a', 2, { owner: 'bad' }));
  store.observe('ADDED', thing('b', 3));
  const snapshot = store.snapshot();
  snapshot.take('ADDED', thing('a', 2, { owner: 'bad' }));
  snapshot.take('ADDED', thing('b', 3));
  snapshot.commit('4');
  assert.deepEqual(errors.map(String), [
    'Error: cannot be projected',
    'Error: listener',
    'Error: cannot be projected',
  ]);
  assert.deepEqual(changes, ['Watch Added ns/a 1', 'Watch Added ns/b 3', 'second: ns/b']);
  assert.equal(store.get('ns/a')?.revision, 1);
});

test('a resourceVersion that cannot be compared is refused', () => {
  assert.equal(revisionOf('9007199254740991'), 9007199254740991);
  for (const bad of [undefined, '', 'abc', '1.5', '9007199254740993']) {
    assert.throws(() => revisionOf(bad), RangeError, String(bad));
  }
});

test('keys name objects with and without a namespace', () => {
  assert.deepEqual(nameOf(keyOf({ namespace: 'a', name: 'b' })), { namespace: 'a', name: 'b' });
  assert.deepEqual(nameOf(keyOf({ name: 'b' })), { name: 'b' });
});

/**
 * A model of the server: one write after another gets the next revision. The watch tells them in order, some time later;
 * it may break and be followed by a snapshot; answers to own writes arrive at any time after the write, in any order.
 */
type Step =
  | { do: 'put' | 'delete'; name: string; own: boolean }
  | { do: 'watch'; events: number }
  | { do: 'answer'; which: number }
  | { do: 'list' | 'commit' | 'bookmark' };

const name = fc.constantFrom('a', 'b', 'c');
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constantFrom('put' as const, 'delete' as const), name, own: fc.boolean() }),
  fc.record({ do: fc.constant('watch' as const), events: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ do: fc.constant('answer' as const), which: fc.nat(5) }),
  fc.record({ do: fc.constantFrom('list' as const, 'commit' as const, 'bookmark' as const) }),
);

test('whatever comes when, the store never goes back in time and ends as the server is', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { store, errors } = makeStore();
      const latest = new Map<string, number>();
      store.subscribe((change) => {
        if (change.type === 'Deleted') return;
        assert.ok(
          change.object.revision > (latest.get(change.key) ?? 0),
          'a version came twice or went back',
        );
        latest.set(change.key, change.object.revision);
      });
      const server = new Map<string, Thing>();
      const log: { type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: Thing }[] = [];
      const answers: Thing[] = [];
      let told = 0;

      const write = (name: string, del: boolean, own: boolean) => {
        const old = server.get(name);
        if (del && !old) return;
        const revision = log.length + 1;
        const object = thing(name, revision, { uid: old?.metadata.uid ?? `uid-${revision}` });
        if (del) server.delete(name);
        else server.set(name, object);
        log.push({ type: del ? 'DELETED' : old ? 'MODIFIED' : 'ADDED', object });
        if (own && !del) answers.push(object);
      };
      const watch = (events: number) => {
        for (const event of log.slice(told, told + events)) store.observe(event.type, event.object);
        told = Math.min(log.length, told + events);
      };
      // The watch rests between the server's answer to a list and its end.
      let listed: { at: number; snapshot: ReturnType<typeof store.snapshot> } | undefined;
      const list = () => {
        listed = { at: log.length, snapshot: store.snapshot() };
        for (const object of server.values()) listed.snapshot.take('ADDED', object);
      };
      const commit = () => {
        listed?.snapshot.commit(String(listed.at));
        told = listed?.at ?? told;
        listed = undefined;
      };

      for (const step of steps) {
        switch (step.do) {
          case 'put':
          case 'delete':
            write(step.name, step.do === 'delete', step.own);
            break;
          case 'watch':
            if (!listed) watch(step.events);
            break;
          case 'answer':
            for (const object of answers.splice(step.which, 1)) store.upsert(object);
            break;
          case 'list':
            list();
            break;
          case 'commit':
            commit();
            break;
          case 'bookmark':
            if (told > 0 && !listed) store.advance(String(told));
            break;
        }
      }
      commit();
      watch(log.length);
      for (const object of answers) store.upsert(object);
      const held = store.list().map(({ revision, uid }) => `${revision} ${uid}`);
      const real = [...server.values()].map(({ metadata }) => `${metadata.resourceVersion} ${metadata.uid}`);
      assert.deepEqual(held.sort(), real.sort());
      assert.deepEqual(errors, []);
    }),
    { numRuns: 2_000 },
  );
});
