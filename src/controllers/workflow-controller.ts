import { isDeepStrictEqual } from 'node:util';
import type { Condition } from '../api/common.ts';
import type { WorkflowStatus } from '../api/workflow.ts';
import { compile } from '../engine/graph.ts';
import type { Problem } from '../engine/model.ts';
import { isNotFound } from '../kube/errors.ts';
import { keyOf, nameOf } from '../kube/store.ts';
import type { WorkQueue } from '../kube/work-queue.ts';
import { stepTypes } from '../steps/index.ts';
import { labelValue } from '../steps/labels.ts';
import { type Cluster, workflowKey } from './cluster.ts';
import { expiredRuns } from './retention.ts';
import type { RunView, WorkflowView } from './views.ts';

/** A workflow whose runs come and go is reported on at most this often. */
const REPORT_EVERY_MS = 1000;

/** Whoever lowers a retention lets go of thousands of runs, and must not keep others waiting for that. */
const DELETES_AT_ONCE = 16;

/** Longest message of a condition. */
const MESSAGE_LENGTH = 4096;

/**
 * Reports on workflows (Ready, the last run and its result, how many are active) and deletes the runs and revisions
 * that are no longer to be kept.
 */
export function createWorkflowController(cluster: Cluster, queue: WorkQueue, now: () => number) {
  const { workflows, runs, revisions } = cluster;
  const verdicts = new Map<string, { uid: string; generation: number; problems: Problem[] }>();
  const reportedAt = new Map<string, number>();

  workflows.store.subscribe(({ key, source }) => {
    if (source === 'Watch') queue.add(key);
  });
  runs.store.subscribe((change) => {
    const run = change.type === 'Deleted' ? change.previous : change.object;
    if (!concernsWorkflow(change)) return;
    const key = workflowKey(run);
    queue.addAfter(key, (reportedAt.get(key) ?? 0) + REPORT_EVERY_MS - now());
  });

  /** Compiling is the costly part, and a generation never changes. */
  function problemsOf(key: string, workflow: WorkflowView): Problem[] {
    const known = verdicts.get(key);
    if (known?.uid === workflow.uid && known.generation === workflow.generation) return known.problems;
    const compiled = compile(workflow.spec, stepTypes);
    const problems = compiled.ok ? [] : compiled.problems;
    verdicts.set(key, { uid: workflow.uid, generation: workflow.generation, problems });
    return problems;
  }

  async function report(key: string, workflow: WorkflowView, ownRuns: RunView[]): Promise<void> {
    const status = statusOf(workflow, problemsOf(key, workflow), ownRuns, now());
    if (isDeepStrictEqual(status, workflow.status)) return;
    reportedAt.set(key, now());
    workflows.store.upsert(await workflows.client.patchStatus(workflow, status));
  }

  /** Looks at the runs anew: one may have been accepted since the reconcile began. */
  async function deleteRevisions(key: string): Promise<void> {
    const ownRuns = runs.store.byIndex('workflow', key);
    const used = new Set(ownRuns.map((run) => run.status.revision));
    // A run that has not been accepted yet may be about to use any of them.
    if (ownRuns.some((run) => run.status.phase === undefined)) return;
    const { namespace, name } = nameOf(key);
    const all = revisions.store.byIndex('workflow', keyOf({ namespace, name: labelValue(name) }));
    const unused = all.filter((revision) => !used.has(revision.name));
    await Promise.all(
      unused.map((revision) => deleted(revisions.client.delete(revision, { uid: revision.uid }))),
    );
  }

  return async function reconcile(key: string): Promise<void> {
    const workflow = workflows.store.get(key);
    if (!workflow) {
      verdicts.delete(key);
      reportedAt.delete(key);
      return deleteRevisions(key);
    }
    const ownRuns = runs.store.byIndex('workflow', key);
    await report(key, workflow, ownRuns);
    const expired = expiredRuns(ownRuns, workflow.spec.retention, now());
    const batch = expired.runs.slice(0, DELETES_AT_ONCE);
    await Promise.all(
      batch.map((run) => deleted(runs.client.delete(run, { uid: run.uid, propagationPolicy: 'Background' }))),
    );
    if (batch.length < expired.runs.length) queue.add(key);
    if (expired.nextAt !== undefined) queue.addAfter(key, expired.nextAt - now());
    await deleteRevisions(key);
  };
}

type Change = Parameters<Parameters<Cluster['runs']['store']['subscribe']>[0]>[0];

/** Whether a run began or ended: what happens between does not show in its workflow. */
function concernsWorkflow(change: Change): boolean {
  if (change.type !== 'Updated') return true;
  const { object, previous } = change;
  return (
    object.status.startedAt !== previous.status.startedAt ||
    object.status.finishedAt !== previous.status.finishedAt
  );
}

function statusOf(workflow: WorkflowView, problems: Problem[], runs: RunView[], now: number): WorkflowStatus {
  const started = latest(runs, (run) => run.status.startedAt);
  const ended = latest(runs, (run) => run.status.finishedAt);
  const { startedAt } = started?.status ?? {};
  return {
    ...workflow.status,
    observedGeneration: workflow.generation,
    conditions: [readyCondition(workflow, problems, now)],
    triggers: 'Manual',
    active: runs.filter((run) => run.status.finishedAt === undefined).length,
    ...(started && startedAt ? { lastRun: { name: started.name, startedAt } } : {}),
    ...(ended?.status.phase ? { lastResult: ended.status.phase } : {}),
  };
}

function latest(runs: RunView[], timeOf: (run: RunView) => string | undefined): RunView | undefined {
  return runs.reduce<RunView | undefined>(
    (best, run) => ((timeOf(run) ?? '') > ((best && timeOf(best)) ?? '') ? run : best),
    undefined,
  );
}

function readyCondition(
  { spec, status, generation }: WorkflowView,
  problems: Problem[],
  now: number,
): Condition {
  const before = status.conditions?.find(({ type }) => type === 'Ready');
  const ready = problems.length === 0 ? 'True' : 'False';
  const lastTransitionTime =
    before?.status === ready ? before.lastTransitionTime : new Date(now).toISOString();
  return {
    type: 'Ready',
    status: ready,
    reason: problems.length === 0 ? spec.state : 'InvalidSpec',
    message: problems.length === 0 ? READY[spec.state] : describe(problems),
    observedGeneration: generation,
    lastTransitionTime,
  };
}

const READY: Record<WorkflowView['spec']['state'], string> = {
  Active: 'Runs can be started.',
  Paused: 'Runs can be started by hand only.',
  Draft: 'No run is started before the state is Active or Paused.',
};

/** All problems, a line each, as far as they fit. */
export function describe(problems: readonly Problem[]): string {
  const text = problems.map(({ field, message }) => `${field}: ${message}`).join('\n');
  return text.length > MESSAGE_LENGTH ? `${text.slice(0, MESSAGE_LENGTH - 1)}…` : text;
}

async function deleted(call: Promise<void>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}
