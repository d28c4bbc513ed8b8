import type { FinallyStep, Step } from '../api/step.ts';
import type { WorkflowStep } from '../api/workflow-step.ts';
import { resolvedScalars } from './json-templates.ts';
import type { RunStepType } from './step-type.ts';

/** Runs another workflow of the namespace, with params of its own. */
export const workflow: RunStepType = {
  kind: 'Run',

  resolve(spec, { scalar }) {
    const call = workflowOf(spec);
    if (!call.params) return spec;
    const params = resolvedScalars('workflow.params', call.params, scalar);
    return { ...spec, workflow: { ...call, params } };
  },
};

/** Which workflow a step runs, and with what. */
export function workflowOf(spec: Step | FinallyStep): WorkflowStep {
  if (spec.workflow) return spec.workflow;
  throw new TypeError(`step ${spec.name} starts no run`);
}
