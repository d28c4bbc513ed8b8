import { timeOf } from '../engine/text.ts';
import type { EventRecorder } from '../kube/events.ts';
import { keyOf } from '../kube/store.ts';
import type { WorkQueue } from '../kube/work-queue.ts';
import type { Attempts } from './attempts.ts';
import type { Cluster } from './cluster.ts';
import { deleteAll } from './delete-all.ts';
import { RUN_FINALIZER, removeFinalizer } from './finalizers.ts';
import { warning } from './happenings.ts';
import { DEFAULT_GRACE_MS, type RunView } from './views.ts';

/** How long what a deleted run started may take to end beyond its grace period. */
const MARGIN_MS = 90_000;
/** Longest list of what did not end. */
const MAX_NAMES = 5;

export interface RunDeletionOptions {
  cluster: Pick<Cluster, 'runs' | 'jobs' | 'pods'>;
  queue: Pick<WorkQueue, 'add' | 'addAfter'>;
  attempts: Attempts;
  events: EventRecorder;
  /** Removes the plans that are kept for a run. */
  forgetPlans: (runUid: string) => Promise<void>;
  /** Milliseconds since the epoch. */
  now: () => number;
}

/** Lets deleted runs go once all that they started has ended. */
export function createRunDeletion(options: RunDeletionOptions) {
  const { cluster, queue, attempts, events, forgetPlans, now } = options;
  const { runs, jobs, pods } = cluster;

  /** Runs that steps have started go first: they end without ado when they are deleted, and with it when cancelled. */
  async function stop(run: RunView): Promise<void> {
    const children = runs.store.byIndex('owner', run.uid).filter(({ deletedAt }) => deletedAt === undefined);
    if (await deleteAll(runs.client, children)) queue.add(keyOf(run));
    if (children.length === 0) await attempts.close({ ...run, status: { finishedAt: timeOf(now()) } });
  }

  /** What has not ended yet, by kind and name, and how long it may take, in milliseconds. */
  function remaining(run: RunView): { names: string[]; grace: number } {
    const children = runs.store.byIndex('owner', run.uid).map(({ name }) => `run ${name}`);
    const active = jobs.store.byIndex('run', run.uid).flatMap((job) => {
      const pod = pods.store.get(keyOf(job));
      return pod?.job === job.uid && pod.observation.state !== 'Ended' ? [pod] : [];
    });
    const graces = active.map(({ gracePeriod }) => gracePeriod);
    return {
      names: [...children, ...active.map(({ name }) => `pod ${name}`)],
      grace: Math.max(DEFAULT_GRACE_MS, ...graces) + MARGIN_MS,
    };
  }

  runs.store.subscribe((change) => {
    if (change.type !== 'Updated' || change.object.deletedAt === change.previous.deletedAt) return;
    const { namespace, owner } = change.object;
    if (owner) queue.add(keyOf({ namespace, name: owner.name }));
  });

  return {
    /** @param deletedAt milliseconds since the epoch */
    async release(run: RunView, deletedAt: number): Promise<void> {
      if (!run.finalizers.includes(RUN_FINALIZER)) return;
      await stop(run);
      const { names, grace } = remaining(run);
      const wait = deletedAt + grace - now();
      if (names.length > 0 && wait > 0) return queue.addAfter(keyOf(run), wait);
      if (names.length > 0) events.record(warning(run, 'DeletionForced', forced(names, grace)));
      // A run does not stay because its plans do: the next sweep finds them.
      if (run.onProjects) await forgetPlans(run.uid).catch(() => {});
      await removeFinalizer(runs.client, run, RUN_FINALIZER);
    },
  };
}

/** @param grace in milliseconds */
function forced(left: readonly string[], grace: number): string {
  const others = left.length > MAX_NAMES ? ` and ${left.length - MAX_NAMES} more` : '';
  return `The run is gone, and these had not ended ${grace / 60_000} minutes after they were asked to: ${left.slice(0, MAX_NAMES).join(', ')}${others}.`;
}
