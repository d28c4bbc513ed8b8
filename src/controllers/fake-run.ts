import type { StepStatus, WorkflowRunStatus } from '../api/workflow-run.ts';
import type { StartEffect } from '../engine/model.ts';
import type { FinallyStep, Step } from '../api/step.ts';
import { compile } from '../engine/graph.ts';
import type { WorkflowSpec } from '../api/workflow.ts';
import { stepTypes } from '../steps/index.ts';
import type { Revision } from './revisions.ts';
import type { RunView } from './views.ts';

// What the tests of this folder say of runs.

/** A run of workflow `w` as a store holds it. */
export function runOf(status: WorkflowRunStatus = {}, more: Partial<RunView> = {}): RunView {
  return {
    namespace: 'ns',
    name: 'r',
    uid: 'run',
    resourceVersion: '1',
    createdAt: 0,
    control: {},
    origin: {},
    votes: {},
    finalizers: [],
    spec: { workflowRef: { name: 'w' }, trigger: { type: 'Manual' } },
    status,
    ...more,
  };
}

/** A row whose first attempt is under way. */
export const running = (
  name: string,
  type: StepStatus['type'],
  more: Partial<StepStatus> = {},
): StepStatus => ({
  name,
  type,
  phase: 'Running',
  attempt: 1,
  ...more,
});

/** Start the first attempt of a step. */
export const startOf = (spec: Step | FinallyStep, id: string, step = spec.name): StartEffect => ({
  type: 'Start',
  step,
  attempt: 1,
  id,
  spec,
  evaluate: () => ({ error: 'nothing is evaluated here' }),
});

/** A frozen workflow. */
export function revisionOf(spec: Partial<WorkflowSpec> = {}): Revision {
  const whole: WorkflowSpec = { state: 'Active', steps: [{ name: 's', script: { bash: 'true' } }], ...spec };
  const compiled = compile(whole, stepTypes);
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.problems));
  return { name: 'w-1', spec: whole, graph: compiled.graph, digest: '' };
}
