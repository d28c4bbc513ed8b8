import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changesOf, type Plural, requestsOf } from './changes.ts';
import { annotated } from './fake-review.ts';
import type { ReviewedObject } from './review.ts';

const verbs = (plural: Plural, before: ReviewedObject, after: ReviewedObject) =>
  changesOf(plural, before, after).map(({ field, verb }) => `${verb} ${field.replace('signalbox.dev/', '')}`);

test('voting takes approve, cancelling and starting take control', () => {
  for (const name of ['approve', 'reject', 'withdraw', 'comment', 'fields']) {
    const found = verbs('workflowruns', annotated({}), annotated({ [name]: 'x' }));
    assert.deepEqual(found, [`approve metadata.annotations[${name}]`]);
  }
  for (const [plural, name] of [
    ['workflowruns', 'cancel'],
    ['workflowruns', 'retry'],
    ['workflows', 'run'],
    ['workflows', 'params'],
    ['projects', 'unlock'],
  ] as const) {
    const found = verbs(plural, annotated({}), annotated({ [name]: 'x' }));
    assert.deepEqual(found, [`control metadata.annotations[${name}]`]);
  }
});

test('an annotation means something on its own kind alone, and under our own prefix', () => {
  assert.deepEqual(verbs('workflows', annotated({}), annotated({ approve: 'x' })), [
    'edit metadata.annotations[approve]',
  ]);
  const other = { metadata: { name: 'one', annotations: { 'example.com/approve': 'x' } } };
  assert.deepEqual(verbs('workflowruns', annotated({}), other), [
    'edit metadata.annotations[example.com/approve]',
  ]);
  // Neither is one whose name looks like it, or is a member of every object.
  for (const name of ['approve/x', 'аpprove', 'approve ', 'toString', '__proto__']) {
    const found = verbs('workflowruns', annotated({}), annotated({ [name]: 'x' }));
    assert.ok(
      found.every((verb) => verb.startsWith('edit')),
      `${name}: ${found.join()}`,
    );
  }
});

test('all else takes edit: labels, finalizers, owners, other annotations, the spec', () => {
  const before = annotated({}, { labels: { a: '1' }, finalizers: ['signalbox.dev/run'] });
  assert.deepEqual(verbs('workflowruns', before, annotated({}, { labels: { a: '2' } })), [
    'edit metadata.labels',
    'edit metadata.finalizers',
  ]);
  assert.deepEqual(verbs('workflowruns', annotated({}), annotated({}, { ownerReferences: [] })), [
    'edit metadata.ownerReferences',
  ]);
  assert.deepEqual(verbs('workflows', { ...before, spec: { a: 1 } }, { ...before, spec: { a: 2 } }), [
    'edit spec',
  ]);
});

test('several changes in one write take all their verbs', () => {
  const found = verbs(
    'workflowruns',
    annotated({}),
    annotated({ approve: 'x', cancel: 'true' }, { labels: { a: '1' } }),
  );
  assert.deepEqual(found, [
    'approve metadata.annotations[approve]',
    'control metadata.annotations[cancel]',
    'edit metadata.labels',
  ]);
});

test("what the API server keeps by itself is nobody's change", () => {
  const before = annotated({}, { resourceVersion: '1', generation: 1, managedFields: [] });
  const after = annotated({}, { resourceVersion: '2', generation: 2, managedFields: [{}], uid: 'u' });
  assert.deepEqual(verbs('workflowruns', before, after), []);
});

test('who creates an object needs a further verb for what it asks at once', () => {
  assert.deepEqual(requestsOf('workflows', annotated({ run: 'now', other: 'x' }, { labels: {} })), [
    { field: 'metadata.annotations[signalbox.dev/run]', verb: 'control' },
  ]);
  assert.deepEqual(requestsOf('workflowruns', { metadata: {} }), []);
});
