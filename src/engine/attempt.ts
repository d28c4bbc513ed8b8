import type { StepStatus } from '../api/workflow-run.ts';
import type { AttemptObservation, Effect, Node, Result } from './model.ts';
import { backoffMs } from './retry.ts';
import { cut, MAX_MESSAGE, MAX_REASON, MAX_SUMMARY, spanOf, timeOf } from './text.ts';

/** What a stopped attempt may take to end beyond its grace period before it is given up. */
const STOP_MARGIN_MS = 90_000;
/** What the kubelet gets beyond a step's timeout and grace period to end it by itself. */
const KUBELET_MARGIN_MS = 30_000;
/** Longest message of an earlier attempt; a step may have many. */
const MAX_ATTEMPT_MESSAGE = 128;
/** Attempts that are kept on record, as the schema of the status has it. */
const MAX_ATTEMPTS = 32;
/** Longest wait for the next attempt, whatever the other side asks for. */
const MAX_WAIT_MS = 3_600_000;
/** How often an attempt that never began is tried again without counting. */
const FREE_RETRIES = 5;
/** Ends are known to the second: one in the same second may lie before or after. */
const END_PRECISION_MS = 1000;

/** Reason in `attempts` of one that never began; it is what tells those that do not count. */
const NOT_STARTED = 'NotStarted';
/** Reason of a running step that was asked to end. */
const STOPPING = 'Stopping';
/** Reason of a running step whose run waits for its turn. */
const QUEUED = 'Queued';

/** Why steps must end before their time, and since when. */
export interface Halt {
  /** Milliseconds since the epoch. */
  at: number;
  outcome: 'Failed' | 'Cancelled';
  reason: string;
  /** The cause as half a sentence, for example `The run exceeded its timeout`. */
  because: string;
  /** Nobody waits for the attempts to end. */
  force: boolean;
}

/** A running attempt, what is seen of it, and the time. */
export interface Watch {
  node: Node;
  step: StepStatus;
  seen: AttemptObservation;
  run: { uid: string };
  /** What stops this step, if anything does. */
  halt?: Halt | undefined;
  now: number;
}

/** What becomes of an attempt; the same step object when nothing does. */
export interface Followed {
  step: StepStatus;
  /** Whether the attempt has to be started (again, should it be there) or stopped. */
  effect?: Effect['type'];
  /** When to look again, in milliseconds since the epoch. */
  wakeAt?: number;
}

/** Why an attempt must end, and since when. */
interface Cause extends Pick<Result, 'outcome' | 'reason' | 'infrastructure'> {
  at: number;
  message: string;
  /** What the step shows meanwhile. */
  shown: string;
  /** How long it may take to end, in milliseconds. */
  grace: number;
}

/** Takes a running attempt on by what is seen of it. */
export function follow(watch: Watch): Followed {
  const cause = causeToStop(watch);
  if (cause) return stop(watch, cause);
  const { node, step, seen, now } = watch;
  const { pendingEnd, end } = limits(watch);
  switch (seen.state) {
    case 'Ended':
      return { step: settle(watch, seen.result) };
    case 'Running':
      return { step: show(step, queuedIn(seen)), wakeAt: end };
    case 'Starting':
      return { step: show(step, undefined), wakeAt: pendingEnd };
    case 'Waiting':
      return { step: show(step, seen), wakeAt: pendingEnd };
    case 'Absent': {
      if (seen.blocked || now < pendingEnd)
        return { step: show(step, seen.blocked), effect: 'Start', wakeAt: pendingEnd };
      // Nobody was there to start it in time, which is no fault of the step: its time begins now.
      const restarted = { ...show(step, undefined), attemptStartedAt: timeOf(now) };
      return { step: restarted, effect: 'Start', wakeAt: now + node.pendingTimeout };
    }
    default:
      return seen satisfies never;
  }
}

const queuedIn = ({ queued }: { queued?: string }) =>
  queued === undefined ? undefined : { reason: QUEUED, message: queued };

function limits({ node, step, now }: Watch): { pendingEnd: number; end: number } {
  const pendingEnd = startOf(step, now) + node.pendingTimeout;
  return { pendingEnd, end: pendingEnd + node.timeout + node.gracePeriod + KUBELET_MARGIN_MS };
}

/** When the current attempt started; of the first it is the start of the step. */
function startOf({ attemptStartedAt, startedAt }: StepStatus, now: number): number {
  const start = attemptStartedAt ?? startedAt;
  return start === undefined ? now : Date.parse(start);
}

function causeToStop(watch: Watch): Cause | undefined {
  const { node, step, seen, halt, now } = watch;
  // A run that was started has steps and a `finally` of its own to end, which may take any time.
  const grace = node.kind === 'Run' ? Number.POSITIVE_INFINITY : node.gracePeriod + STOP_MARGIN_MS;
  if (halt) {
    const message = `${halt.because}, and the step was stopped.`;
    return { ...halt, message, shown: STOPPING, grace: halt.force ? 0 : grace };
  }
  const { pendingEnd, end } = limits(watch);
  if (now >= end && (seen.state !== 'Absent' || step.reason === STOPPING)) {
    const message = `The step ran longer than its timeout of ${spanOf(node.timeout)}.`;
    return { at: end, outcome: 'Failed', reason: 'DeadlineExceeded', message, shown: STOPPING, grace };
  }
  const trouble = now >= pendingEnd ? troubleOf(watch) : undefined;
  return (
    trouble && {
      at: pendingEnd,
      outcome: 'Failed',
      infrastructure: true,
      ...trouble,
      shown: trouble.reason,
      grace,
    }
  );
}

/** What keeps, or kept when it was last seen, an attempt from beginning to run. */
function troubleOf({ node, step, seen }: Watch): { reason: string; message: string } | undefined {
  switch (seen.state) {
    case 'Waiting':
      return { reason: seen.reason, message: seen.message };
    case 'Starting':
      return {
        reason: 'PendingTimeout',
        message: `The step did not begin to run within its pendingTimeout of ${spanOf(node.pendingTimeout)}.`,
      };
    case 'Absent':
      return seen.blocked ?? shownTrouble(step);
    case 'Ended':
      return shownTrouble(step);
    case 'Running':
      return undefined;
    default:
      return seen satisfies never;
  }
}

function shownTrouble({ reason, message = '' }: StepStatus): { reason: string; message: string } | undefined {
  const isTrouble = reason !== undefined && reason !== STOPPING && reason !== QUEUED;
  return isTrouble ? { reason, message } : undefined;
}

function stop(watch: Watch, cause: Cause): Followed {
  const { step, seen, now } = watch;
  const { outcome, reason, message, infrastructure, grace } = cause;
  const failure: Result = {
    outcome,
    reason,
    message,
    finishedAt: now,
    ...(infrastructure ? { infrastructure } : {}),
  };
  switch (seen.state) {
    case 'Ended':
      return {
        step: settle(
          watch,
          isOwn(seen.result, cause) ? seen.result : { ...failure, ...endOf(seen.result, message) },
        ),
      };
    case 'Absent':
      // What is not seen yet may be on its way.
      return { step: settle(watch, failure), effect: 'Stop' };
    case 'Starting':
    case 'Waiting':
    case 'Running':
      if (now >= cause.at + grace) return { step: giveUp(watch, failure, grace), effect: 'Stop' };
      return { step: show(step, { reason: cause.shown, message }), effect: 'Stop', wakeAt: cause.at + grace };
    default:
      return seen satisfies never;
  }
}

/** Whether the attempt ended by itself rather than by being stopped. */
const isOwn = (result: Result, cause: Cause) =>
  result.outcome === 'Succeeded' || result.finishedAt + END_PRECISION_MS <= cause.at;

/** What an attempt that was stopped left, its own words behind why it was stopped. */
const endOf = ({ finishedAt, uid, summary, details, note }: Result, message: string) => ({
  finishedAt,
  ...(uid === undefined ? {} : { uid }),
  ...(summary === undefined ? {} : { summary }),
  ...(details === undefined ? {} : { details }),
  ...(note === undefined ? {} : { message: `${message} ${note}` }),
});

/** An attempt that does not end may still be at work, so no other follows it. */
function giveUp(watch: Watch, failure: Result, grace: number): StepStatus {
  if (grace === 0) return end(watch.step, failure, watch.now);
  const message = `${failure.message} It did not end within ${spanOf(grace)} of being stopped.`;
  return end(watch.step, { ...failure, message }, watch.now);
}

/** Shows why a running step does not run, or nothing. The message of a reason that is shown already stays: some vary. */
function show(step: StepStatus, trouble: { reason: string; message: string } | undefined): StepStatus {
  const reason = trouble && cut(trouble.reason, MAX_REASON);
  if (step.reason === reason) return step;
  const { reason: _reason, message: _message, ...rest } = step;
  return trouble && reason ? { ...rest, reason, message: cut(trouble.message, MAX_MESSAGE) } : rest;
}

/** Ends the step with a result, or plans its next attempt. */
function settle(watch: Watch, result: Result): StepStatus {
  const { node, step, halt } = watch;
  if (result.outcome !== 'Failed' || halt) return end(step, result, watch.now);
  // By their number: clocks are set back.
  const before = Math.max(0, (step.attempt ?? 1) - 1 - (step.attemptsBefore ?? 0));
  const known = before === 0 ? [] : (step.attempts ?? []).slice(-before);
  const free = known.filter(({ reason }) => reason === NOT_STARTED).length;
  const failures = before + 1;
  if (result.notStarted && free < FREE_RETRIES) return retry(watch, result, NOT_STARTED, failures);
  const mayRetry = before - free < (node.spec.retry?.limit ?? 0) && isWorthRetrying(node, result);
  return mayRetry ? retry(watch, result, result.reason, failures) : end(step, result, watch.now);
}

/** Whether the step's `retry.causes` speaks of such a failure. */
function isWorthRetrying({ spec }: Node, { infrastructure, notStarted, exitCode }: Result): boolean {
  const causes = spec.retry?.causes ?? ['Any'];
  const kind = infrastructure || notStarted ? 'Infrastructure' : 'Error';
  return (
    causes.includes('Any') ||
    causes.includes(kind) ||
    (exitCode !== undefined && causes.includes(String(exitCode)))
  );
}

/** @param failures how many attempts have failed since the run was started or continued */
function retry(watch: Watch, result: Result, reason: string, failures: number): StepStatus {
  const { node, run, now } = watch;
  const { reason: _reason, message: _message, ...step } = watch.step;
  const why = `${result.reason}: ${result.message ?? 'no details'}`;
  const finishedAt = endTime(watch.step, result, now);
  const failed = {
    ...result,
    reason,
    message: reason === NOT_STARTED ? why : (result.message ?? result.reason),
  };
  const waiting = withEarlierAttempt(withUid(step, result), failed, finishedAt);
  const seed = `${run.uid}/${node.name}/${step.attempt}`;
  const wait = Math.max(backoffMs(node.spec.retry?.backoff, failures, seed), result.retryAfterMs ?? 0);
  const message = cut(`Attempt ${step.attempt} failed: ${why}`, MAX_MESSAGE);
  const retryAt = timeOf(finishedAt + Math.min(wait, MAX_WAIT_MS));
  return { ...waiting, retryAt, reason: 'Retrying', message };
}

/** Moves what is known of the last attempt to those before it. */
export function withEarlierAttempt(
  { job, run, attemptStartedAt, ...step }: StepStatus,
  { reason, message }: { reason: string; message?: string | undefined },
  finishedAt: number,
): StepStatus {
  const earlier = {
    ...(job ? { job } : {}),
    ...(run ? { run } : {}),
    startedAt: attemptStartedAt ?? step.startedAt ?? timeOf(finishedAt),
    finishedAt: timeOf(finishedAt),
    reason: cut(reason, MAX_REASON),
    ...(message === undefined ? {} : { message: cut(message, MAX_ATTEMPT_MESSAGE) }),
  };
  return { ...step, attempts: [...(step.attempts ?? []), earlier].slice(-MAX_ATTEMPTS) };
}

/** The UID of the Job or run, which the result may know. */
function withUid(step: StepStatus, { uid }: Result): StepStatus {
  if (uid === undefined) return step;
  if (step.job) return { ...step, job: { ...step.job, uid } };
  return step.run ? { ...step, run: { ...step.run, uid } } : step;
}

/** Node clocks differ from ours and cut off at the second: the end is at that second's end, or now if that is earlier. */
function endTime(step: StepStatus, { finishedAt }: Result, now: number): number {
  if (!Number.isFinite(finishedAt)) return now;
  return Math.max(startOf(step, now), Math.min(now, finishedAt + END_PRECISION_MS - 1));
}

/** The last word on a step. */
export function end(step: StepStatus, result: Result, now: number): StepStatus {
  const { reason: _reason, message: _message, retryAt: _retryAt, ...rest } = step;
  return {
    ...withUid(rest, result),
    phase: result.outcome,
    reason: cut(result.reason, MAX_REASON),
    ...(result.message === undefined ? {} : { message: cut(result.message, MAX_MESSAGE) }),
    ...(result.summary === undefined ? {} : { summary: cut(result.summary, MAX_SUMMARY) }),
    ...(result.outputs === undefined ? {} : { outputs: result.outputs }),
    ...result.details,
    finishedAt: timeOf(endTime(step, result, now)),
  };
}
