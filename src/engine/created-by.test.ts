import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { fakeKeys } from '../storage/fake-keys.ts';
import { createSeals } from '../storage/seals.ts';
import {
  CREATED_BY,
  type Created,
  createdBy,
  createdByTrigger,
  createdFor,
  creatorOf,
} from './created-by.ts';

const sealing = createSeals(fakeKeys('key'));
const NOW = Date.parse('2030-01-01T03:00:00.250Z');
const creationTimestamp = '2030-01-01T03:00:00Z';

const run: Created = {
  metadata: { namespace: 'ns', name: 'backup-203001010300-abc' },
  spec: {
    workflowRef: { name: 'backup' },
    params: { store: 's3', level: 3 },
    trigger: { type: 'Schedule', name: 'nightly', scheduledAt: '2030-01-01T03:00:00.000Z' },
  },
};

/** The run as the API server has stored it, with a record. */
const stored = (text: string, { metadata, spec }: Created = run): Created => ({
  metadata: { ...metadata, creationTimestamp, annotations: { [CREATED_BY]: text } },
  spec,
});

const record = createdByTrigger(run, sealing, NOW);

suite('a run that a trigger has started', () => {
  test('is known as that, in whatever order its fields are kept', () => {
    assert.deepEqual(creatorOf(stored(record), sealing), { kind: 'Trigger' });
    const { workflowRef, params, trigger } = run.spec;
    const { type, name, scheduledAt } = trigger;
    const turned = { trigger: { scheduledAt, name, type }, params: { level: 3, ...params }, workflowRef };
    assert.deepEqual(creatorOf(stored(record, { ...run, spec: turned }), sealing), {
      kind: 'Trigger',
    });
  });

  test('gives the same record to the runs of its steps', () => {
    const child = { ...run, metadata: { namespace: 'ns', name: 'child' } };
    const text = createdFor({ kind: 'Trigger' }, child, sealing, NOW);
    assert.deepEqual(creatorOf(stored(text, child), sealing), { kind: 'Trigger' });
  });

  test('lends its record to no other run', () => {
    const { metadata, spec } = run;
    const others: Created[] = [
      { metadata: { ...metadata, name: 'other' }, spec },
      { metadata: { ...metadata, namespace: 'other' }, spec },
      { metadata: { ...metadata, generateName: 'other-' }, spec },
      { metadata, spec: { ...spec, params: { store: 'mine', level: 3 } } },
      { metadata, spec: { ...spec, params: { ...spec.params, more: true } } },
      { metadata, spec: { ...spec, workflowRef: { name: 'other' } } },
      { metadata, spec: { ...spec, trigger: { type: 'Manual' } } },
    ];
    for (const other of others) assert.equal(creatorOf(stored(record, other), sealing), undefined);
    const later = { ...run.metadata, creationTimestamp: '2030-01-01T03:02:00Z' };
    const annotations = { [CREATED_BY]: record };
    assert.equal(creatorOf({ ...run, metadata: { ...later, annotations } }, sealing), undefined);
  });

  test('is not made of a record of a person, nor a person of its record', () => {
    const { time, signature } = JSON.parse(record) as { time: string; signature: string };
    const person = JSON.parse(createdBy(run.metadata, 'mallory', sealing, NOW)) as { signature: string };
    for (const forged of [
      { trigger: true, time, signature: person.signature },
      { user: 'mallory', time, signature },
      { trigger: true, user: 'mallory', time, signature },
      { trigger: 'true', time, signature },
      { trigger: true, time, signature: '' },
    ]) {
      assert.equal(creatorOf(stored(JSON.stringify(forged)), sealing), undefined);
    }
    const another = createSeals(fakeKeys('another'));
    assert.equal(creatorOf(stored(createdByTrigger(run, another, NOW)), sealing), undefined);
  });
});
