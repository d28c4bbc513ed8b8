import type { Condition } from '../api/common.ts';
import type { WorkflowStatus } from '../api/workflow.ts';
import type { Problem } from '../engine/model.ts';
import { describe } from './problems.ts';
import type { RunView, WorkflowView } from './views.ts';

/**
 * What is reported about a workflow.
 *
 * @param now milliseconds since the epoch
 */
export function statusOf(
  workflow: WorkflowView,
  problems: readonly Problem[],
  runs: readonly RunView[],
  now: number,
): WorkflowStatus {
  const started = latest(runs, (run) => run.status.startedAt);
  const ended = latest(runs, (run) => run.status.finishedAt);
  const { startedAt } = started?.status ?? {};
  return {
    ...workflow.status,
    observedGeneration: workflow.generation,
    conditions: [readyCondition(workflow, problems, now)],
    triggers: 'Manual',
    active: runs.filter((run) => run.status.finishedAt === undefined).length,
    ...(started && startedAt ? { lastRun: { name: started.name, startedAt } } : {}),
    ...(ended?.status.phase ? { lastResult: ended.status.phase } : {}),
  };
}

function latest(runs: readonly RunView[], timeOf: (run: RunView) => string | undefined): RunView | undefined {
  return runs.reduce<RunView | undefined>(
    (best, run) => ((timeOf(run) ?? '') > ((best && timeOf(best)) ?? '') ? run : best),
    undefined,
  );
}

function readyCondition(
  { spec, status, generation }: WorkflowView,
  problems: readonly Problem[],
  now: number,
): Condition {
  const before = status.conditions?.find(({ type }) => type === 'Ready');
  const ready = problems.length === 0 ? 'True' : 'False';
  const lastTransitionTime =
    before?.status === ready ? before.lastTransitionTime : new Date(now).toISOString();
  return {
    type: 'Ready',
    status: ready,
    reason: problems.length === 0 ? spec.state : 'InvalidSpec',
    message: problems.length === 0 ? READY[spec.state] : describe(problems),
    observedGeneration: generation,
    lastTransitionTime,
  };
}

const READY: Record<WorkflowView['spec']['state'], string> = {
  Active: 'Runs can be started.',
  Paused: 'Runs can be started by hand only.',
  Draft: 'No run is started before the state is Active or Paused.',
};
