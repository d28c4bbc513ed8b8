import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { backoffMs } from './retry.ts';

/** The longest wait over many seeds. */
const longest = (backoff: Parameters<typeof backoffMs>[0], failures: number) =>
  Math.max(...Array.from({ length: 2000 }, (_, seed) => backoffMs(backoff, failures, `seed-${seed}`)));
const near = (actual: number, expected: number) =>
  assert.ok(actual <= expected && actual > expected * 0.99, `${actual} is not near ${expected}`);

test('waits 10 s, then twice as long each time, up to 5 min', () => {
  near(longest(undefined, 1), 10_000);
  near(longest(undefined, 2), 20_000);
  near(longest(undefined, 5), 160_000);
  near(longest(undefined, 6), 300_000);
  near(longest(undefined, 25), 300_000);
});

test('initial, factor and max are the workflow’s', () => {
  const backoff = { initial: '1s', factor: 3, max: '20s' };
  near(longest(backoff, 1), 1000);
  near(longest(backoff, 3), 9000);
  near(longest(backoff, 4), 20_000);
  assert.equal(backoffMs({ initial: '0s' }, 7, 'x'), 0);
});

test('steps that fail together are spread over a fifth of the wait, the same way each time', () => {
  fc.assert(
    fc.property(fc.string(), fc.integer({ min: 1, max: 25 }), (seed, failures) => {
      const wait = backoffMs({ initial: '100s', factor: 1 }, failures, seed);
      assert.ok(wait >= 80_000 && wait <= 100_000);
      assert.equal(backoffMs({ initial: '100s', factor: 1 }, failures, seed), wait);
    }),
  );
  const waits = Array.from({ length: 100 }, (_, step) => backoffMs(undefined, 1, `uid/step-${step}/1`));
  assert.ok(new Set(waits).size > 80);
});
