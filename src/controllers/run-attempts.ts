import { API_VERSION } from '../api/common.ts';
import type { WorkflowRun } from '../api/resources.ts';
import { CREATED_BY, createdFor, creatorOf } from '../engine/created-by.ts';
import type { Observation, Result, StartEffect } from '../engine/model.ts';
import type { Sealing } from '../engine/vote.ts';
import { type Change, keyOf } from '../kube/store.ts';
import { runReference } from '../steps/job.ts';
import { attemptLabels } from '../steps/labels.ts';
import { workflowOf } from '../steps/workflow.ts';
import type { Cluster } from './cluster.ts';
import type { Executor } from './executor.ts';
import { RUN_FINALIZER } from './finalizers.ts';
import { settled } from './settled.ts';
import {
  createStarts,
  findStarted,
  makeOnce,
  Refusal,
  refuseForeign,
  type Sought,
  unlessNotFound,
  versionBefore,
} from './starts.ts';
import { annotationOf, type RunView } from './views.ts';

/** Most runs above a run. */
const MAX_DEPTH = 8;

/**
 * Each attempt is a run of another workflow that the run owns.
 *
 * @param onChanged told the key of a run that was made or written here, which nobody else tells the controller of
 * @param now milliseconds since the epoch
 * @param sealing puts on record that who, or what, started the run has started those of its steps; nothing without keys
 */
export function createRunAttempts(
  { runs }: Cluster,
  onChanged: (key: string) => void,
  now: () => number,
  sealing?: Sealing,
): Executor {
  const starts = createStarts('InvalidRun', now);

  function childOf(run: RunView, id: string): RunView | undefined {
    const child = runs.store.get(keyOf({ namespace: run.namespace, name: id }));
    return child?.owner?.uid === run.uid ? child : undefined;
  }

  async function ensureRun(run: RunView, effect: StartEffect): Promise<void> {
    const child = (await findRun(run, effect)) ?? (await makeRun(run, effect));
    refuseForeign('WorkflowRun', { name: effect.id, owners: child.metadata.ownerReferences }, run.uid);
    starts.made(run.uid, effect.id);
    starts.note(run.uid, effect.id, child.metadata.uid ?? '');
    take(child);
  }

  async function findRun(run: RunView, effect: StartEffect): Promise<WorkflowRun | undefined> {
    return starts.isFresh(run.uid, effect.id) ? undefined : findStarted(runs.client, soughtRun(run, effect));
  }

  function soughtRun(run: RunView, { id, step }: StartEffect): Sought {
    const row = run.status.steps?.find(({ name }) => name === step);
    return {
      what: 'run that the step started',
      name: { namespace: run.namespace, name: id },
      seen: row?.run?.uid !== undefined,
      since: versionBefore(run),
    };
  }

  async function makeRun(run: RunView, effect: StartEffect): Promise<WorkflowRun> {
    const wanted = onRecord(run, childRun(run, effect));
    refuseCycle(run, wanted.spec.workflowRef.name);
    return makeOnce(runs.client, wanted, soughtRun(run, effect));
  }

  /** Nobody approves their own run by having it start another. */
  function onRecord(run: RunView, child: WorkflowRun): WorkflowRun {
    const creator = sealing && creatorOf({ metadata: run.origin, spec: run.spec }, sealing);
    if (!sealing || creator === undefined) return child;
    const annotations = { [CREATED_BY]: createdFor(creator, child, sealing, now()) };
    return { ...child, metadata: { ...child.metadata, annotations } };
  }

  /** What cannot be seen when a workflow is admitted, as the others that it leads to may be changed at any time. */
  function refuseCycle(run: RunView, workflow: string): void {
    const above = [run, ...ancestorsOf(run)];
    const same = above.find(({ spec }) => spec.workflowRef.name === workflow);
    if (!same) return;
    const way = above.map(({ spec }) => spec.workflowRef.name).reverse();
    throw new Refusal(
      'WorkflowCycle',
      `Workflow ${workflow} would run itself without end: ${[...way, workflow].join(' runs ')}. Take one of these steps out.`,
    );
  }

  function ancestorsOf({ namespace, spec: { trigger } }: RunView): RunView[] {
    const found: RunView[] = [];
    for (let above = trigger; above.type === 'Workflow' && found.length <= MAX_DEPTH; ) {
      const run = runs.store.get(keyOf({ namespace, name: above.name ?? '' }));
      if (!run) break;
      found.push(run);
      above = run.spec.trigger;
    }
    return found;
  }

  function take(run: WorkflowRun): void {
    runs.store.upsert(run);
    onChanged(keyOf({ namespace: run.metadata.namespace, name: run.metadata.name ?? '' }));
  }

  async function cancel(child: RunView): Promise<void> {
    const patch = { metadata: { uid: child.uid, annotations: { [annotationOf('cancel')]: 'true' } } };
    const patched = await unlessNotFound(runs.client.patch(child, patch));
    if (patched) take(patched);
  }

  return {
    observe(run, id) {
      const child = childOf(run, id);
      return child ? observationOf(child) : starts.observe(run.uid, id);
    },

    begin: (run, id) => starts.begin(run.uid, id),
    start: (run, effect) => starts.attempt(run.uid, effect.id, () => ensureRun(run, effect)),

    async stop(run, { id, force = false }) {
      const child = childOf(run, id);
      if (child && isToBeCancelled(child, force)) await cancel(child);
    },

    async close(run, current) {
      const force = run.status.cancellation?.terminatedAt !== undefined;
      const left = runs.store.byIndex('owner', run.uid).filter(({ name }) => !current.has(name));
      await settled(left.filter((child) => isToBeCancelled(child, force)).map(cancel));
    },

    forget: starts.forget,
    uidOf: (run, id) => childOf(run, id)?.uid ?? starts.uidOf(run.uid, id),
  };
}

/** Key of the run that waits for the one that changed, when it can see that. */
export function waitingParent(change: Change<RunView>): string | undefined {
  const { namespace, owner } = change.type === 'Deleted' ? change.previous : change.object;
  if (!owner || (change.type === 'Updated' && looksAlike(change.object, change.previous))) return undefined;
  return keyOf({ namespace, name: owner.name });
}

const looksAlike = ({ status: a }: RunView, { status: b }: RunView): boolean =>
  a.phase === b.phase &&
  a.finishedAt === b.finishedAt &&
  // One that ended at once may have to ask a second time.
  a.cancellation?.requestedAt === b.cancellation?.requestedAt;

/** A run that was already asked is left alone, unless it is to end at once. */
function isToBeCancelled({ status, control, deletedAt }: RunView, force: boolean): boolean {
  if (status.finishedAt !== undefined || deletedAt !== undefined || control.cancel !== undefined)
    return false;
  if (!status.cancellation) return true;
  return force && status.cancellation.terminatedAt === undefined;
}

function childRun(run: RunView, effect: StartEffect): WorkflowRun {
  const { name: workflow, params } = workflowOf(effect.spec);
  const depth = (run.spec.trigger.depth ?? 0) + 1;
  if (depth > MAX_DEPTH) {
    throw new Refusal(
      'ChainTooDeep',
      `Workflow ${workflow} is not run: there are ${depth} runs above it, and at most ${MAX_DEPTH} are allowed.`,
    );
  }
  const { step, attempt, id } = effect;
  const { git } = run.spec.trigger;
  return {
    apiVersion: API_VERSION,
    kind: 'WorkflowRun',
    metadata: {
      name: id,
      namespace: run.namespace,
      labels: attemptLabels({
        run: { name: run.name, workflow: run.spec.workflowRef.name },
        step,
        attempt,
      }),
      ownerReferences: [runReference(run)],
      finalizers: [RUN_FINALIZER],
    },
    spec: {
      workflowRef: { name: workflow },
      ...(params ? { params } : {}),
      trigger: { type: 'Workflow', name: run.name, step, depth, ...(git ? { git } : {}) },
    },
  };
}

function observationOf(child: RunView): Observation {
  const { finishedAt, phase, message } = child.status;
  // A queue may be long, and is no trouble of the step.
  if (phase === 'Queued' && message !== undefined) {
    return { state: 'Running', queued: `Run ${child.name} is queued: ${message}` };
  }
  if (finishedAt === undefined) return { state: 'Running' };
  return { state: 'Ended', result: resultOf(child, Date.parse(finishedAt)) };
}

function resultOf({ name, uid, status }: RunView, finishedAt: number): Result {
  const { phase, startedAt, reason, message, outputs } = status;
  const ended = { summary: `Run ${name} ${phase}`, finishedAt, uid };
  if (phase === 'Succeeded') {
    return { ...ended, outcome: 'Succeeded', reason: 'Completed', ...(outputs ? { outputs } : {}) };
  }
  const why = message ?? reason ?? 'it gives no reason';
  // One that was never accepted did nothing: what is wrong is how it was called.
  const refused = phase === 'Failed' && startedAt === undefined ? reason : undefined;
  return {
    ...ended,
    outcome: 'Failed',
    reason: refused ?? `Child${phase}`,
    message: `Run ${name} ${ENDS[phase ?? ''] ?? 'ended'}: ${why}`,
  };
}

/** The words for how a run ended that did not succeed. */
const ENDS: Record<string, string> = { Failed: 'failed', Cancelled: 'was cancelled', TimedOut: 'timed out' };
