import { createHash } from 'node:crypto';
import type { Key, KeyRing, Keys } from './keys.ts';

/** A key that follows from its name, for tests. */
export function keyNamed(id: string): Key {
  return { id, secret: createHash('sha256').update(id).digest() };
}

/** A ring of such keys; the last one is the one to write with. */
export function ringOf(first: string, ...others: string[]): KeyRing {
  const all = [first, ...others].map(keyNamed);
  return { all, write: all.at(-1) ?? keyNamed(first) };
}

/** Fake keys whose ring a test replaces; `next` is what reading the folder again would find. */
export function fakeKeys(...ids: [string, ...string[]]): Keys & { next: KeyRing } {
  let current = ringOf(...ids);
  return {
    next: current,
    ring: () => current,
    async refresh() {
      current = this.next;
      return current;
    },
    watch: async () => {},
  };
}
