import type { Job } from 'kubernetes-types/batch/v1.d.ts';
import type { Pod } from 'kubernetes-types/core/v1.d.ts';
import { isNotFound } from '../kube/errors.ts';
import type { KubeObject, ObjectName, ResourceClient } from '../kube/resource.ts';
import { keyOf } from '../kube/store.ts';
import type { Cluster } from './cluster.ts';
import { type JobView, jobView, type PodView, podView } from './views.ts';

/** A pod that calls the runner API. */
export interface RunnerPod {
  /** Whether all its work has ended. */
  over: boolean;
  /** Whether it belongs to a Job of the run with this UID. */
  isOf: (run: string) => boolean;
}

/** Finds a pod by name and UID: from the watch, and where that may not have come so far, by asking once. */
export function createRunnerPods(
  cluster: Pick<Cluster, 'pods' | 'jobs'>,
  now: () => number,
): (name: ObjectName, uid: string) => Promise<RunnerPod | undefined> {
  const { pods, jobs } = cluster;

  async function podWith(name: ObjectName, uid: string): Promise<PodView | undefined> {
    const known = pods.store.get(keyOf(name));
    if (known?.uid === uid) return known;
    const found = await getIfThere<Pod>(pods.client, name);
    return found?.metadata?.uid === uid ? podView(found, now()) : undefined;
  }

  async function jobOf({ namespace, name, job }: PodView): Promise<JobView | undefined> {
    const known = jobs.store.get(keyOf({ namespace, name }));
    if (known?.uid === job) return known;
    const found = await getIfThere<Job>(jobs.client, { namespace, name });
    return found?.metadata?.uid === job ? jobView(found) : undefined;
  }

  return async (name, uid) => {
    const pod = await podWith(name, uid);
    if (!pod) return undefined;
    const job = pod.job === '' ? undefined : await jobOf(pod);
    return {
      over: pod.observation.state === 'Ended',
      // A Job that is deleted takes its pod with it, which may still be saving its state.
      isOf: (run) => pod.job !== '' && (job === undefined || job.run.uid === run),
    };
  };
}

async function getIfThere<T extends KubeObject>(
  client: ResourceClient<T>,
  name: ObjectName,
): Promise<T | undefined> {
  return client.get(name).catch((error: unknown) => {
    if (isNotFound(error)) return undefined;
    throw error;
  });
}
