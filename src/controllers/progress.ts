import type { WorkflowRunStatus } from '../api/workflow-run.ts';
import { refuseRun } from '../engine/accept.ts';
import { decide } from '../engine/decide.ts';
import type { Decision, Effect, RunContext } from '../engine/model.ts';
import { resolveParams } from '../engine/params.ts';
import type { EventRecorder } from '../kube/events.ts';
import { keyOf } from '../kube/store.ts';
import type { WorkQueue } from '../kube/work-queue.ts';
import { stepTypes } from '../steps/index.ts';
import { type Attempts, currentIds } from './attempts.ts';
import type { Cluster } from './cluster.ts';
import { addFinalizer, RUN_FINALIZER } from './finalizers.ts';
import { happenings } from './happenings.ts';
import type { LiveMessages } from './live-messages.ts';
import { changes } from './merge-patch.ts';
import type { Revision } from './revisions.ts';
import { settled } from './settled.ts';
import { type RunView, triggerOf, wholeRunView } from './views.ts';

/** Takes runs from one status to the next. All calls give the run as it was written last. */
export interface Progress {
  /**
   * Decides what follows from a status, writes that, and only then does it.
   *
   * @param status what was written last, or what comes after it and is not written yet
   */
  take(run: RunView, revision: Revision, status: WorkflowRunStatus): Promise<RunView>;
  /** Ends a run that can not start or go on as Failed. */
  refuse(run: RunView, reason: string, message: string): Promise<RunView>;
  /** Writes the status of a run that ends without more ado. */
  end(run: RunView, status: WorkflowRunStatus): Promise<RunView>;
  write(run: RunView, status: WorkflowRunStatus): Promise<RunView>;
  /** Has the API server keep the run, should it be deleted, until what it starts has been stopped. */
  keep(run: RunView): Promise<RunView>;
}

export interface ProgressOptions {
  cluster: Pick<Cluster, 'runs'>;
  queue: Pick<WorkQueue, 'addAfter'>;
  attempts: Attempts;
  events: EventRecorder;
  /** Told of each run that was taken on. */
  live: Pick<LiveMessages, 'refresh'>;
  /** Milliseconds since the epoch. */
  now: () => number;
}

export function createProgress(options: ProgressOptions): Progress {
  const { cluster, queue, attempts, events, live, now } = options;
  const { client, store } = cluster.runs;

  /** Gives whether there is something new to see at once. */
  async function perform(run: RunView, revision: Revision, effect: Effect): Promise<boolean> {
    switch (effect.type) {
      case 'Start': {
        const lookAgainMs = await attempts.start(run, effect, revision);
        if (lookAgainMs !== undefined) queue.addAfter(keyOf(run), lookAgainMs);
        return lookAgainMs === 0;
      }
      case 'Stop':
        await attempts.stop(run, effect);
        return false;
      default:
        return effect satisfies never;
    }
  }

  function decideOn(run: RunView, { graph, spec }: Revision, status: WorkflowRunStatus): Decision {
    return decide({
      graph,
      run: contextOf(run, spec.params),
      status,
      observed: attempts.observe({ ...run, status }),
      resolvers: stepTypes,
      now: now(),
    });
  }

  async function write(run: RunView, status: WorkflowRunStatus): Promise<RunView> {
    // Others write the run, too: this version alone is older than all that the status asks for and nobody has made yet.
    const next = { ...attempts.withUids(run, status), basedOn: run.resourceVersion };
    const written = await client.patchStatus(run, changes(run.status, next));
    store.upsert(written);
    for (const happening of happenings(run, run.status, status)) events.record(happening);
    return { ...run, resourceVersion: written.metadata.resourceVersion ?? '', status: written.status ?? {} };
  }

  async function end(run: RunView, status: WorkflowRunStatus): Promise<RunView> {
    const ended = await write(run, status);
    await attempts.close(ended);
    return ended;
  }

  const refuse = (run: RunView, reason: string, message: string) =>
    end(run, refuseRun(run.status, reason, message, now()));

  /**
   * What the status asked for already comes first: a status is never written while it is open whether an object that
   * an earlier one spoke of was made (docs/decisions/starting-once.md).
   */
  async function take(run: RunView, revision: Revision, status: WorkflowRunStatus): Promise<RunView> {
    const decision = decideOn(run, revision, status);
    if (isStuck(decision)) return refuse(run, 'StatusInvalid', STUCK);
    const { asked, decided } = splitEffects(run, decision.effects);
    let isNews = false;
    await settled(
      asked.map(async (effect) => {
        isNews = (await perform(run, revision, effect)) || isNews;
      }),
    );
    // What came of it is not in the decision: to write that would be to forget it, should this process end.
    if (isNews) return take(run, revision, status);
    let current = run;
    if (decision.status !== run.status) {
      attempts.begin(run, decided);
      current = await write(run, decision.status);
    }
    live.refresh(current, revision);
    await settled([...decided.map((effect) => perform(current, revision, effect)), attempts.close(current)]);
    if (decision.wakeAt !== undefined) queue.addAfter(keyOf(run), Math.max(1, decision.wakeAt - now()));
    return current;
  }

  return {
    take,
    refuse,
    end,
    write,
    async keep(run) {
      if (run.finalizers.includes(RUN_FINALIZER)) return run;
      const kept = await addFinalizer(client, run, RUN_FINALIZER);
      store.upsert(kept);
      return wholeRunView(kept);
    },
  };
}

/** What expressions see of a run. Params that do not fit were refused when the run was accepted. */
export function contextOf(run: RunView, declared: Revision['spec']['params']): RunContext {
  const { name, namespace, uid, spec } = run;
  const params = resolveParams(declared ?? [], spec.params ?? {});
  return {
    name,
    namespace,
    uid,
    workflow: spec.workflowRef.name,
    params: params.ok ? params.values : {},
    trigger: triggerOf(run),
  };
}

const STUCK =
  'Nothing is left to be done, and yet the status of the run says that it goes on: it was changed by hand. Create another run.';

/** Nothing runs, nothing can start, and nothing will change that. */
function isStuck({ status, effects, wakeAt }: Decision): boolean {
  if (status.phase !== 'Running' || effects.length > 0 || wakeAt !== undefined) return false;
  return !status.steps?.some(({ phase }) => phase === 'Running');
}

/** Starts of attempts that the status names already, and all other effects. */
function splitEffects(run: RunView, effects: readonly Effect[]): { asked: Effect[]; decided: Effect[] } {
  const named = currentIds(run);
  const isAsked = ({ type, id }: Effect) => type === 'Start' && named.has(id);
  return { asked: effects.filter(isAsked), decided: effects.filter((effect) => !isAsked(effect)) };
}
