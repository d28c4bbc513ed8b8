import { isDeepStrictEqual } from 'node:util';
import { compile } from '../engine/graph.ts';
import type { Problem } from '../engine/model.ts';
import type { Sealing } from '../engine/vote.ts';
import type { EventRecorder } from '../kube/events.ts';
import { type Change, keyOf, nameOf } from '../kube/store.ts';
import type { WorkQueue } from '../kube/work-queue.ts';
import { stepTypes } from '../steps/index.ts';
import { labelValue } from '../steps/labels.ts';
import { triggerProblems } from '../triggers/index.ts';
import { type Cluster, workflowKey } from './cluster.ts';
import { callersOf, cyclesOf } from './cycles.ts';
import { deleteAll } from './delete-all.ts';
import { addFinalizer, removeFinalizer, WORKFLOW_FINALIZER } from './finalizers.ts';
import { createManualRuns } from './manual-run.ts';
import { changes } from './merge-patch.ts';
import { expiredPods, expiredRuns } from './retention.ts';
import { createSchedules, type ScheduleOutcome, type SchedulesReport } from './schedules.ts';
import { isSettled, type JobView, type RunView, type WorkflowView, workflowView } from './views.ts';
import { statusOf } from './workflow-status.ts';

/** A workflow whose runs come and go is reported on at most this often. */
const REPORT_EVERY_MS = 1000;

/** Timers do not notice when the time of day is set: schedules are looked at again at least this often. */
const LOOK_EVERY_MS = 60_000;

export interface WorkflowControllerOptions {
  cluster: Cluster;
  queue: WorkQueue;
  events: EventRecorder;
  /** Puts on record who asked for a run; nothing without keys. */
  sealing?: Sealing | undefined;
  /** Told what came of the times of schedules. */
  onScheduled?: (outcome: ScheduleOutcome) => void;
  /** Milliseconds since the epoch. */
  now: () => number;
}

/**
 * Reports on workflows (Ready, the last run and its result, how many are active), starts the runs that annotations and
 * schedules ask for, and deletes the runs, pods and revisions that are no longer to be kept.
 */
export function createWorkflowController({
  cluster,
  queue,
  events,
  sealing,
  onScheduled = () => {},
  now,
}: WorkflowControllerOptions) {
  const { workflows, runs, revisions, jobs } = cluster;
  const manualRuns = createManualRuns({ cluster, events, sealing, now });
  const schedules = createSchedules({ runs, events, sealing, onOutcome: onScheduled, now });
  const verdicts = new Map<string, Judged & { uid: string; generation: number }>();
  const reportedAt = new Map<string, number>();

  workflows.store.subscribe((change) => {
    if (change.source !== 'Watch') return;
    queue.add(change.key);
    if (concernsCallers(change)) for (const caller of callersOf(workflows, change.key)) queue.add(caller);
  });
  runs.store.subscribe((change) => {
    if (!concernsWorkflow(change)) return;
    const run = change.type === 'Deleted' ? change.previous : change.object;
    lookAt(run);
    // Those that it started were kept for it.
    if (run.status.finishedAt !== undefined) runs.store.byIndex('owner', run.uid).forEach(lookAt);
  });

  function lookAt(run: RunView): void {
    const key = workflowKey(run);
    queue.addAfter(key, (reportedAt.get(key) ?? 0) + REPORT_EVERY_MS - now());
  }

  /** Compiling is the costly part, and a generation never changes. */
  function judge(key: string, { uid, generation, spec }: WorkflowView): Judged {
    const known = verdicts.get(key);
    if (known?.uid === uid && known.generation === generation) return known;
    const compiled = compile(spec, stepTypes);
    const judged = { steps: compiled.ok ? [] : compiled.problems, triggers: triggerProblems(spec) };
    verdicts.set(key, { uid, generation, ...judged });
    return judged;
  }

  function problemsOf(key: string, workflow: WorkflowView): Problem[] {
    const { steps, triggers } = judge(key, workflow);
    return [...steps, ...cyclesOf(workflows, workflow), ...triggers];
  }

  async function keep(workflow: WorkflowView): Promise<WorkflowView> {
    if (workflow.finalizers.includes(WORKFLOW_FINALIZER)) return workflow;
    const kept = await addFinalizer(workflows.client, workflow, WORKFLOW_FINALIZER);
    workflows.store.upsert(kept);
    return workflowView(kept);
  }

  async function report(key: string, workflow: WorkflowView): Promise<void> {
    const problems = problemsOf(key, workflow);
    const scheduled = await schedules.serve(workflow, problems, runs.store.byIndex('workflow', key));
    lookAgain(key, scheduled);
    const ownRuns = runs.store.byIndex('workflow', key);
    const status = statusOf({ workflow, problems, runs: ownRuns, schedules: scheduled, now: now() });
    if (isDeepStrictEqual(status, workflow.status)) return;
    reportedAt.set(key, now());
    const patch = changes(workflow.status, status);
    workflows.store.upsert(await workflows.client.patchStatus(workflow, patch));
    scheduled.tellMissed();
  }

  function lookAgain(key: string, { lookAt }: SchedulesReport): void {
    if (lookAt !== undefined) queue.addAfter(key, Math.min(lookAt - now(), LOOK_EVERY_MS));
  }

  async function expire(key: string, { spec }: WorkflowView, ownRuns: readonly RunView[]): Promise<void> {
    const old = expiredRuns(ownRuns, spec.retention, isNeeded, now());
    const pods = expiredPods(ownRuns, spec.retention, (run) => jobsOf(run).length > 0, now());
    const moreRuns = await deleteAll(runs.client, old.runs);
    const oldJobs = pods.runs.flatMap(jobsOf);
    const closed = oldJobs.filter(({ open }) => !open);
    const moreJobs = await deleteAll(jobs.client, closed);
    if (moreRuns || moreJobs) queue.add(key);
    // The others will be closed in a moment.
    if (closed.length < oldJobs.length) queue.addAfter(key, REPORT_EVERY_MS);
    for (const { nextAt } of [old, pods]) if (nextAt !== undefined) queue.addAfter(key, nextAt - now());
  }

  const jobsOf = (run: RunView): JobView[] => jobs.store.byIndex('run', run.uid);

  /** Whether a run is needed by one that started it, by somebody who wants it continued, or by what it still tells. */
  function isNeeded({ namespace, owner, control, status, spec }: RunView): boolean {
    if (control.retry !== undefined || !isSettled(status)) return true;
    // The clock was ahead when it was started: it keeps its time from being started again.
    if (Date.parse(spec.trigger.scheduledAt ?? '') > now()) return true;
    const above = owner && runs.store.get(keyOf({ namespace, name: owner.name }));
    return above !== undefined && above.uid === owner?.uid && above.status.finishedAt === undefined;
  }

  /** Looks at the runs anew: one may have been accepted since the reconcile began. Gives whether more are left. */
  async function deleteRevisions(key: string): Promise<boolean> {
    const ownRuns = runs.store.byIndex('workflow', key);
    const used = new Set(ownRuns.map((run) => run.status.revision));
    // A run that has not been accepted yet may be about to use any of them.
    if (ownRuns.some((run) => run.status.phase === undefined)) return false;
    const { namespace, name } = nameOf(key);
    const all = revisions.store.byIndex('workflow', keyOf({ namespace, name: labelValue(name) }));
    const unused = all.filter((revision) => !used.has(revision.name));
    const more = await deleteAll(revisions.client, unused);
    if (more) queue.add(key);
    return more;
  }

  /** Its runs go first, each of which stops what it started; whoever of them goes last brings this back. */
  async function dissolve(key: string, workflow: WorkflowView): Promise<void> {
    const ownRuns = runs.store.byIndex('workflow', key);
    const left = ownRuns.filter(({ deletedAt }) => deletedAt === undefined);
    if (await deleteAll(runs.client, left)) return queue.add(key);
    if (ownRuns.length > 0 || !workflow.finalizers.includes(WORKFLOW_FINALIZER)) return;
    if (await deleteRevisions(key)) return;
    await removeFinalizer(workflows.client, workflow, WORKFLOW_FINALIZER);
  }

  return async function reconcile(key: string): Promise<void> {
    const found = workflows.store.get(key);
    if (!found) {
      verdicts.delete(key);
      reportedAt.delete(key);
      await deleteRevisions(key);
      return;
    }
    if (found.deletedAt !== undefined) return dissolve(key, found);
    const workflow = await manualRuns.serve(await keep(found), judge(key, found).steps);
    await report(key, workflow);
    await expire(key, workflow, runs.store.byIndex('workflow', key));
    await deleteRevisions(key);
  };
}

/** What is wrong with a workflow by itself. Runs by hand need no triggers. */
interface Judged {
  steps: Problem[];
  triggers: Problem[];
}

/** Whether a workflow came, went, or may do something else: what is said of its runs is nothing to others. */
function concernsCallers(change: Change<WorkflowView>): boolean {
  return change.type !== 'Updated' || change.object.generation !== change.previous.generation;
}

/** Whether a run began, ended, or is needed no more: what happens between does not show in its workflow. */
function concernsWorkflow(change: Change<RunView>): boolean {
  if (change.type !== 'Updated') return true;
  const { object, previous } = change;
  return (
    object.status.startedAt !== previous.status.startedAt ||
    object.status.finishedAt !== previous.status.finishedAt ||
    isSettled(object.status) !== isSettled(previous.status) ||
    object.control.retry !== previous.control.retry
  );
}
