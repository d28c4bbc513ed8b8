import type { Condition } from '../api/common.ts';
import type { WorkflowStatus } from '../api/workflow.ts';
import type { Problem } from '../engine/model.ts';
import { timeOf } from '../engine/text.ts';
import { triggersText } from '../triggers/index.ts';
import { describe } from './problems.ts';
import type { SchedulesReport } from './schedules.ts';
import type { RunView, WorkflowView } from './views.ts';

export interface StatusInput {
  workflow: WorkflowView;
  /** What is wrong with it. */
  problems: readonly Problem[];
  /** Its runs. */
  runs: readonly RunView[];
  schedules: SchedulesReport;
  /** Milliseconds since the epoch. */
  now: number;
}

/** What is reported about a workflow. */
export function statusOf({ workflow, problems, runs, schedules, now }: StatusInput): WorkflowStatus {
  const started = latest(runs, (run) => run.status.startedAt);
  const ended = latest(runs, (run) => run.status.finishedAt);
  const { startedAt } = started?.status ?? {};
  const { schedules: _schedules, nextRun: _nextRun, ...before } = workflow.status;
  return {
    ...before,
    observedGeneration: workflow.generation,
    conditions: conditionsOf(workflow, problems, schedules, now),
    triggers: triggersText(workflow.spec),
    active: runs.filter((run) => run.status.finishedAt === undefined).length,
    ...(started && startedAt ? { lastRun: { name: started.name, startedAt } } : {}),
    ...(schedules.nextAt === undefined ? {} : { nextRun: timeOf(schedules.nextAt) }),
    ...(schedules.statuses.length === 0 ? {} : { schedules: schedules.statuses }),
    ...(ended?.status.phase ? { lastResult: ended.status.phase } : {}),
  };
}

function latest(runs: readonly RunView[], timeOf: (run: RunView) => string | undefined): RunView | undefined {
  return runs.reduce<RunView | undefined>(
    (best, run) => ((timeOf(run) ?? '') > ((best && timeOf(best)) ?? '') ? run : best),
    undefined,
  );
}

function conditionsOf(
  workflow: WorkflowView,
  problems: readonly Problem[],
  { verdict }: SchedulesReport,
  now: number,
): Condition[] {
  const judge = (type: string, said: Verdict) => conditionOf(workflow, type, said, now);
  const ready = judge('Ready', readiness(workflow, problems));
  return verdict ? [ready, judge('Scheduled', verdict)] : [ready];
}

/** What a condition says. */
export type Verdict = Pick<Condition, 'status' | 'reason' | 'message'>;

function conditionOf(
  { status, generation }: WorkflowView,
  type: string,
  said: Verdict,
  now: number,
): Condition {
  const before = status.conditions?.find((condition) => condition.type === type);
  const lastTransitionTime = before?.status === said.status ? before.lastTransitionTime : timeOf(now);
  return { type, ...said, observedGeneration: generation, lastTransitionTime };
}

const readiness = ({ spec }: WorkflowView, problems: readonly Problem[]): Verdict =>
  problems.length === 0
    ? { status: 'True', reason: spec.state, message: READY[spec.state] }
    : { status: 'False', reason: 'InvalidSpec', message: describe(problems) };

const READY: Record<WorkflowView['spec']['state'], string> = {
  Active: 'Runs can be started.',
  Paused: 'Runs can be started by hand only.',
  Draft: 'No run is started before the state is Active or Paused.',
};
