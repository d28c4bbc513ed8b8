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
}

/** Annotations by which a pod chooses its own outcome. */
export const outcomeAnnotations = {
  duration: 'simulated.signalbox.dev/duration',
  exitCode: 'simulated.signalbox.dev/exit-code',
  message: 'simulated.signalbox.dev/message',
} as const;

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
    outcome: outcomeOf(metadata.annotations ?? {}, defaults),
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
