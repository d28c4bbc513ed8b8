import type {
  ContainerState,
  ContainerStatus,
  Pod,
  PodCondition,
  PodStatus,
} from 'kubernetes-types/core/v1.d.ts';

/** How simulated pods of jobs end, unless an annotation of theirs says otherwise. */
export interface Outcome {
  /** Seconds from start to end. */
  readonly duration: number;
  readonly exitCode: number;
  /** What the container leaves in its termination message. */
  readonly message: string;
  /** Whether the node turns the pod away before its container starts. */
  readonly evicted?: boolean;
}

/** Annotations by which a pod chooses its own outcome. */
export const outcomeAnnotations = {
  duration: 'simulated.signalbox.dev/duration',
  exitCode: 'simulated.signalbox.dev/exit-code',
  message: 'simulated.signalbox.dev/message',
} as const;

/**
 * Environment variable by which a step chooses the outcomes of its pods, which it cannot annotate: a JSON list with what
 * differs from the defaults, one for each attempt, the last for all that follow.
 */
export const OUTCOMES_VARIABLE = 'SIMULATED_OUTCOMES';

/** Tells which attempt of a step a pod is. */
const ATTEMPT_LABEL = 'signalbox.dev/attempt';

/** What the simulated kubelet keeps of a pod. */
export interface SimulatedPod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly phase: string;
  readonly isDeleted: boolean;
  /** False for one that is started again whenever it ends, as pods of Deployments are: it runs until it is deleted. */
  readonly ends: boolean;
  readonly outcome: Outcome;
  /** `spec.activeDeadlineSeconds`, after which the node ends it. */
  readonly deadlineSeconds: number;
  readonly conditions: readonly PodCondition[];
  readonly containers: readonly { readonly name: string; readonly image: string }[];
  /** RFC 3339; absent until it runs. */
  readonly startTime: string | undefined;
}

export function simulatedPod(pod: Pod, defaults: Outcome): SimulatedPod {
  const { metadata = {}, spec, status = {} } = pod;
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name ?? '',
    uid: metadata.uid ?? '',
    resourceVersion: metadata.resourceVersion ?? '',
    phase: status.phase ?? 'Pending',
    isDeleted: metadata.deletionTimestamp !== undefined,
    ends: spec?.restartPolicy !== 'Always',
    outcome: { ...outcomeOf(metadata.annotations ?? {}, defaults), ...chosenOutcome(pod) },
    deadlineSeconds: spec?.activeDeadlineSeconds ?? Number.POSITIVE_INFINITY,
    conditions: status.conditions ?? [],
    containers: (spec?.containers ?? []).map(({ name, image = '' }) => ({ name, image })),
    startTime: status.startTime,
  };
}

function outcomeOf(annotations: Readonly<Record<string, string>>, defaults: Outcome): Outcome {
  const { [outcomeAnnotations.duration]: duration, [outcomeAnnotations.exitCode]: exitCode } = annotations;
  return {
    duration: duration === undefined ? defaults.duration : Number(duration),
    exitCode: exitCode === undefined ? defaults.exitCode : Number(exitCode),
    message: annotations[outcomeAnnotations.message] ?? defaults.message,
  };
}

function chosenOutcome({ metadata, spec }: Pod): Partial<Outcome> {
  const variable = spec?.containers[0]?.env?.find(({ name }) => name === OUTCOMES_VARIABLE);
  const outcomes: Partial<Outcome>[] = JSON.parse(variable?.value ?? '[]');
  const attempt = Number(metadata?.labels?.[ATTEMPT_LABEL] ?? 1);
  return outcomes[Math.min(attempt, outcomes.length) - 1] ?? {};
}

/** Seconds from its start until a running pod ends, by itself or at its deadline. */
export function secondsToRun({ outcome, deadlineSeconds }: SimulatedPod): number {
  return Math.min(outcome.duration, deadlineSeconds);
}

/** The status of a pod that the node turns away before it starts anything. */
export function evictedStatus({ conditions }: SimulatedPod): PodStatus {
  return {
    phase: 'Failed',
    reason: 'Evicted',
    message: 'The node was low on resources.',
    conditions: [...conditions],
  };
}

/** The status of a pod whose containers have just started. @param now RFC 3339 */
export function runningStatus(pod: SimulatedPod, now: string): PodStatus {
  return {
    phase: 'Running',
    startTime: now,
    conditions: conditionsOf(pod, now, 'True'),
    containerStatuses: containerStatuses(pod, { running: { startedAt: now } }),
  };
}

/** The status of a pod whose containers have just ended. @param now RFC 3339 */
export function endedStatus(pod: SimulatedPod, now: string): PodStatus {
  if (pod.deadlineSeconds < pod.outcome.duration) return overdueStatus(pod, now);
  const { exitCode, message } = pod.outcome;
  const terminated = {
    exitCode,
    reason: exitCode === 0 ? 'Completed' : 'Error',
    ...(message && { message }),
    startedAt: pod.startTime ?? now,
    finishedAt: now,
  };
  return {
    phase: exitCode === 0 ? 'Succeeded' : 'Failed',
    conditions: conditionsOf(pod, now, 'False'),
    containerStatuses: containerStatuses(pod, { terminated }),
  };
}

/** The status of a pod that the node ended at its deadline. */
function overdueStatus(pod: SimulatedPod, now: string): PodStatus {
  const terminated = { exitCode: 143, reason: 'Error', startedAt: pod.startTime ?? now, finishedAt: now };
  return {
    phase: 'Failed',
    reason: 'DeadlineExceeded',
    message: 'Pod was active on the node longer than the specified deadline',
    conditions: conditionsOf(pod, now, 'False'),
    containerStatuses: containerStatuses(pod, { terminated }),
  };
}

function conditionsOf(pod: SimulatedPod, now: string, ready: 'True' | 'False'): PodCondition[] {
  const scheduled = pod.conditions.filter(({ type }) => type === 'PodScheduled');
  const own = { Initialized: 'True', ContainersReady: ready, Ready: ready };
  return [
    ...scheduled,
    ...Object.entries(own).map(([type, status]) => ({ type, status, lastTransitionTime: now })),
  ];
}

function containerStatuses(pod: SimulatedPod, state: ContainerState): ContainerStatus[] {
  const ready = state.running !== undefined;
  return pod.containers.map(({ name, image }) => ({
    name,
    image,
    imageID: image,
    ready,
    started: ready,
    restartCount: 0,
    state,
  }));
}
