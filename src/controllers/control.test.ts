import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { acceptance, orderOf, refusal, requestOf, textOf } from './control.ts';
import { runOf } from './fake-run.ts';
import type { Control } from './views.ts';

const END = '2030-01-01T00:00:00.000Z';
const asked = (control: Control, status = {}) => runOf(status, { control });
const order = (control: Control, status = {}) => {
  const run = asked(control, status);
  const request = requestOf(run);
  assert.ok(request);
  return orderOf(request, run);
};
const message = (control: Control, status = {}) => {
  const given = order(control, status);
  return given.type === 'Refuse' ? given.message : given.type;
};
const running = { phase: 'Running' } as const;
const failed = { phase: 'Failed', finishedAt: END } as const;

test('of two requests the one that ends the run goes first', () => {
  assert.deepEqual(requestOf(asked({ retry: 'failed', cancel: 'true' })), { name: 'cancel', value: 'true' });
  assert.deepEqual(requestOf(asked({ retry: 'failed' })), { name: 'retry', value: 'failed' });
  assert.equal(requestOf(asked({})), undefined);
});

test('a request is named in the status as far as it fits', () => {
  assert.equal(textOf({ name: 'retry', value: 'from:build' }), 'retry=from:build');
  assert.equal(textOf({ name: 'retry', value: 'x'.repeat(1000) }).length, 256);
});

suite('cancel', () => {
  test('is for runs that have not ended', () => {
    assert.equal(message({ cancel: 'true' }), 'Cancel');
    assert.equal(message({ cancel: 'true' }, { phase: 'Queued' }), 'Cancel');
    assert.equal(message({ cancel: 'true' }, running), 'Cancel');
    assert.equal(message({ cancel: 'true' }, failed), 'The run has ended already: it is Failed.');
  });

  test('knows one value, and says so', () => {
    assert.equal(message({ cancel: 'yes' }, running), 'signalbox.dev/cancel must be true, and is "yes".');
    assert.equal(message({ cancel: '' }, running), 'signalbox.dev/cancel must be true, and is "".');
    assert.ok(message({ cancel: 'x'.repeat(100_000) }).length < 200);
  });
});

suite('retry', () => {
  test('is for runs that have ended', () => {
    assert.deepEqual(order({ retry: 'failed' }, failed), { type: 'Retry', from: 'failed' });
    assert.match(message({ retry: 'failed' }, running), /^Only a run that has ended .* is Running\.$/);
    assert.match(message({ retry: 'failed' }), /has not begun\.$/);
  });

  test('may name a step', () => {
    assert.deepEqual(order({ retry: 'from:build' }, failed), { type: 'Retry', from: { step: 'build' } });
    for (const retry of ['from:', 'build', 'true', 'Failed']) {
      assert.match(message({ retry }, failed), /^signalbox\.dev\/retry must be failed, or from:<step>/);
    }
  });
});

test('nothing is done to a run that is being deleted', () => {
  const run = runOf(running, { control: { cancel: 'true' }, deletedAt: 1 });
  const given = orderOf({ name: 'cancel', value: 'true' }, run);
  assert.equal(given.type, 'Refuse');
});

suite('what is told', () => {
  const cancel = { name: 'cancel', value: 'true' } as const;
  const retry = { name: 'retry', value: 'failed' } as const;
  const cancellation = { requestedAt: END, reason: 'Cancelled', message: 'why' } as const;
  const note = (request: typeof cancel | typeof retry, status: Parameters<typeof acceptance>[1]) => {
    const { type, reason, note } = acceptance(request, status);
    return `${type} ${reason}: ${note}`;
  };

  test('of a cancellation is how far it goes', () => {
    assert.match(note(cancel, { ...running, cancellation }), /^Normal CancelAccepted: .* is being cancelled/);
    const ended = { phase: 'Cancelled', finishedAt: END, cancellation } as const;
    assert.equal(note(cancel, ended), 'Normal CancelAccepted: The run was cancelled.');
    const twice = { ...ended, cancellation: { ...cancellation, terminatedAt: END } };
    assert.match(note(cancel, twice), /was ended at once/);
  });

  test('of a run that failed instead is why', () => {
    const lost = { ...failed, message: 'The ControllerRevision w-1 was deleted.' };
    assert.equal(note(cancel, lost), 'Warning CancelRefused: The ControllerRevision w-1 was deleted.');
  });

  test('of a continuation is which round it is, and what the run waits for', () => {
    assert.equal(note(retry, { ...running, round: 1 }), 'Normal RetryAccepted: The run goes on: round 2.');
    const queued = { phase: 'Queued', round: 2, message: 'Waits for run a.' } as const;
    assert.match(note(retry, queued), /round 3\. Waits for run a\.$/);
  });

  test('of a refusal is a warning', () => {
    assert.deepEqual(refusal(retry, 'why'), { type: 'Warning', reason: 'RetryRefused', note: 'why' });
  });
});
