import { createHash } from 'node:crypto';

/** Random choices that a seed repeats. */
export interface Random {
  /** A number from 0 to below 1. */
  next(): number;
  /** A whole number from `min` to `max`, both included. */
  int(min: number, max: number): number;
  chance(probability: number): boolean;
  /** @throws when the list is empty */
  pick<T>(list: readonly T[]): T;
  /** One of the list, each as often as its weight says. */
  weighted<T extends { readonly weight: number }>(list: readonly T[]): T;
  /** Choices of their own, which do not depend on how many were made here. The same name gives the same ones. */
  fork(name: string): Random;
}

export function createRandom(seed: string): Random {
  const next = generator(seed);
  const pick = <T>(list: readonly T[]): T => {
    const picked = list[Math.floor(next() * list.length)];
    if (picked === undefined) throw new RangeError('there is nothing to pick from');
    return picked;
  };
  return {
    next,
    pick,
    int: (min, max) => min + Math.floor(next() * (max - min + 1)),
    chance: (probability) => next() < probability,
    weighted(list) {
      const total = list.reduce((sum, { weight }) => sum + weight, 0);
      let left = next() * total;
      return list.find(({ weight }) => (left -= weight) < 0) ?? pick(list);
    },
    fork: (name) => createRandom(`${seed}/${name}`),
  };
}

/** Chris Doty-Humphrey's small fast counting generator (sfc32), seeded by a hash. */
function generator(seed: string): () => number {
  const hash = createHash('sha256').update(seed).digest();
  let [a = 0, b = 0, c = 0, count = 0] = [0, 4, 8, 12].map((offset) => hash.readInt32LE(offset));
  return () => {
    const sum = (a + b + count) | 0;
    count = (count + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  };
}
