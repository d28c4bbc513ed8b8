import type { WorkflowSpec } from '../api/workflow.ts';
import { listSteps } from './listed.ts';
import type { Problem } from './model.ts';

/** How deep runs may start one another. */
export const MAX_DEPTH = 8;

/**
 * Steps of a workflow that would have it run itself, through whatever other workflows.
 *
 * @param specOf the spec of another workflow of the namespace; undefined when there is none
 */
export function cycleProblems(
  name: string,
  spec: WorkflowSpec,
  specOf: (name: string) => WorkflowSpec | undefined,
): Problem[] {
  return calledBy(spec).flatMap(({ field, called }) => {
    const way = wayBack(name, called, specOf);
    if (!way) return [];
    const message = `would have ${name} run itself without end: ${[name, ...way].join(' runs ')}. Take one of these steps out`;
    return [{ field: `${field}.workflow.name`, message }];
  });
}

interface Call {
  field: string;
  called: string;
}

/** The workflows that one runs, each with the step that does so. */
export function calledBy(spec: WorkflowSpec): Call[] {
  return listSteps(spec).flatMap(({ field, spec: { workflow } }) =>
    workflow ? [{ field, called: workflow.name }] : [],
  );
}

/** The workflows on a way from one back to the workflow that is looked for. */
function wayBack(
  target: string,
  from: string,
  specOf: (name: string) => WorkflowSpec | undefined,
  seen = new Set<string>(),
): string[] | undefined {
  if (from === target) return [target];
  if (seen.has(from)) return undefined;
  seen.add(from);
  const spec = specOf(from);
  for (const { called } of spec ? calledBy(spec) : []) {
    const rest = wayBack(target, called, specOf, seen);
    if (rest) return [from, ...rest];
  }
  return undefined;
}
