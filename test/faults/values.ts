import type { Job } from 'kubernetes-types/batch/v1.d.ts';
import type { WorkflowRun } from '../../src/api/resources.ts';
import type { DrawnWorkflow } from './drawn.ts';
import { type Circumstances, type Ended, endedOf, phaseAfter } from './ended.ts';
import type { Made } from './history.ts';
import { expectedOf } from './row-ends.ts';

/** What is wrong with the values that a Job of this run got from the run and from earlier steps. */
export function valueProblems(
  workflow: DrawnWorkflow,
  run: WorkflowRun,
  { name, step: of, object }: Made,
  around: Circumstances,
): string[] {
  const place = workflow.steps.findIndex((step) => step.name === of);
  const step = workflow.steps[place];
  if (!step) return [`Job ${name} is of no step of the workflow`];
  const ended = endedOf(workflow, run, around);
  const wanted = {
    ...(step.reads === undefined ? {} : { SEEN: outputOf(step.reads, ended) }),
    ...(step.isFinal ? { PHASE: phaseAfter(workflow.steps.slice(0, place), ended) } : {}),
  };
  const [container] = (object as Job).spec?.template.spec?.containers ?? [];
  const env = new Map(container?.env?.map(({ name, value }) => [name, value]));
  return Object.entries(wanted)
    .filter(([name, value]) => env.get(name) !== value)
    .map(([name, value]) => `step ${step.name} got ${name}=${env.get(name)}, and not ${value}`);
}

function outputOf(name: string, ended: Ended): string {
  const step = ended.workflow.steps.find((step) => step.name === name);
  const row = ended.rows.get(name);
  if (!step || row?.phase !== 'Succeeded') return 'none';
  return String(expectedOf(step, row, ended).outputs?.['value'] ?? 'none');
}
