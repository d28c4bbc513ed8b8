import { isDeepStrictEqual } from 'node:util';
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
  refuseExchanged,
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

  /** A run of that name that says that it belongs to this one. Whoever creates a run can have it say that. */
  function claimantOf(run: RunView, id: string): RunView | undefined {
    const claimant = runs.store.get(keyOf({ namespace: run.namespace, name: id }));
    return claimant?.owner?.uid === run.uid ? claimant : undefined;
  }

  /** UID of the run that was made, or found to be just what would have been made. */
  function firstUid({ uid, status }: RunView, id: string): string | undefined {
    const row = status.steps?.find((step) => step.run?.name === id);
    return row?.run?.uid ?? starts.uidOf(uid, id);
  }

  /** One that this process does not know yet is looked at by `start`, before anything is believed of it. */
  function childOf(run: RunView, id: string): RunView | undefined {
    const claimant = claimantOf(run, id);
    return claimant && claimant.uid === firstUid(run, id) ? claimant : undefined;
  }

  async function ensureRun(run: RunView, effect: StartEffect): Promise<void> {
    const child = (await findRun(run, effect)) ?? (await makeRun(run, effect));
    refuseForeign('WorkflowRun', { name: effect.id, owners: child.metadata.ownerReferences }, run.uid);
    refuseExchanged('run', child.metadata, firstUid(run, effect.id));
    refusePretender(run, effect, child);
    starts.made(run.uid, effect.id);
    starts.note(run.uid, effect.id, child.metadata.uid ?? '');
    take(child);
  }

  /** Who creates the run that a step is about to start has neither another workflow run, nor approve it themselves. */
  function refusePretender(run: RunView, effect: StartEffect, child: WorkflowRun): void {
    const isMeant = isDeepStrictEqual(child.spec, plain(childRun(run, effect).spec));
    const creator = sealing && creatorOf(child, sealing);
    const isOurs = creator === undefined || isDeepStrictEqual(creator, creatorOfRun(run));
    if (isMeant && isOurs) return;
    throw new Refusal('NameTaken', takenBy(effect.id));
  }

  const creatorOfRun = (run: RunView) =>
    sealing && creatorOf({ metadata: run.origin, spec: run.spec }, sealing);

  async function findRun(run: RunView, effect: StartEffect): Promise<WorkflowRun | undefined> {
    return starts.isFresh(run.uid, effect.id) ? undefined : findStarted(runs.client, soughtRun(run, effect));
  }

  function soughtRun(run: RunView, { id }: StartEffect): Sought {
    return {
      what: 'run that the step started',
      name: { namespace: run.namespace, name: id },
      seen: firstUid(run, id) !== undefined,
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
    const creator = creatorOfRun(run);
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
    async start(run, effect) {
      const isNew = firstUid(run, effect.id) === undefined && !starts.isFresh(run.uid, effect.id);
      const lookAgainMs = await starts.attempt(run.uid, effect.id, () => ensureRun(run, effect));
      // What was found may have ended long ago.
      return isNew && childOf(run, effect.id) ? 0 : lookAgainMs;
    },

    async stop(run, { id, force = false }) {
      const child = claimantOf(run, id);
      if (child && isToBeCancelled(child, force)) await cancel(child);
    },

    async close(run, current) {
      const force = run.status.cancellation?.terminatedAt !== undefined;
      const left = runs.store.byIndex('owner', run.uid).filter(({ name }) => !current.has(name));
      await settled(left.filter((child) => isToBeCancelled(child, force)).map(cancel));
    },

    forget: starts.forget,
    uidOf: firstUid,
  };
}

/** As it comes back from the API server. */
const plain = (spec: WorkflowRun['spec']): unknown => JSON.parse(JSON.stringify(spec));

const takenBy = (name: string): string =>
  `A run named ${name} exists that Signalbox has not made for this step: delete it, then run again.`;

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
