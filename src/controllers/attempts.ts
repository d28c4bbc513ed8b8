import { type StepTypeName, stepTypeOf } from '../api/step.ts';
import type { StepStatus, WorkflowRunStatus } from '../api/workflow-run.ts';
import type { Effect, Observation, StartEffect, StepKind, StopEffect } from '../engine/model.ts';
import { jobName } from '../engine/names.ts';
import { stepTypes } from '../steps/index.ts';
import type { Executor } from './executor.ts';
import type { Revision } from './revisions.ts';
import { settled } from './settled.ts';
import type { RunView } from './views.ts';
import type { VoteReader } from './votes.ts';

/** Starts, stops and observes the attempts of steps and notifications, each in the way of its type. */
export interface Attempts {
  /** What is known of the current attempt of every row that has one, by the name of the row. */
  observe(run: RunView): Map<string, Observation>;
  /** The attempts of these effects are about to be written down, if the status of the run does not name them yet. */
  begin(run: RunView, effects: readonly Effect[]): void;
  /**
   * Starts the attempt, or finds it. What keeps it from doing so is seen by the next `observe`.
   *
   * @returns after how many milliseconds to observe again; undefined when there is nothing new to see
   */
  start(run: RunView, effect: StartEffect, revision: Revision): Promise<number | undefined>;
  /** Asks the attempt to end. */
  stop(run: RunView, effect: StopEffect): Promise<void>;
  /** Ends what is left of attempts that have ended, as the status has it, and forgets a run that has no others. */
  close(run: RunView): Promise<void>;
  /** The status with the UIDs of what was started since: proof that it was, should it be deleted. */
  withUids(run: RunView, status: WorkflowRunStatus): WorkflowRunStatus;
  /** Drops what was remembered of a run that is gone, and ends what goes on of it in memory. */
  forget(runUid: string): void;
}

/** Who carries out the attempts of which kind of step. */
export type Executors = Readonly<Record<Exclude<StepKind, 'Approval' | 'Inline'>, Executor>>;

export function createAttempts(executors: Executors, votes: VoteReader): Attempts {
  const all = Object.values(executors);

  function executorOf(type: StepTypeName): Executor | undefined {
    const { kind } = stepTypes[type];
    return kind === 'Inline' || kind === 'Approval' ? undefined : executors[kind];
  }

  function forget(runUid: string): void {
    for (const executor of all) executor.forget(runUid);
    votes.forget(runUid);
  }

  function uidsIn(run: RunView, row: StepStatus): StepStatus {
    const { job, run: child } = row;
    const object = job ?? child;
    const uid = object && !object.uid ? executorOf(row.type)?.uidOf(run, object.name) : undefined;
    if (!object || uid === undefined) return row;
    return { ...row, [job ? 'job' : 'run']: { ...object, uid } };
  }

  return {
    observe(run) {
      const seen = new Map<string, Observation>();
      for (const row of currentRows(run.status)) {
        const observation = executorOf(row.type)?.observe(run, idOf(run, row));
        if (observation) seen.set(row.name, observation);
      }
      for (const row of askedRows(run.status)) {
        seen.set(row.name, { state: 'Votes', votes: votes.votesOn(run, row) });
      }
      return seen;
    },

    begin(run, effects) {
      const named = currentIds(run);
      for (const effect of effects) {
        if (effect.type !== 'Start' || named.has(effect.id)) continue;
        executorOf(stepTypeOf(effect.spec))?.begin(run, effect.id);
      }
    },

    async start(run, effect, revision) {
      return executorOf(stepTypeOf(effect.spec))?.start(run, effect, revision);
    },

    async stop(run, effect) {
      await executorOf(effect.stepType)?.stop(run, effect);
    },

    async close(run) {
      const current = currentIds(run);
      await settled(all.map((executor) => executor.close(run, current)));
      if (run.status.finishedAt !== undefined && current.size === 0) forget(run.uid);
    },

    withUids: (run, status) =>
      status.steps ? { ...status, steps: status.steps.map((row) => uidsIn(run, row)) } : status,

    forget,
  };
}

/** The ids of the attempts that the status says are under way. */
export const currentIds = (run: RunView): Set<string> =>
  new Set(currentRows(run.status).map((row) => idOf(run, row)));

/** The rows that have an attempt under way. A step with `forEach` has none of its own. */
function currentRows({ finishedAt, steps = [], notifications = [] }: WorkflowRunStatus): StepStatus[] {
  const rows = finishedAt === undefined ? [...steps, ...notifications] : notifications;
  return rows.filter(
    ({ phase, attempt, retryAt }) => phase === 'Running' && attempt !== undefined && retryAt === undefined,
  );
}

/** The approvals that wait, and those of which it must be known that they were given. */
function askedRows({ finishedAt, steps = [] }: WorkflowRunStatus): StepStatus[] {
  if (finishedAt !== undefined) return [];
  return steps.filter(({ type, startedAt }) => type === 'approval' && startedAt !== undefined);
}

/** As the engine names attempts; what was written counts where the attempt is an object. */
function idOf(run: RunView, { name, attempt = 1, job, run: child }: StepStatus): string {
  return job?.name ?? child?.name ?? jobName(run, name, attempt, run.status.round);
}
