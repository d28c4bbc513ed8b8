import type { Job, JobStatus } from 'kubernetes-types/batch/v1.d.ts';
import type { Pod } from 'kubernetes-types/core/v1.d.ts';
import type { PodSettings } from '../api/pod-settings.ts';
import { stepTypeOf } from '../api/step.ts';
import type { StepStatus } from '../api/workflow-run.ts';
import type { Effect, Observation } from '../engine/model.ts';
import { ApiError, isForbidden, isInvalid, isNotFound } from '../kube/errors.ts';
import { keyOf } from '../kube/store.ts';
import { jobOf, MANAGED_BY, podOf } from '../steps/job.ts';
import { type Images, stepTypes } from '../steps/index.ts';
import type { Cluster } from './cluster.ts';
import { type Existence, existedSince } from './history.ts';
import { settled } from './settled.ts';
import { type JobView, type PodView, type RunView, STOP_DEADLINE_SECONDS } from './views.ts';

type Start = Extract<Effect, { type: 'Start' }>;
type Stop = Extract<Effect, { type: 'Stop' }>;

/** Starts, stops and observes the attempts of steps, each as one Job with one pod of the same name. */
export interface Attempts {
  /** What is known of the current attempt of every step that has one. */
  observe(run: RunView): Map<string, Observation>;
  /** The attempts of these effects are about to be written down: no other process can have started them. */
  begin(run: RunView, effects: readonly Effect[]): void;
  /**
   * Makes Job and pod, or finds them. What keeps it from doing so is seen by the next `observe`.
   *
   * @returns after how many milliseconds to observe again; undefined when there is nothing new to see
   */
  start(run: RunView, effect: Start, podDefaults: PodSettings): Promise<number | undefined>;
  /** Asks the pod to end. */
  stop(run: RunView, effect: Stop): Promise<void>;
  /** Closes the status of every Job whose attempt has ended, and asks its pod to end where nothing did yet. */
  close(run: RunView): Promise<void>;
  /** Drops what was remembered of a run that has ended or is gone. */
  forget(runUid: string): void;
}

/** What this process knows of a run's attempts beyond what the API server shows. */
interface Memory {
  /** Jobs whose pod only this process can have made, and has not yet. */
  fresh: Set<string>;
  /** Why an attempt that shows no pod did not start, or that it ended, by Job name. */
  verdicts: Map<string, Verdict>;
}

interface Verdict {
  observation: Observation;
  /** When the start may be tried again, in milliseconds since the epoch. */
  retryAt: number;
}

/** A start that the cluster refused, for example for quota, is tried again after this time. */
const BLOCKED_RETRY_MS = 2000;

/** Answers that pass: the token was replaced, somebody else was quicker, or there are too many requests. */
const PASSING = new Set([401, 404, 409, 429]);

/** A verdict that ends an attempt. */
class Refusal extends Error {
  readonly reason: string;
  constructor(reason: string, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** @param now milliseconds since the epoch */
export function createAttempts(cluster: Cluster, images: Images, now: () => number): Attempts {
  const { jobs, pods } = cluster;
  const memories = new Map<string, Memory>();

  function memoryOf(run: RunView): Memory {
    const known = memories.get(run.uid);
    if (known) return known;
    const memory = { fresh: new Set<string>(), verdicts: new Map<string, Verdict>() };
    memories.set(run.uid, memory);
    return memory;
  }

  function podOfJob({ namespace }: RunView, name: string): PodView | undefined {
    const key = keyOf({ namespace, name });
    const pod = pods.store.get(key);
    const job = jobs.store.get(key);
    return pod && (!job || pod.job === job.uid) ? pod : undefined;
  }

  function observeStep(run: RunView, job: string): Observation {
    const pod = podOfJob(run, job);
    return pod?.observation ?? memories.get(run.uid)?.verdicts.get(job)?.observation ?? { state: 'Absent' };
  }

  /** The Job of the attempt; made unless it is there, or was there and somebody deleted it. */
  async function ensureJob(run: RunView, effect: Start, podDefaults: PodSettings): Promise<Job> {
    const object = (await findJob(run, effect)) ?? (await makeJob(run, effect, podDefaults));
    refuseForeign('Job', effect.job, run.uid, object.metadata?.ownerReferences);
    refuseUnmanaged(object);
    jobs.store.upsert(object);
    return object;
  }

  /** What is found is not made again: somebody may delete it in that very moment. */
  async function findJob(run: RunView, effect: Start): Promise<Job | undefined> {
    if (memoryOf(run).fresh.has(effect.job)) return undefined;
    const found = await unlessNotFound(jobs.client.get({ namespace: run.namespace, name: effect.job }));
    if (!found) refuseRepeat('Job', await jobExistence(run, effect));
    return found;
  }

  async function makeJob(run: RunView, effect: Start, podDefaults: PodSettings): Promise<Job> {
    const program = stepTypes[stepTypeOf(effect.spec)].program(effect.spec, images);
    const wanted = jobOf(
      { ...run, workflow: run.spec.workflowRef.name },
      { name: effect.job, step: effect.spec, attempt: effect.attempt, program, podDefaults },
    );
    return (await jobs.client.ensure(wanted)).object;
  }

  async function jobExistence(run: RunView, effect: Start): Promise<Existence> {
    const step = run.status.steps?.find(({ name }) => name === effect.step);
    if (step?.job?.uid) return 'Existed';
    return existedSince(jobs.client, { namespace: run.namespace, name: effect.job }, run.resourceVersion);
  }

  async function ensurePod(run: RunView, job: Job): Promise<void> {
    const { name = '', uid = '' } = job.metadata ?? {};
    const object = (await findPod(run, job)) ?? (await pods.client.ensure(podOf(job))).object;
    refuseForeign('pod', name, uid, object.metadata?.ownerReferences);
    memoryOf(run).fresh.delete(name);
    pods.store.upsert(object);
  }

  async function findPod(run: RunView, { metadata }: Job): Promise<Pod | undefined> {
    const name = { namespace: run.namespace, name: metadata?.name ?? '' };
    if (memoryOf(run).fresh.has(name.name)) return undefined;
    const found = await unlessNotFound(pods.client.get(name));
    if (!found) refuseRepeat('pod', await existedSince(pods.client, name, metadata?.resourceVersion ?? ''));
    return found;
  }

  async function stopPod(pod: PodView | undefined): Promise<void> {
    if (!pod || pod.stopping || pod.observation.state === 'Ended') return;
    // A pod without a node has nobody who would watch its deadline, and no logs to keep.
    if (!pod.scheduled) return pods.client.delete(pod, { uid: pod.uid });
    const patch = { metadata: { uid: pod.uid }, spec: { activeDeadlineSeconds: STOP_DEADLINE_SECONDS } };
    pods.store.upsert(await pods.client.patch(pod, patch));
  }

  async function closeJob(job: JobView): Promise<void> {
    const found = pods.store.get(keyOf(job));
    const pod = found?.job === job.uid ? found : undefined;
    // A run that was refused on its way leaves pods that nobody stopped.
    await stopPod(pod);
    jobs.store.upsert(await jobs.client.patchStatus(job, closedStatus(job, pod, now())));
  }

  return {
    observe(run) {
      const running = (run.status.steps ?? []).filter((step) => step.phase === 'Running' && step.job);
      return new Map(running.map((step) => [step.name, observeStep(run, step.job?.name ?? '')]));
    },

    begin(run, effects) {
      const { fresh } = memoryOf(run);
      for (const effect of effects) if (effect.type === 'Start') fresh.add(effect.job);
    },

    async start(run, effect, podDefaults) {
      const { verdicts } = memoryOf(run);
      const wait = (verdicts.get(effect.job)?.retryAt ?? 0) - now();
      if (wait > 0) return wait;
      try {
        await ensurePod(run, await ensureJob(run, effect, podDefaults));
        // What held it up still shows in the status.
        return verdicts.delete(effect.job) ? 0 : undefined;
      } catch (error) {
        verdicts.set(effect.job, { observation: verdictOf(error, now()), retryAt: now() + BLOCKED_RETRY_MS });
        return 0;
      }
    },

    stop: (run, effect) => stopPod(podOfJob(run, effect.job)),

    async close(run) {
      const ended = jobs.store.byIndex('run', run.uid).filter((job) => job.open && hasEnded(job, run));
      await settled(ended.map(closeJob));
    },

    forget: (runUid) => void memories.delete(runUid),
  };
}

/** Whether the run has recorded the end of the attempt that a Job stands for. */
function hasEnded(job: JobView, { status }: RunView): boolean {
  if (status.finishedAt) return true;
  const step: StepStatus | undefined = status.steps?.find(({ name }) => name === job.step);
  return (
    step !== undefined &&
    (step.finishedAt !== undefined || (step.attempt ?? 0) > job.attempt || step.retryAt !== undefined)
  );
}

function refuseRepeat(what: string, existence: Existence): void {
  switch (existence) {
    case 'Never':
      return;
    case 'Existed':
      throw new Refusal('Lost', `The ${what} of the step was deleted before its outcome was seen.`);
    case 'Unknown':
      throw new Refusal(
        'StartUnknown',
        `The operator was away for so long that it can not tell whether the ${what} of the step had been started; it is not started twice.`,
      );
  }
}

function refuseForeign(
  what: string,
  name: string,
  uid: string,
  owners: { uid: string; controller?: boolean }[] = [],
): void {
  if (owners.some((owner) => owner.controller && owner.uid === uid)) return;
  throw new Refusal(
    'NameTaken',
    `A ${what} named ${name} exists that does not belong to this run: delete it, then run again.`,
  );
}

/** An API server that drops the field would run the Job a second time. */
function refuseUnmanaged(job: Job): void {
  if (job.spec?.managedBy === MANAGED_BY) return;
  throw new Refusal(
    'JobNotManaged',
    'The API server does not support spec.managedBy of Jobs: Kubernetes 1.33 or later is needed.',
  );
}

/**
 * What a failed start means for the attempt.
 * @throws the error itself when trying again may help and nobody but the operator can do anything about it
 */
function verdictOf(error: unknown, now: number): Observation {
  if (error instanceof Refusal) return failed(error.reason, error.message, now);
  if (isInvalid(error)) return failed('InvalidPod', error.message, now);
  if (!(error instanceof ApiError) || PASSING.has(error.status)) throw error;
  // Also a webhook that fails or gives no reason: the step shows it, and its pendingTimeout ends it.
  return { state: 'Absent', blocked: { reason: blockedReason(error), message: error.message } };
}

const blockedReason = (error: ApiError) =>
  isForbidden(error) && error.message.includes('exceeded quota') ? 'QuotaExceeded' : error.reason;

function failed(reason: string, message: string, finishedAt: number): Observation {
  return { state: 'Ended', result: { outcome: 'Failed', reason, message, finishedAt } };
}

async function unlessNotFound<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** The final status of a Job, in the form that the API server demands of one that is managed from outside. */
function closedStatus(job: JobView, pod: PodView | undefined, now: number): JobStatus {
  const result = pod?.observation.state === 'Ended' ? pod.observation.result : undefined;
  const time = seconds(now);
  const condition = (type: string) => ({
    type,
    status: 'True',
    reason: result?.reason ?? 'StepEnded',
    message: result?.message ?? '',
    lastProbeTime: time,
    lastTransitionTime: time,
  });
  const startTime = pod?.startedAt ?? job.createdAt;
  const counts = { startTime, active: 0, ready: 0, terminating: 0, uncountedTerminatedPods: {} };
  if (result?.outcome !== 'Succeeded') {
    return { ...counts, failed: 1, conditions: [condition('FailureTarget'), condition('Failed')] };
  }
  const completionTime = seconds(Math.max(result.finishedAt, Date.parse(startTime)));
  return {
    ...counts,
    completionTime,
    succeeded: 1,
    conditions: [condition('SuccessCriteriaMet'), condition('Complete')],
  };
}

/** RFC 3339 to the second, as the API server keeps times of Jobs. */
const seconds = (time: number) => `${new Date(time).toISOString().slice(0, 19)}Z`;
