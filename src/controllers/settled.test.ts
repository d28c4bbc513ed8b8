import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settled } from './settled.ts';

test('a failure is told only when the calls beside it have ended', async () => {
  const slow = Promise.withResolvers<void>();
  const told: string[] = [];
  const all = settled([Promise.reject(new Error('first')), slow.promise]).catch(() => told.push('failed'));
  setImmediate(() => {
    told.push('slow');
    slow.resolve();
  });
  await all;
  assert.deepEqual(told, ['slow', 'failed']);
});
