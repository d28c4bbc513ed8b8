import { type WorkflowRunSpec, workflowRunSpec } from '../../api/workflow-run.ts';
import type { WorkflowSpec } from '../../api/workflow.ts';
import type { Problem } from '../../engine/model.ts';
import { resolveParams } from '../../engine/params.ts';
import type { AdmissionRequest } from './review.ts';

/** What is known of workflows. */
export interface Workflows {
  /** As it was seen last, a moment ago. */
  workflowSpec(namespace: string, name: string): WorkflowSpec | undefined;
  /** As the API server has it. */
  readWorkflowSpec(namespace: string, name: string): Promise<WorkflowSpec | undefined>;
}

/** What keeps a run that somebody creates from being started. What its schema does not allow, the schema says. */
export async function problemsOfRun(
  { namespace, object }: AdmissionRequest,
  workflows: Workflows,
): Promise<Problem[]> {
  const { data: spec } = workflowRunSpec.safeParse(object.spec);
  if (!spec) return [];
  const { name } = spec.workflowRef;
  const seen = problemsWith(spec, namespace, workflows.workflowSpec(namespace, name));
  // The workflow may have been applied in the moment before.
  return seen.length === 0
    ? seen
    : problemsWith(spec, namespace, await workflows.readWorkflowSpec(namespace, name));
}

function problemsWith(
  { workflowRef: { name }, params = {} }: WorkflowRunSpec,
  namespace: string,
  workflow: WorkflowSpec | undefined,
): Problem[] {
  const about = (message: string): Problem[] => [{ field: 'spec.workflowRef.name', message }];
  if (!workflow) return about(`there is no workflow ${name} in namespace ${namespace}: apply it first`);
  if (workflow.state === 'Draft') {
    return about(`workflow ${name} is a draft: set its spec.state to Active or Paused first`);
  }
  const resolved = resolveParams(workflow.params ?? [], params);
  return resolved.ok ? [] : resolved.problems;
}
