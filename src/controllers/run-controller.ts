import { isDeepStrictEqual } from 'node:util';
import type { WorkflowRunStatus } from '../api/workflow-run.ts';
import { acceptRun, refuseRun } from '../engine/accept.ts';
import { decide } from '../engine/decide.ts';
import type { Decision, Effect, RunContext } from '../engine/model.ts';
import { resolveParams } from '../engine/params.ts';
import type { EventRecorder } from '../kube/events.ts';
import { isConflict, isNotFound } from '../kube/errors.ts';
import { keyOf } from '../kube/store.ts';
import type { WorkQueue } from '../kube/work-queue.ts';
import { stepTypes } from '../steps/index.ts';
import type { Attempts } from './attempts.ts';
import { type Cluster, workflowKey } from './cluster.ts';
import { happenings, reconcileFailure } from './happenings.ts';
import type { Revision, Revisions } from './revisions.ts';
import { settled } from './settled.ts';
import { type PodView, type RunView, type WorkflowView, workflowView } from './views.ts';
import { describe } from './workflow-controller.ts';

export interface RunControllerOptions {
  cluster: Cluster;
  queue: WorkQueue;
  attempts: Attempts;
  revisions: Revisions;
  events: EventRecorder;
  /** Milliseconds since the epoch. */
  now: () => number;
}

/** Brings each run from what was decided to what is next, and does nothing that the status does not say already. */
export function createRunController(options: RunControllerOptions) {
  const { cluster, queue, attempts, revisions, events, now } = options;
  const { runs, workflows, jobs, pods } = cluster;

  runs.store.subscribe((change) => {
    if (change.type === 'Deleted') attempts.forget(change.previous.uid);
    else if (change.source === 'Watch') queue.add(change.key);
  });
  jobs.store.subscribe((change) => {
    const job = change.type === 'Deleted' ? change.previous : change.object;
    // Own writes are followed up by whoever made them.
    if (change.source === 'Watch') queue.add(keyOf({ namespace: job.namespace, name: job.run.name }));
  });
  pods.store.subscribe((change) => {
    if (change.source !== 'Watch') return;
    if (change.type === 'Updated' && sameObservation(change.object, change.previous)) return;
    const pod = change.type === 'Deleted' ? change.previous : change.object;
    for (const run of runs.store.byIndex('label', keyOf({ ...pod, name: pod.run }))) queue.add(keyOf(run));
  });

  return async function reconcile(key: string): Promise<void> {
    const run = runs.store.get(key);
    if (!run || run.deleting) return;
    try {
      await work(key, run);
    } catch (error) {
      // Somebody else wrote the run meanwhile: what they wrote is on its way, and decided on next.
      if (!isConflict(error)) events.record(reconcileFailure(run, error));
      throw error;
    }
  };

  async function work(key: string, run: RunView): Promise<void> {
    if (run.status.finishedAt) return finish(run);
    if (run.status.phase) return advance(key, run);
    return accept(key, run);
  }

  async function accept(key: string, run: RunView): Promise<void> {
    const workflow = await findWorkflow(run);
    if (!workflow)
      return refuse(
        run,
        'WorkflowNotFound',
        `There is no workflow ${run.spec.workflowRef.name} in namespace ${run.namespace}.`,
      );
    if (workflow.spec.state === 'Draft') {
      return refuse(
        run,
        'WorkflowIsDraft',
        `The workflow ${workflow.name} is a draft: set spec.state to Active or Paused first.`,
      );
    }
    const revision = await revisions.freeze(workflow);
    if ('problems' in revision) return refuse(run, 'InvalidWorkflow', describe(revision.problems));
    const params = resolveParams(revision.spec.params ?? [], run.spec.params ?? {});
    if (!params.ok) return refuse(run, 'InvalidParams', describe(params.problems));
    const status = acceptRun(revision.graph, revision.name, now());
    await proceed(key, run, revision, decideNext(run, revision, status));
  }

  async function refuse(run: RunView, reason: string, message: string): Promise<void> {
    await finish(await write(run, refuseRun(run.status, reason, message, now())));
  }

  async function advance(key: string, run: RunView): Promise<void> {
    const revision = await revisions.load(run);
    if (!revision)
      return refuse(run, 'RevisionNotFound', `The ControllerRevision ${run.status.revision} was deleted.`);
    await proceed(key, run, revision, decideNext(run, revision, run.status));
  }

  function decideNext(run: RunView, { graph, spec }: Revision, status: WorkflowRunStatus): Decision {
    const params = resolveParams(spec.params ?? [], run.spec.params ?? {});
    const context: RunContext = {
      name: run.name,
      namespace: run.namespace,
      uid: run.uid,
      workflow: run.spec.workflowRef.name,
      params: params.ok ? params.values : {},
      trigger: run.spec.trigger,
    };
    return decide({
      graph,
      run: context,
      status,
      observed: attempts.observe({ ...run, status }),
      resolvers: stepTypes,
      now: now(),
    });
  }

  /**
   * Writes what was decided, and only then does it. What the status asked for already comes first: a status is never
   * written while it is open whether an object that an earlier one spoke of was made (docs/decisions/starting-once.md).
   */
  async function proceed(key: string, run: RunView, revision: Revision, decision: Decision): Promise<void> {
    const { asked, decided } = splitEffects(run.status, decision.effects);
    await settled(asked.map((effect) => perform(key, run, revision, effect)));
    if (decision.status !== run.status) {
      attempts.begin(run, decided);
      run = await write(run, decision.status);
    }
    await settled([...decided.map((effect) => perform(key, run, revision, effect)), attempts.close(run)]);
    if (run.status.finishedAt) return finish(run);
    if (decision.wakeAt !== undefined) queue.addAfter(key, Math.max(1, decision.wakeAt - now()));
  }

  async function perform(key: string, run: RunView, { spec }: Revision, effect: Effect): Promise<void> {
    switch (effect.type) {
      case 'Start': {
        const lookAgainMs = await attempts.start(run, effect, spec.podDefaults ?? {});
        if (lookAgainMs !== undefined) queue.addAfter(key, lookAgainMs);
        return;
      }
      case 'Stop':
        return attempts.stop(run, effect);
      default:
        effect satisfies never;
    }
  }

  /** Closes what is still open, also after a crash between the end of the run and that. */
  async function finish(run: RunView): Promise<void> {
    await attempts.close(run);
    attempts.forget(run.uid);
  }

  async function write(run: RunView, status: WorkflowRunStatus): Promise<RunView> {
    const written = await runs.client.patchStatus(run, changes(run.status, withJobs(run, status)));
    runs.store.upsert(written);
    for (const happening of happenings(run, run.status, status)) events.record(happening);
    return { ...run, resourceVersion: written.metadata.resourceVersion ?? '', status: written.status ?? {} };
  }

  /** The UIDs of the Jobs that were made since the last write: proof that they were, should they be deleted. */
  function withJobs({ namespace }: RunView, status: WorkflowRunStatus): WorkflowRunStatus {
    if (!status.steps) return status;
    const steps = status.steps.map((step) => {
      if (!step.job || step.job.uid) return step;
      const job = jobs.store.get(keyOf({ namespace, name: step.job.name }));
      return job ? { ...step, job: { ...step.job, uid: job.uid } } : step;
    });
    return { ...status, steps };
  }

  /** A run may arrive before the workflow that was created, or taken out of Draft, just before it. */
  async function findWorkflow(run: RunView): Promise<WorkflowView | undefined> {
    const known = workflows.store.get(workflowKey(run));
    if (known && known.spec.state !== 'Draft') return known;
    try {
      return workflowView(
        await workflows.client.get({ namespace: run.namespace, name: run.spec.workflowRef.name }),
      );
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }
}

/** Starts of attempts that the status names already, and all other effects. */
function splitEffects(
  status: WorkflowRunStatus,
  effects: readonly Effect[],
): { asked: Effect[]; decided: Effect[] } {
  const named = new Set(status.steps?.map((step) => step.job?.name));
  const isAsked = ({ type, job }: Effect) => type === 'Start' && named.has(job);
  return { asked: effects.filter(isAsked), decided: effects.filter((effect) => !isAsked(effect)) };
}

/** A merge patch of the fields that differ; what is no longer there is set to null. */
function changes(before: WorkflowRunStatus, after: WorkflowRunStatus): object {
  const old: Record<string, unknown> = before;
  const fields: [string, unknown][] = Object.entries(after);
  const removed = Object.keys(old).filter((field) => !(field in after));
  const changed = fields.filter(([field, value]) => !isDeepStrictEqual(old[field], value));
  return Object.fromEntries([...changed, ...removed.map((field) => [field, null])]);
}

function sameObservation(a: PodView, b: PodView): boolean {
  return isDeepStrictEqual(a.observation, b.observation);
}
