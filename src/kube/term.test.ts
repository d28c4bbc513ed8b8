import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fakeClock } from './fake-clock.ts';
import { beginTerm, LeaseLostError } from './term.ts';

const version = (resourceVersion: string) => ({ metadata: { resourceVersion } });

test('a term counts from when the request was sent, not from when the answer came', async () => {
  const clock = fakeClock();
  await clock.advance(700);
  const term = beginTerm(clock, 1_000, version('1'), 0);
  await clock.advance(299);
  assert.equal(term.isRunning(), true);
  await clock.advance(1);
  assert.equal(term.isRunning(), false);
  assert.deepEqual(term.lost.reason, new LeaseLostError('Expired'));
});

test('each renewal moves its end', async () => {
  const clock = fakeClock();
  const term = beginTerm(clock, 1_000, version('1'), 0);
  await clock.advance(900);
  term.extend(version('2'), 800);
  assert.equal(term.resourceVersion, '2');
  await clock.advance(800);
  assert.equal(term.lost.aborted, false);
  await clock.advance(100);
  assert.equal(term.lost.aborted, true);
});

test('an answer that comes too late neither begins a term nor revives one', async () => {
  const clock = fakeClock();
  await clock.advance(2_000);
  assert.equal(beginTerm(clock, 1_000, version('1'), 0).isRunning(), false);
  const term = beginTerm(clock, 1_000, version('1'), 2_000);
  term.lose('Taken');
  term.extend(version('2'), 2_000);
  assert.equal(term.isRunning(), false);
  assert.equal(term.resourceVersion, '1');
  assert.deepEqual(term.lost.reason, new LeaseLostError('Taken'));
});

test('after a freeze the question itself ends the term, before any timer', () => {
  let now = 0;
  const term = beginTerm({ now: () => now, after: () => () => {} }, 1_000, version('1'), 0);
  now = 60_000;
  term.extend(version('2'), 59_999);
  assert.equal(term.isRunning(), false);
  assert.equal(term.lost.aborted, true);
});

test('a term that was ended is not lost, and leaves no timer', () => {
  const clock = fakeClock();
  const term = beginTerm(clock, 1_000, version('1'), 0);
  term.end();
  assert.deepEqual([term.isRunning(), term.lost.aborted, clock.pending], [false, false, []]);
});
