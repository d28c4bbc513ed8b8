import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RunPhase } from '../api/workflow-run.ts';
import { runOf } from './fake-run.ts';
import { expiredPods, expiredRuns } from './retention.ts';
import type { RunView } from './views.ts';

const MINUTE = 60_000;
const NOW = Date.parse('2026-01-01T12:00:00Z');

/** A run that ended so many minutes ago; none is one that has not ended. */
const run = (name: string, phase: RunPhase, minutesAgo?: number): RunView =>
  runOf(
    {
      phase,
      ...(minutesAgo === undefined ? {} : { finishedAt: new Date(NOW - minutesAgo * MINUTE).toISOString() }),
    },
    { name, uid: name, createdAt: NOW - 100 * MINUTE },
  );

const runs = [
  run('active', 'Running'),
  run('s1', 'Succeeded', 1),
  run('s2', 'Succeeded', 20),
  run('s3', 'Succeeded', 30),
  run('f1', 'Failed', 5),
  run('f2', 'TimedOut', 40),
];
const nobody = () => false;
const names = (expiry: { runs: RunView[] }) => expiry.runs.map(({ name }) => name).toSorted();

test('the latest of each outcome are kept, and what has not ended always is', () => {
  assert.deepEqual(names(expiredRuns(runs, { succeeded: 1, failed: 1 }, nobody, NOW)), ['f2', 's2', 's3']);
  assert.deepEqual(names(expiredRuns(runs, { succeeded: 0, failed: 0 }, nobody, NOW)), [
    'f1',
    'f2',
    's1',
    's2',
    's3',
  ]);
  assert.deepEqual(names(expiredRuns(runs, undefined, nobody, NOW)), []);
});

test('what is older than the ttl goes, and the next to go says when', () => {
  const expiry = expiredRuns(runs, { ttl: '25m' }, nobody, NOW);
  assert.deepEqual(names(expiry), ['f2', 's3']);
  assert.equal(expiry.nextAt, NOW + 5 * MINUTE);
  assert.equal(expiredRuns([], { ttl: '25m' }, nobody, NOW).nextAt, undefined);
});

test('a run that is being deleted is not deleted again, and takes no place', () => {
  const gone = { ...run('s0', 'Succeeded', 0), deletedAt: NOW };
  assert.deepEqual(names(expiredRuns([gone, ...runs], { succeeded: 3 }, nobody, NOW)), []);
});

test('what something still needs is kept, whatever its place or age', () => {
  const isNeeded = ({ name }: RunView) => name === 's3' || name === 'f2';
  assert.deepEqual(names(expiredRuns(runs, { succeeded: 1, ttl: '10m' }, isNeeded, NOW)), ['s2']);
});

test('pods go by an age of their own, and who has none left is not waited for', () => {
  const hasJobs = ({ name }: RunView) => name !== 's1' && name !== 's3';
  const expiry = expiredPods(runs, { podTTL: '15m', succeeded: 0 }, hasJobs, NOW);
  assert.deepEqual(names(expiry), ['f2', 's2']);
  assert.equal(expiry.nextAt, NOW + 10 * MINUTE);
  assert.deepEqual(expiredPods(runs, { ttl: '1m' }, hasJobs, NOW), { runs: [] });
});
