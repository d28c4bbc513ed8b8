import type { FinallyStep, Step } from '../api/step.ts';
import type { WorkflowSpec } from '../api/workflow.ts';

/** Steps of a workflow before their place is known. */
export interface Listed {
  spec: Step | FinallyStep;
  /** Path in the workflow, for example `spec.steps[2]`. */
  field: string;
  finally: boolean;
}

/** The steps of a workflow, those of `finally` last. */
export function listSteps(spec: WorkflowSpec): Listed[] {
  const main = spec.steps.map((step, index) => ({
    spec: step,
    field: `spec.steps[${index}]`,
    finally: false,
  }));
  const last = (spec.finally ?? []).map((step, index) => {
    return { spec: step, field: `spec.finally[${index}]`, finally: true };
  });
  return [...main, ...last];
}
