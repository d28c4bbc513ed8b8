import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StepStatus, WorkflowRunStatus } from '../api/workflow-run.ts';
import { runOf, running } from './fake-run.ts';
import { happenings } from './happenings.ts';

const END = '2030-01-01T00:00:00Z';
const stopping = running('a', 'script', { reason: 'Stopping', message: 'It was stopped.' });
const cancellation = { requestedAt: END, reason: 'Cancelled', message: 'Cancelled.' } as const;

/** `type reason: note` of each event between two statuses. */
const told = (before: WorkflowRunStatus, after: WorkflowRunStatus) =>
  happenings(runOf(), before, after).map(({ type, reason, note }) => `${type} ${reason}: ${note}`);
const withStep = (step: StepStatus): WorkflowRunStatus => ({ steps: [step] });

test('what holds a step up is told once', () => {
  const waiting = running('a', 'script', { reason: 'ImagePullBackOff', message: 'No such image.' });
  assert.deepEqual(told(withStep(running('a', 'script')), withStep(waiting)), [
    'Warning ImagePullBackOff: Step a is held up in attempt 1: No such image.',
  ]);
  assert.deepEqual(told(withStep(waiting), withStep({ ...waiting, message: 'Still none.' })), []);
});

test('a step that is stopped too late is told, one that somebody cancelled is not', () => {
  assert.equal(told(withStep(running('a', 'script')), withStep(stopping)).length, 1);
  assert.deepEqual(told(withStep(running('a', 'script')), { ...withStep(stopping), cancellation }), []);
});

test('a run that waits for its turn is no trouble of the step that started it', () =>
  assert.deepEqual(told({}, withStep(running('a', 'workflow', { reason: 'Queued' }))), []));

test('the end of a run is told once: a failure as a warning, a cancellation as normal', () => {
  const failed: WorkflowRunStatus = {
    phase: 'Failed',
    reason: 'StepFailed',
    message: 'a failed.',
    finishedAt: END,
  };
  assert.deepEqual(told({}, failed), ['Warning StepFailed: a failed.']);
  assert.deepEqual(told(failed, { ...failed, handled: 'x' }), []);
  const cancelled: WorkflowRunStatus = { ...failed, phase: 'Cancelled', reason: 'Cancelled', cancellation };
  assert.deepEqual(told({}, cancelled), ['Normal Cancelled: a failed.']);
  assert.deepEqual(told({}, { phase: 'Succeeded', finishedAt: END }), []);
});

test('a notification that could not be sent is told, also after the end', () => {
  const ended: WorkflowRunStatus = { phase: 'Succeeded', finishedAt: END };
  const row: StepStatus = {
    name: 'onSuccess[0]',
    type: 'slack',
    phase: 'Failed',
    reason: 'InvalidAuth',
    message: 'No.',
  };
  assert.deepEqual(told(ended, { ...ended, notifications: [row] }), [
    'Warning InvalidAuth: Step onSuccess[0] failed in attempt 1: No.',
  ]);
});
