import type { WorkflowRun } from '../../src/api/resources.ts';
import type { DrawnWorkflow } from './drawn.ts';
import type { Life } from './journal.ts';

/** Longer than what an operator knows of other runs is ever held back. */
const STALE_MS = 15_000;

/** The runs that there were. */
export interface Neighbours {
  runs: ReadonlyMap<string, WorkflowRun>;
  lives: ReadonlyMap<string, Life>;
}

const workflowOf = ({ spec }: WorkflowRun) => spec.workflowRef.name;

/** Whether a run ended because another of its workflow was there. */
export const isTurnedAway = ({ status }: WorkflowRun): boolean => status?.reason === 'ConcurrencyForbid';
export const isReplaced = ({ status }: WorkflowRun): boolean => status?.cancellation?.reason === 'Replaced';

/** What is wrong with a run that was turned away or replaced: its workflow says so, and the other run was there for it. */
export function turnProblems(workflow: DrawnWorkflow, run: WorkflowRun, around: Neighbours): string[] {
  if (isTurnedAway(run)) return turnedAwayProblems(workflow, run, around);
  return isReplaced(run) ? replacedProblems(workflow, run, around) : [];
}

function turnedAwayProblems(
  { concurrency }: DrawnWorkflow,
  run: WorkflowRun,
  { runs, lives }: Neighbours,
): string[] {
  const { phase, message = '', steps = [] } = run.status ?? {};
  const name = /^Run (\S+) of the same concurrency key is (active|waiting) since/.exec(message)?.[1] ?? '';
  const rival = runs.get(name);
  const gone = (lives.get(name)?.endedAt ?? Number.POSITIVE_INFINITY) + STALE_MS;
  const wasThere = rival && workflowOf(rival) === workflowOf(run) && !isTurnedAway(rival);
  return [
    ...(concurrency?.policy === 'Forbid' ? [] : ['was turned away, and its workflow forbids nothing']),
    ...(phase === 'Cancelled' && steps.length === 0
      ? []
      : [`was turned away as ${phase}, with ${steps.length} steps`]),
    ...(wasThere && gone > (lives.get(run.metadata.name ?? '')?.seenAt ?? 0)
      ? []
      : [`was turned away for a run that was not there: ${message}`]),
  ];
}

function replacedProblems({ concurrency }: DrawnWorkflow, run: WorkflowRun, { runs }: Neighbours): string[] {
  const { message = '' } = run.status?.cancellation ?? {};
  const newer = runs.get(/^Replaced by run (\S+)\.$/.exec(message)?.[1] ?? '');
  const others = [...runs.values()].filter((other) => workflowOf(other) === workflowOf(run));
  const isNewer = newer && newer !== run && others.includes(newer) && createdAt(newer) >= createdAt(run);
  return [
    ...(concurrency?.policy === 'Replace' ? [] : ['was replaced, and its workflow replaces nothing']),
    ...(isNewer ? [] : [`was replaced by a run that is not newer: ${message}`]),
    ...(others.every(isReplaced) ? ['was replaced, and so was every other run'] : []),
  ];
}

const createdAt = ({ metadata }: WorkflowRun): number => Date.parse(metadata.creationTimestamp ?? '');
