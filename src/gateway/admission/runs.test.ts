import assert from 'node:assert/strict';
import { test } from 'node:test';
import { annotated, fakeRequest, fakeRights, nobody, outcomeOf } from './fake-review.ts';
import { answerTo, type ReviewedObject } from './review.ts';
import { type Ballot, reviewRun } from './runs.ts';

function fakeBallot() {
  const heard: string[] = [];
  const ballot: Ballot = {
    runBy: () => '',
    async judgeCreate(_run, { username }) {
      heard.push('create');
      return { allowed: true, changes: { 'signalbox.dev/created-by': username } };
    },
    async judgeUpdate(_before, { metadata }) {
      heard.push('vote');
      const step = metadata.annotations?.['signalbox.dev/approve'];
      if (step === 'gone') return { allowed: false, message: 'There is no step gone.' };
      return { allowed: true, changes: { 'signalbox.dev/approve': null, 'signalbox.dev/vote-1': 'signed' } };
    },
  };
  return { ballot, heard };
}

async function review(object: ReviewedObject, before?: ReviewedObject, ...denied: string[]) {
  const { ballot, heard } = fakeBallot();
  const { mayDo, asked } = fakeRights(...denied);
  const verdict = await reviewRun(fakeRequest('workflowruns', object, before), mayDo, ballot, nobody);
  return { verdict, outcome: outcomeOf(verdict).join(), heard, asked };
}

test('who creates a run is recorded, whoever an annotation says it was', async () => {
  const { verdict } = await review(annotated({ 'created-by': 'somebody else' }));
  assert.deepEqual(verdict, { allowed: true, changes: { 'signalbox.dev/created-by': 'jane' } });
});

test('nobody creates a run in the name of a schedule', async () => {
  const spec = { workflowRef: { name: 'w' }, trigger: { type: 'Schedule', name: 'nightly' } };
  const { outcome, heard } = await review({ ...annotated({}), spec });
  assert.match(outcome, /^spec\.trigger\.type: is Schedule, which Signalbox alone may say/);
  assert.deepEqual(heard, []);
  // One that is there may be labelled, retried and voted on.
  const { verdict } = await review({ ...annotated({ cancel: 'true' }), spec }, { ...annotated({}), spec });
  assert.ok(verdict.allowed);
  const pushed = await review({ ...annotated({}), spec: { ...spec, trigger: { type: 'GitPush' } } });
  assert.doesNotMatch(pushed.outcome, /trigger/);
});

test('nobody creates a run in the name of a step, or has one belong to another run', async () => {
  const workflowRef = { name: 'w' };
  const owner = {
    apiVersion: 'signalbox.dev/v1alpha1',
    kind: 'WorkflowRun',
    name: 'r',
    uid: '1',
    controller: true,
  };
  const owned = annotated({}, { ownerReferences: [owner] });
  const spec = { workflowRef, trigger: { type: 'Workflow', name: 'r', step: 'call', depth: 1 } };
  const both = await review({ ...owned, spec });
  assert.match(
    both.outcome,
    /^spec\.trigger\.type: is Workflow, which .*metadata\.ownerReferences: names a run/,
  );
  assert.deepEqual(both.heard, []);
  const { outcome } = await review(owned, annotated({}));
  assert.match(outcome, /^metadata\.ownerReferences: names a run, which Signalbox alone may do/);
  // One that is there may be labelled, and others may own a run.
  assert.ok((await review({ ...owned, spec }, { ...owned, spec })).verdict.allowed);
  const other = annotated({}, { ownerReferences: [{ ...owner, apiVersion: 'v1', kind: 'ConfigMap' }] });
  assert.doesNotMatch((await review({ ...other, spec: { workflowRef } })).outcome, /ownerReferences/);
});

test('a vote takes the verb approve and nothing else', async () => {
  const right = 'approve workflowruns.signalbox.dev one';
  const { verdict, asked, heard } = await review(annotated({ approve: 'gate' }), annotated({}));
  assert.ok(verdict.allowed);
  assert.deepEqual([asked, heard], [[right], ['vote']]);
  const refused = await review(annotated({ approve: 'gate' }), annotated({}), right);
  assert.match(refused.outcome, /jane may not change it: that takes the verb approve on workflowruns/);
  assert.deepEqual(refused.heard, []);
});

test('an approver can change nothing in the same write, or another one', async () => {
  const denied = ['control', 'edit'].map((verb) => `${verb} workflowruns.signalbox.dev one`);
  for (const [after, field] of [
    [annotated({ approve: 'gate' }, { labels: { a: '1' } }), 'metadata.labels'],
    [annotated({ approve: 'gate', cancel: 'true' }), 'metadata.annotations[signalbox.dev/cancel]'],
    [annotated({}, { finalizers: [] }), 'metadata.finalizers'],
    [{ metadata: { name: 'one', annotations: { a: 'b' } } }, 'metadata.annotations[a]'],
  ] as const) {
    const { outcome, heard } = await review(after, annotated({}), ...denied);
    assert.ok(outcome.startsWith(`${field}: jane may not change it`), outcome);
    assert.deepEqual(heard, []);
  }
});

test('nobody writes, changes or removes the record of a vote or of the creator', async () => {
  const before = annotated({ 'vote-1': 'signed', 'created-by': 'joe' });
  for (const [after, old] of [
    [annotated({ 'vote-1': 'x' }), undefined],
    [annotated({ 'vote-2': 'x' }), annotated({})],
    [annotated({ 'vote-1': 'changed', 'created-by': 'joe' }), before],
    [annotated({ 'created-by': 'joe' }), before],
    [annotated({ 'vote-1': 'signed', 'created-by': 'jane' }), before],
    [annotated({ 'vote-1': 'signed' }), before],
    [annotated({ 'vote-2': 'x', approve: 'gate' }), annotated({})],
  ] as const) {
    const { outcome, heard } = await review(after, old);
    assert.match(outcome, /is written by Signalbox alone/);
    assert.deepEqual(heard, []);
  }
});

test('a vote that does not count is refused with the reason', async () => {
  const { verdict } = await review(annotated({ approve: 'gone' }), annotated({}));
  assert.deepEqual(verdict, {
    allowed: false,
    code: 403,
    reason: 'Forbidden',
    message: 'There is no step gone.',
  });
});

test('other changes are no votes', async () => {
  const { outcome, heard, asked } = await review(annotated({ cancel: 'true' }), annotated({}));
  assert.deepEqual([outcome, heard, asked], ['allowed', [], ['control workflowruns.signalbox.dev one']]);
});

test('a run that could not start is refused, and one that has begun is let be', async () => {
  const spec = { workflowRef: { name: 'gone' } };
  const { verdict, heard } = await review({ metadata: { generateName: 'gone-' }, spec });
  assert.ok(!verdict.allowed && verdict.code === 422);
  assert.deepEqual(heard, []);
  const kept = await review({ ...annotated({}, { labels: { a: '1' } }), spec }, { ...annotated({}), spec });
  assert.ok(kept.verdict.allowed, 'a run whose workflow has gone can still be changed');
});

test('a refusal is short, however many annotations there are, and however long their names', async () => {
  const names = Array.from({ length: 1000 }, (_, index) => `${index}-${'x'.repeat(10_000)}`);
  const given = annotated(Object.fromEntries(names.map((name) => [name, ''])));
  const request = fakeRequest('workflowruns', given, annotated({}));
  const { mayDo } = fakeRights('edit workflowruns.signalbox.dev one');
  const verdict = await reviewRun(request, mayDo, fakeBallot().ballot, nobody);
  assert.ok(!verdict.allowed);
  assert.ok(JSON.stringify(answerTo(request, verdict)).length < 300_000);
});
