import type { Job, JobStatus } from 'kubernetes-types/batch/v1.d.ts';
import type { Pod } from 'kubernetes-types/core/v1.d.ts';
import type { PodSettings } from '../api/pod-settings.ts';
import { stepTypeOf } from '../api/step.ts';
import type { StartEffect } from '../engine/model.ts';
import { keyOf } from '../kube/store.ts';
import { jobOf, MANAGED_BY, podOf } from '../steps/job.ts';
import { MADE_AFTER } from '../steps/labels.ts';
import { type Images, stepTypes } from '../steps/index.ts';
import { type Program, ProgramError } from '../steps/step-type.ts';
import type { Cluster } from './cluster.ts';
import { programContextOf, type Runners } from './program-context.ts';
import type { Executor } from './executor.ts';
import { settled } from './settled.ts';
import {
  createStarts,
  findStarted,
  makeOnce,
  Refusal,
  refuseExchanged,
  refuseForeign,
  type Sought,
  versionBefore,
} from './starts.ts';
import { type JobView, type PodView, type RunView, STOP_DEADLINE_SECONDS } from './views.ts';

/**
 * Each attempt is one Job with one pod of the same name.
 *
 * @param runners how the runners of steps reach the operator
 * @param now milliseconds since the epoch
 */
export function createJobAttempts(
  cluster: Cluster,
  { images, runners, now }: { images: Images; runners: Runners; now: () => number },
): Executor {
  const { jobs, pods, runs } = cluster;
  const starts = createStarts('InvalidPod', now);
  /** UIDs of pods whose program was seen running: of one that is evicted, the kubelet may tell no more of that. */
  const begun = new Set<string>();

  pods.store.subscribe((change) => {
    if (change.type === 'Deleted') begun.delete(change.previous.uid);
    else if (change.object.observation.state === 'Running') begun.add(change.object.uid);
  });

  // That it was there has to be written down although it is gone, or it would be made a second time.
  jobs.store.subscribe((change) => {
    if (change.type !== 'Deleted') return;
    const { namespace, name, uid, run } = change.previous;
    const known = runs.store.get(keyOf({ namespace, name: run.name }));
    if (known?.uid === run.uid && known.status.finishedAt === undefined) starts.note(run.uid, name, uid);
  });

  /** UID of the Job that was there first: of one that somebody puts in its place it is another. */
  function firstUid({ uid, status }: RunView, id: string): string | undefined {
    const row = status.steps?.find(({ job }) => job?.name === id);
    return row?.job?.uid ?? starts.uidOf(uid, id);
  }

  function podOfJob(run: RunView, name: string): PodView | undefined {
    const key = keyOf({ namespace: run.namespace, name });
    const [pod, job] = [pods.store.get(key), jobs.store.get(key)];
    if (job && job.run.uid !== run.uid) return undefined;
    const uid = firstUid(run, name) ?? job?.uid;
    // Of a Job that was never seen its pod alone tells.
    return pod && (uid === undefined || pod.job === uid) ? pod : undefined;
  }

  /** The Job of the attempt; made unless it is there, or was there and somebody deleted it. */
  async function ensureJob(run: RunView, effect: StartEffect, podDefaults: PodSettings): Promise<Job> {
    const object = (await findJob(run, effect)) ?? (await makeJob(run, effect, podDefaults));
    refuseForeign('Job', { name: effect.id, owners: object.metadata?.ownerReferences }, run.uid);
    refuseExchanged('Job', object.metadata, firstUid(run, effect.id));
    refuseUnmanaged(object);
    jobs.store.upsert(object);
    starts.note(run.uid, effect.id, object.metadata?.uid ?? '');
    return object;
  }

  /** Of a start that failed at its pod, the Job was made all the same. */
  async function findJob(run: RunView, effect: StartEffect): Promise<Job | undefined> {
    const isUnmade = starts.isFresh(run.uid, effect.id) && uidOf(run, effect.id) === undefined;
    return isUnmade ? undefined : findStarted(jobs.client, soughtJob(run, effect));
  }

  function soughtJob(run: RunView, { id }: StartEffect): Sought {
    return {
      what: 'Job of the step',
      name: { namespace: run.namespace, name: id },
      seen: uidOf(run, id) !== undefined,
      since: versionBefore(run),
    };
  }

  /** UID of the Job, if it was ever seen. */
  function uidOf(run: RunView, id: string): string | undefined {
    const job = jobs.store.get(keyOf({ namespace: run.namespace, name: id }));
    return firstUid(run, id) ?? (job?.run.uid === run.uid ? job.uid : undefined);
  }

  async function makeJob(run: RunView, effect: StartEffect, podDefaults: PodSettings): Promise<Job> {
    const wanted = jobOf(
      { ...run, workflow: run.spec.workflowRef.name },
      {
        name: effect.id,
        row: effect.step,
        step: effect.spec,
        attempt: effect.attempt,
        program: programOf(run, effect),
        podDefaults,
        madeAfter: versionBefore(run),
      },
    );
    return makeOnce(jobs.client, wanted, soughtJob(run, effect));
  }

  /** @throws {Refusal} */
  function programOf(run: RunView, effect: StartEffect): Program {
    const { spec } = effect;
    const type = stepTypes[stepTypeOf(spec)];
    if (type.kind !== 'Job') throw new TypeError(`step ${spec.name} runs in no pod`);
    try {
      return type.program(spec, programContextOf(run, effect, { cluster, images, runners }));
    } catch (error) {
      if (error instanceof ProgramError) throw new Refusal(error.reason, error.message, error);
      throw error;
    }
  }

  async function ensurePod(run: RunView, job: Job): Promise<void> {
    const { name = '', uid = '' } = job.metadata ?? {};
    const object =
      (await findPod(run, job)) ?? (await makeOnce(pods.client, podOf(job), soughtPod(run, job)));
    refuseForeign('pod', { name, owners: object.metadata?.ownerReferences }, uid);
    starts.made(run.uid, name);
    pods.store.upsert(object);
  }

  async function findPod(run: RunView, job: Job): Promise<Pod | undefined> {
    const isFresh = starts.isFresh(run.uid, job.metadata?.name ?? '');
    return isFresh ? undefined : findStarted(pods.client, soughtPod(run, job));
  }

  function soughtPod({ namespace }: RunView, { metadata }: Job): Sought {
    const { name = '', annotations, resourceVersion = '' } = metadata ?? {};
    // Whoever annotates the Job gives it a version that is younger than its pod.
    const since = annotations?.[MADE_AFTER] ?? resourceVersion;
    return { what: 'pod of the step', name: { namespace, name }, seen: false, since };
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
    observe(run, id) {
      const pod = podOfJob(run, id);
      if (!pod) return starts.observe(run.uid, id);
      const seen = pod.observation;
      if (seen.state !== 'Ended') return seen;
      const { notStarted, ...result } = seen.result;
      const unstarted = notStarted && !begun.has(pod.uid) ? { notStarted } : {};
      return { ...seen, result: { ...result, ...unstarted, uid: pod.job } };
    },

    begin: (run, id) => starts.begin(run.uid, id),

    start: (run, effect, { spec }) =>
      starts.attempt(run.uid, effect.id, async () =>
        ensurePod(run, await ensureJob(run, effect, spec.podDefaults ?? {})),
      ),

    stop: (run, { id }) => stopPod(podOfJob(run, id)),

    async close(run, current) {
      const open = jobs.store.byIndex('run', run.uid).filter((job) => job.open && !current.has(job.name));
      await settled(open.map(closeJob));
    },

    forget: starts.forget,
    uidOf,
  };
}

/** An API server that drops the field would run the Job a second time. */
function refuseUnmanaged(job: Job): void {
  if (job.spec?.managedBy === MANAGED_BY) return;
  throw new Refusal(
    'JobNotManaged',
    'The API server does not support spec.managedBy of Jobs: Kubernetes 1.33 or later is needed.',
  );
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
