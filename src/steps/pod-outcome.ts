import type { ContainerStateTerminated, ContainerStatus, Pod } from 'kubernetes-types/core/v1.d.ts';
import type { Observation, Result } from '../engine/model.ts';
import { MAIN } from './job.ts';
import { RUNNER_LABEL } from './labels.ts';
import { parseOutputs } from './outputs.ts';
import { reportOf } from './report.ts';

/** What a pod looks like for the outcome of a step: the part of it that is kept in memory. */
export type PodView = Pick<Pod, 'metadata' | 'status'> & { spec?: { nodeName?: string } };

/** Reasons of a waiting container that are no trouble: the kubelet is at work. */
const STARTING = new Set(['ContainerCreating', 'PodInitializing']);

/**
 * What the pod of a Job tells about its step, from its status alone.
 *
 * @param now milliseconds since the epoch; used where the kubelet gave no time of the end
 */
export function observePod(pod: PodView, now: number): Observation {
  const main = pod.status?.containerStatuses?.find((container) => container.name === MAIN);
  const terminated = main?.state?.terminated;
  if (terminated && !isEndedFromOutside(pod, terminated)) {
    const result = isRunner(pod) ? reported(terminated, now) : exited(terminated, now);
    return { state: 'Ended', result };
  }
  if (terminated || pod.status?.phase === 'Failed') {
    return { state: 'Ended', result: withNote(pod, main, endedFromOutside(pod, main, now)) };
  }
  if (main?.state?.running) return { state: 'Running' };
  return waiting(pod, main);
}

/** The pod was ended, and its container only with it: the reason of that says more than an exit code. */
function isEndedFromOutside({ metadata, status }: PodView, { exitCode }: ContainerStateTerminated): boolean {
  if (status?.phase === 'Failed' && status.reason !== undefined) return true;
  return exitCode !== 0 && metadata?.deletionTimestamp !== undefined;
}

const isRunner = ({ metadata }: PodView) => metadata?.labels?.[RUNNER_LABEL] === 'true';

/** What our runner says about its end; when it could not say anything, the exit code is what is left. */
function reported(terminated: ContainerStateTerminated, now: number): Result {
  const { exitCode, message = '' } = terminated;
  const finishedAt = terminated.finishedAt ? Date.parse(terminated.finishedAt) : now;
  const outcome = exitCode === 0 ? 'Succeeded' : 'Failed';
  const report = reportOf(message);
  if (report.ok) return { outcome, finishedAt, exitCode, ...report.told };
  if (outcome === 'Failed') return { outcome, finishedAt, ...exitReason(terminated) };
  return { outcome: 'Failed', finishedAt, reason: 'InvalidReport', message: report.problem };
}

function exited(terminated: ContainerStateTerminated, now: number): Result {
  const finishedAt = terminated.finishedAt ? Date.parse(terminated.finishedAt) : now;
  if (terminated.exitCode !== 0) return { outcome: 'Failed', finishedAt, ...exitReason(terminated) };
  const outputs = parseOutputs(terminated.message ?? '');
  if (!outputs.ok) return { outcome: 'Failed', finishedAt, reason: outputs.reason, message: outputs.message };
  return {
    outcome: 'Succeeded',
    finishedAt,
    reason: 'Completed',
    ...(Object.keys(outputs.values).length > 0 ? { outputs: outputs.values } : {}),
    ...(typeof outputs.values['summary'] === 'string' ? { summary: outputs.values['summary'] } : {}),
  };
}

function exitReason({
  exitCode,
  reason,
  message,
}: ContainerStateTerminated): Pick<Result, 'reason' | 'message' | 'exitCode' | 'infrastructure'> {
  switch (reason) {
    case 'OOMKilled':
      return {
        reason,
        message:
          'The container used more memory than its limit: raise pod.resources.limits.memory or use less.',
        exitCode,
      };
    // The exit codes of these two are the kubelet's own invention.
    case 'StartError':
    case 'ContainerCannotRun':
      return {
        reason: 'StartError',
        message: `The container could not be started: ${message ?? 'no reason given'}`,
      };
    case 'ContainerStatusUnknown':
      return {
        reason,
        message:
          'The node lost sight of the container, as when it is restarted or the pod is evicted; the script may have run.',
        infrastructure: true,
      };
    default:
      return { reason: 'ExitCode', message: exitMessage(exitCode), exitCode };
  }
}

function exitMessage(exitCode: number): string {
  const signal = exitCode > 128 ? ` (signal ${exitCode - 128})` : '';
  return `The script ended with exit code ${exitCode}${signal}.`;
}

function endedFromOutside(pod: PodView, main: ContainerStatus | undefined, now: number): Result {
  const terminated = main?.state?.terminated;
  const finishedAt = terminated?.finishedAt ? Date.parse(terminated.finishedAt) : now;
  const failed = { outcome: 'Failed', finishedAt } as const;
  const { reason, message } = causeOf(pod);
  if (reason === 'DeadlineExceeded') {
    return { ...failed, reason, message: 'The step ran longer than its timeout and was stopped.' };
  }
  const started = terminated?.startedAt !== undefined || main?.state?.running !== undefined;
  return { ...failed, reason, message, infrastructure: true, ...(started ? {} : { notStarted: true }) };
}

/** With what our runner could still say: how far it came, and that the state is safe. */
function withNote(pod: PodView, main: ContainerStatus | undefined, result: Result): Result {
  const report = isRunner(pod) ? reportOf(main?.state?.terminated?.message ?? '') : undefined;
  if (!report?.ok) return result;
  const { summary, details, message: note } = report.told;
  return {
    ...result,
    ...(summary === undefined ? {} : { summary }),
    ...(details === undefined ? {} : { details }),
    ...(note === undefined ? {} : { note, message: `${result.message ?? ''} ${note}`.trim() }),
  };
}

/** Why a pod was ended: the kubelet says so in its status, others in its condition, and kubectl delete nowhere. */
function causeOf({ metadata, status }: PodView): { reason: string; message: string } {
  const { reason, message } = status ?? {};
  if (reason !== undefined) return { reason, message: `The node ended the pod: ${message ?? reason}` };
  const disruption = status?.conditions?.find(
    ({ type, status }) => type === 'DisruptionTarget' && status === 'True',
  );
  if (disruption?.reason !== undefined) {
    const { reason, message } = disruption;
    return { reason, message: `The cluster ended the pod: ${message ?? reason}` };
  }
  if (metadata?.deletionTimestamp !== undefined) {
    return { reason: 'PodDeleted', message: 'Somebody deleted the pod while the step ran.' };
  }
  return { reason: 'PodFailed', message: `The node ended the pod: ${message ?? 'it gives no reason'}` };
}

function waiting(pod: PodView, main: ContainerStatus | undefined): Observation {
  const reason = main?.state?.waiting?.reason;
  if (reason !== undefined && !STARTING.has(reason)) {
    return { state: 'Waiting', ...containerTrouble(reason, main?.state?.waiting?.message) };
  }
  const scheduled = pod.status?.conditions?.find((condition) => condition.type === 'PodScheduled');
  if (scheduled?.status === 'False' && scheduled.reason === 'Unschedulable') {
    return {
      state: 'Waiting',
      reason: 'Unschedulable',
      message: scheduled.message ?? 'No node can run the pod.',
    };
  }
  return { state: 'Starting' };
}

/** A pull that fails alternates between two reasons; one of them is shown, so that the status does not flicker. */
function containerTrouble(reason: string, message = 'The kubelet gives no details.') {
  return { reason: reason === 'ErrImagePull' ? 'ImagePullBackOff' : reason, message };
}
