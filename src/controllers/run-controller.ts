import { isDeepStrictEqual } from 'node:util';
import type { RunPhase, WorkflowRunStatus } from '../api/workflow-run.ts';
import { acceptRun } from '../engine/accept.ts';
import { leaveLine, stageOf, startedRun } from '../engine/concurrency.ts';
import { cancelRun, retryRun } from '../engine/control.ts';
import { creatorOf } from '../engine/created-by.ts';
import { mendStatus } from '../engine/mend.ts';
import { resolveParams } from '../engine/params.ts';
import { timeOf } from '../engine/text.ts';
import type { Sealing } from '../engine/vote.ts';
import { isConflict } from '../kube/errors.ts';
import type { EventRecorder } from '../kube/events.ts';
import { keyOf } from '../kube/store.ts';
import type { WorkQueue } from '../kube/work-queue.ts';
import { createAdmission, type RunLimits } from './admission.ts';
import type { Attempts } from './attempts.ts';
import type { Cluster } from './cluster.ts';
import { cyclesOf } from './cycles.ts';
import { type Order, orderOf, type Request, requestOf, textOf } from './control.ts';
import { reconcileFailure } from './happenings.ts';
import type { LiveMessages } from './live-messages.ts';
import { describe } from './problems.ts';
import { createProgress } from './progress.ts';
import { createReply, type Outcome } from './reply.ts';
import type { Revision, Revisions } from './revisions.ts';
import { createRunDeletion } from './run-deletion.ts';
import { waitingParent } from './run-attempts.ts';
import { expectedKey, keyOfRun } from './run-keys.ts';
import { unlessNotFound } from './starts.ts';
import {
  isSettled,
  type PodView,
  type RunView,
  type WorkflowView,
  wholeRunView,
  workflowView,
} from './views.ts';

export interface RunControllerOptions {
  cluster: Cluster;
  queue: WorkQueue;
  attempts: Attempts;
  revisions: Revisions;
  events: EventRecorder;
  limits: RunLimits;
  live: LiveMessages;
  /** Checks the record of who created a run; undefined where the operator has no keys. */
  sealing: Sealing | undefined;
  /** Removes the plans that are kept for a run. */
  forgetPlans: (runUid: string) => Promise<void>;
  /** Milliseconds since the epoch. */
  now: () => number;
}

/** Brings each run from what was decided to what is next, and does nothing that the status does not say already. */
export function createRunController(options: RunControllerOptions) {
  const { cluster, queue, attempts, revisions, events, now } = options;
  const { runs, workflows, jobs, pods } = cluster;
  const progress = createProgress(options);
  const admission = createAdmission(options);
  const deletion = createRunDeletion(options);
  const reply = createReply({ runs, events, write: progress.write });

  runs.store.subscribe((change) => {
    const parent = waitingParent(change);
    if (parent !== undefined) queue.add(parent);
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
    if (!run) return;
    try {
      await work(await reply.resume(run));
    } catch (error) {
      // Somebody else wrote the run meanwhile: what they wrote is on its way, and decided on next.
      if (!isConflict(error)) events.record(reconcileFailure(run, error));
      throw error;
    }
  };

  /** What was asked by an annotation is acted on together with all else, and only then taken away. */
  async function work(run: RunView): Promise<void> {
    const request = requestOf(run);
    const isNew = request && run.status.handled !== textOf(request);
    const order = isNew ? orderOf(request, run) : undefined;
    if (run.deletedAt !== undefined) {
      const refused = order?.type === 'Refuse' ? order.message : undefined;
      return deletion.release(await reply.answer({ run, refused }, request), run.deletedAt);
    }
    const answered = await reply.answer(await carryOut(run, order, request), request);
    if (request && requestOf(answered)) queue.add(keyOf(run));
  }

  async function carryOut(run: RunView, order: Order | undefined, request?: Request): Promise<Outcome> {
    const mark = request ? { handled: textOf(request) } : {};
    switch (order?.type) {
      case 'Cancel':
        return { run: await cancel(run, mark) };
      case 'Retry':
        return retry(run, order.from, mark);
      case 'Refuse':
        return { run: await carryOn(run), refused: order.message };
      case undefined:
        return { run: await carryOn(run) };
      default:
        return order satisfies never;
    }
  }

  async function carryOn(run: RunView): Promise<RunView> {
    const stage = stageOf(run.status);
    switch (stage) {
      case 'New':
        return accept(run);
      case 'Waiting':
        return withRevision(run, async (revision) => (await enter(run, revision, run.status)).run);
      case 'Active':
        return withRevision(run, (revision) => advance(run, revision));
      case 'Ended':
        return conclude(run);
      default:
        return stage satisfies never;
    }
  }

  async function accept(run: RunView): Promise<RunView> {
    const workflow = await readWorkflow(run);
    if (!workflow) return progress.refuse(run, 'WorkflowNotFound', notFound(run));
    const { name, spec } = workflow;
    if (workflow.deletedAt !== undefined) {
      return progress.refuse(run, 'WorkflowDeleted', `The workflow ${name} is being deleted.`);
    }
    if (spec.state === 'Draft') {
      const message = `The workflow ${name} is a draft: set spec.state to Active or Paused first.`;
      return progress.refuse(run, 'WorkflowIsDraft', message);
    }
    const revision = await revisions.freeze(workflow);
    const problems = 'problems' in revision ? revision.problems : cyclesOf(workflows, workflow);
    if ('problems' in revision || problems.length > 0) {
      return progress.refuse(run, 'InvalidWorkflow', describe(problems));
    }
    const params = resolveParams(revision.spec.params ?? [], run.spec.params ?? {});
    if (!params.ok) return progress.refuse(run, 'InvalidParams', describe(params.problems));
    const mark = { ...revisions.mark(run, revision), ...starterOf(run) };
    const status = acceptRun(revision.graph, mark, now());
    return (await enter(await progress.keep(run), revision, status)).run;
  }

  /** Has the run start, or wait for its turn. */
  async function enter(run: RunView, revision: Revision, status: WorkflowRunStatus): Promise<Outcome> {
    const { concurrency } = revision.graph;
    if (admission.isFree(run, concurrency)) {
      return { run: await progress.take(run, revision, startedRun(status, undefined, now())) };
    }
    const key = keyOfRun({ ...run, status }, revision);
    if ('error' in key) return { run: await progress.refuse(run, 'InvalidConcurrencyKey', key.error) };
    const place = {
      ...key,
      policy: concurrency?.policy ?? 'Allow',
      since: status.queue?.since ?? timeOf(now()),
    };
    const applicant = {
      status,
      place,
      declared: concurrency !== undefined,
      limit: concurrency?.limit,
      keyOf: (other: RunView) => expectedKey(other, revision),
    };
    return admission.admit(run, applicant, async (entry) => {
      if (entry.type !== 'Refuse') return { run: await progress.take(run, revision, entry.status) };
      const { message } = entry;
      // One that has ended before stays as it is.
      if (stageOf(run.status) === 'Ended') return { run, refused: message };
      return { run: await progress.end(run, entry.status), refused: message };
    });
  }

  async function advance(run: RunView, revision: Revision): Promise<RunView> {
    const status = mendStatus(revision.graph, run.status, now());
    const replacer = status.cancellation ? undefined : admission.replacerOf(run);
    const why = { reason: 'Replaced', message: `Replaced by run ${replacer}.` } as const;
    const next = replacer === undefined ? status : cancelRun(status, why, now());
    const after = await progress.take(run, revision, next);
    // The finalizer may have been taken away by hand, while there was no operator.
    return stageOf(after.status) === 'Active' ? progress.keep(after) : after;
  }

  async function cancel(run: RunView, mark: Mark): Promise<RunView> {
    const why = {
      reason: 'Cancelled',
      message: 'Cancelled by the annotation signalbox.dev/cancel.',
    } as const;
    if (stageOf(run.status) !== 'Active') {
      return progress.end(run, { ...leaveLine(cancelRun(run.status, why, now())), ...mark });
    }
    return withRevision(run, (revision) => {
      const status = mendStatus(revision.graph, run.status, now());
      return progress.take(run, revision, { ...cancelRun(status, why, now()), ...mark });
    });
  }

  /** Of a run that has ended, all but a summary has to be read again. */
  async function retry(ended: RunView, from: Parameters<typeof retryRun>[2], mark: Mark): Promise<Outcome> {
    await attempts.close(ended);
    const read = await runs.client.get(ended);
    runs.store.upsert(read);
    const run = wholeRunView(read);
    const revision = await revisions.load(run);
    if (!('graph' in revision)) return { run, refused: `${revision.message} Create another run.` };
    const next = retryRun(revision.graph, run.status, from, now());
    if (!next.ok) return { run, refused: next.message };
    return enter(await progress.keep(run), revision, { ...next.status, ...mark });
  }

  /** Closes what is still open, also after a crash between the end of the run and that. */
  async function conclude(run: RunView): Promise<RunView> {
    if (!isEnd(run.status.phase)) return progress.refuse(run, 'StatusInvalid', HALF_ENDED);
    if (!isSettled(run.status)) {
      const revision = await revisions.load(run);
      if ('graph' in revision) return progress.take(run, revision, run.status);
    }
    await attempts.close(run);
    return run;
  }

  async function withRevision(run: RunView, go: (revision: Revision) => Promise<RunView>): Promise<RunView> {
    const revision = await revisions.load(run);
    return 'graph' in revision ? go(revision) : progress.refuse(run, revision.reason, revision.message);
  }

  /**
   * The workflow as it is now. What a watch has told may be older than the run, and people apply a workflow and start
   * a run of it in one breath: that run must not execute what the workflow was before.
   */
  function starterOf({ origin, spec }: RunView): Pick<WorkflowRunStatus, 'startedBy'> {
    const creator = options.sealing && creatorOf({ metadata: origin, spec }, options.sealing);
    return creator?.kind === 'User' ? { startedBy: creator.user } : {};
  }

  async function readWorkflow({ namespace, spec }: RunView): Promise<WorkflowView | undefined> {
    const found = await unlessNotFound(workflows.client.get({ namespace, name: spec.workflowRef.name }));
    return found && workflowView(found);
  }
}

type Mark = Pick<WorkflowRunStatus, 'handled'>;

const notFound = ({ namespace, spec }: RunView): string =>
  `There is no workflow ${spec.workflowRef.name} in namespace ${namespace}.`;

const HALF_ENDED =
  'The status of the run says when it ended, but not how: it was changed by hand. Create another run.';

const ENDS: readonly (RunPhase | undefined)[] = ['Succeeded', 'Failed', 'Cancelled', 'TimedOut'];
const isEnd = (phase: RunPhase | undefined): boolean => ENDS.includes(phase);

function sameObservation(a: PodView, b: PodView): boolean {
  return isDeepStrictEqual(a.observation, b.observation);
}
