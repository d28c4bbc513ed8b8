import type { WorkflowRun } from '../../src/api/resources.ts';
import type { StepStatus, WorkflowRunStatus } from '../../src/api/workflow-run.ts';
import type { DrawnStep, DrawnWorkflow } from './drawn.ts';
import type { Circumstances } from './ended.ts';
import type { Made } from './history.ts';

// What the tests of the rules say: steps that were drawn, and what became of them.

/** A script that succeeds at its first attempt, unless something else is said of it. */
export const drawn = (name: string, more: Partial<DrawnStep> = {}): DrawnStep => ({
  name,
  isFinal: false,
  waitsFor: [],
  runIf: 'Success',
  forgiven: false,
  gate: { kind: 'None' },
  reads: undefined,
  expected: { phase: 'Succeeded', reason: 'Completed', attempts: 1 },
  spec: { name },
  ...more,
});

export const failing = { expected: { phase: 'Failed', reason: 'ExitCode', attempts: 1 } } as const;

export const workflowOf = (...steps: DrawnStep[]): DrawnWorkflow => ({
  name: 'w',
  steps,
  queued: false,
  children: [],
  spec: { steps: [] },
});

/** A row as `name Phase Reason attempt`. */
export function row(text: string, more: Partial<StepStatus> = {}): StepStatus {
  const [name = '', phase = 'Pending', reason, attempt] = text.split(' ');
  return {
    name,
    type: 'script',
    phase: phase as StepStatus['phase'],
    ...(reason ? { reason } : {}),
    ...(attempt ? { attempt: Number(attempt) } : {}),
    ...more,
  };
}

export function runOf(
  phase: string,
  steps: StepStatus[],
  more: Partial<WorkflowRunStatus> = {},
): WorkflowRun {
  const status = { phase: phase as NonNullable<WorkflowRunStatus['phase']>, steps, ...more };
  return {
    apiVersion: 'signalbox.dev/v1alpha1',
    kind: 'WorkflowRun',
    metadata: { name: 'r', resourceVersion: '10' },
    spec: { workflowRef: { name: 'w' }, trigger: { type: 'Manual' } },
    status,
  };
}

export const quiet: Circumstances = { mayBeCancelled: false, forgotten: new Set(), child: () => undefined };

export const made = (kind: Made['kind'], name: string, more: Partial<Made> = {}): Made => ({
  kind,
  name,
  uid: `${kind} ${name}`,
  run: 'r',
  step: 'a',
  row: 'a',
  attempt: 1,
  createdAt: 20,
  object: {},
  deleted: false,
  ...more,
});
