import assert from 'node:assert/strict';
import { test } from 'node:test';
import { annotated, fakeRequest, outcomeOf } from './fake-review.ts';
import { reviewManualRun } from './manual-runs.ts';
import type { ReviewedObject } from './review.ts';

const ballot = { runBy: (_workflow: ReviewedObject, user: { username: string }) => `by ${user.username}` };
const review = (after: ReviewedObject, before?: ReviewedObject) =>
  reviewManualRun(fakeRequest('workflows', after, before), ballot);

test('who asks for a run is put on record with it, and goes with it', async () => {
  assert.deepEqual(await review(annotated({ run: 'now' }), annotated({})), {
    allowed: true,
    changes: { 'signalbox.dev/run-by': 'by jane' },
  });
  const pending = annotated({ run: 'now', 'run-by': 'by joe' });
  assert.deepEqual(await review(annotated({ 'run-by': 'by joe' }), pending), {
    allowed: true,
    changes: { 'signalbox.dev/run-by': null },
  });
  assert.deepEqual(await review(annotated({ run: 'now', 'run-by': 'by joe', a: 'b' }), pending), {
    allowed: true,
  });
});

test('nobody says who asked, and at the creation of a workflow nobody is known to', async () => {
  const pending = annotated({ run: 'now', 'run-by': 'by joe' });
  for (const [after, before] of [
    [annotated({ run: 'now', 'run-by': 'x' }), annotated({})],
    [annotated({ run: 'now', 'run-by': 'x' }), pending],
    [annotated({ run: 'now' }), pending],
    [annotated({ run: 'now', 'run-by': 'x' }), undefined],
  ] as const) {
    assert.match(outcomeOf(await review(after, before)).join(), /run-by\]: is written by Signalbox alone/);
  }
  assert.deepEqual(await review(annotated({ run: 'now' })), { allowed: true });
});
