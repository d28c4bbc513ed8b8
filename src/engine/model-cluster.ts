import type { Observation, Result, StepKind } from './model.ts';

// For tests: attempts in a cluster that is only modelled. What is seen of one follows from its plan and the time.

/** How an attempt behaves. */
export interface Plan {
  kind:
    | 'Succeeds'
    | 'Fails'
    /** Lost before it began, through no fault of its own. */
    | 'Lost'
    /** Waits for ever, as for an image that does not exist. */
    | 'Stuck'
    /** Is refused by the cluster, as by a quota. */
    | 'Blocked'
    /** Runs for ever, and ends when it is stopped. */
    | 'Hangs'
    /** Runs for ever, whatever is done. */
    | 'IgnoresStop';
  /** Milliseconds from its creation to its beginning, and from there to its end. */
  startsAfter: number;
  runsFor: number;
  /** Milliseconds that a run takes to end when it is stopped, since it has a `finally` of its own. */
  stopsAfter?: number;
  outputs?: Record<string, unknown>;
}

export interface ModelAttempt {
  /** The row of the status that it belongs to. */
  row: string;
  attempt: number;
  round: number;
  kind: StepKind;
  plan: Plan;
  /** Milliseconds since the epoch, as all times here. */
  createdAt: number;
  stoppedAt?: number;
  /** The newest state that was seen: what is seen never goes back. */
  seenUntil: number;
}

/** The times at which the state of an attempt changes. */
export function changesOf(attempt: ModelAttempt): number[] {
  const { createdAt, plan } = attempt;
  const begins = beginOf(attempt);
  return [createdAt, begins, begins + plan.runsFor, stopOf(attempt)].filter((at) => Number.isFinite(at));
}

export function stateAt(attempt: ModelAttempt, time: number): Observation {
  const { plan, kind, createdAt } = attempt;
  const begins = beginOf(attempt);
  const stops = stopOf(attempt);
  if (time < createdAt) return { state: 'Absent' };
  if (plan.kind === 'Stuck') {
    const stuck = { state: 'Waiting', reason: 'ImagePullBackOff', message: 'no such image' } as const;
    return time < stops ? stuck : { state: 'Absent' };
  }
  if (time < begins && time < stops) return { state: 'Starting' };
  // A Job whose pod never ran is deleted.
  if (stops <= begins) return kind === 'Job' ? { state: 'Absent' } : ended('Failed', 'Stopped', stops);
  return stateBegun(attempt, time, { begins, stops });
}

function stateBegun(
  { plan }: ModelAttempt,
  time: number,
  at: { begins: number; stops: number },
): Observation {
  const { begins, stops } = at;
  if (plan.kind === 'Lost') return ended('Failed', 'Evicted', begins, { notStarted: true });
  const forEver = plan.kind === 'Hangs' || plan.kind === 'IgnoresStop';
  const ends = forEver ? Number.POSITIVE_INFINITY : begins + plan.runsFor;
  if (time >= ends && ends <= stops) {
    const outputs = plan.outputs ? { outputs: plan.outputs } : {};
    return plan.kind === 'Fails'
      ? ended('Failed', 'ExitCode', ends)
      : ended('Succeeded', 'Completed', ends, outputs);
  }
  if (time >= stops && plan.kind !== 'IgnoresStop') return ended('Failed', 'Stopped', stops);
  return { state: 'Running' };
}

/** A run that was started counts as running from the first moment: it may wait for its turn. */
const beginOf = ({ kind, createdAt, plan }: ModelAttempt): number =>
  createdAt + (kind === 'Run' ? 0 : plan.startsAfter);

const stopOf = ({ kind, plan, stoppedAt = Number.POSITIVE_INFINITY }: ModelAttempt): number =>
  stoppedAt + stopTime(kind, plan);

/** How long an attempt takes to end when it is stopped, in milliseconds. */
function stopTime(kind: StepKind, { stopsAfter = 0 }: Plan): number {
  switch (kind) {
    case 'Job':
      return 500;
    case 'Run':
      return stopsAfter;
    case 'Call':
    case 'Approval':
    case 'Inline':
      return 0;
    default:
      return kind satisfies never;
  }
}

function ended(
  outcome: Result['outcome'],
  reason: string,
  finishedAt: number,
  more: Partial<Result> = {},
): Observation {
  return { state: 'Ended', result: { outcome, reason, finishedAt, ...more } };
}
