import type { WorkflowRunStatus } from '../api/workflow-run.ts';
import type { EventRecorder } from '../kube/events.ts';
import type { Cluster } from './cluster.ts';
import { acceptance, refusal, type Request } from './control.ts';
import { regardingRun } from './happenings.ts';
import { annotationOf, type RunView, wholeRunView } from './views.ts';

/**
 * Takes annotations away that have been acted on, and says what came of them. What was acted on is named in the
 * status (`handled`) by the write that did so, so that it is never acted on twice, whenever the operator is killed.
 */
export interface Reply {
  /** Takes up a run again of which this process took an annotation away and could not say so in the status. */
  resume(run: RunView): Promise<RunView>;
  /** Takes the annotation away and tells; or forgets what was handled, where the annotation is gone already. */
  answer(outcome: Outcome, request: Request | undefined): Promise<RunView>;
}

/** A run as it was written last, and why nothing was done about what was asked of it, if nothing was. */
export interface Outcome {
  run: RunView;
  refused?: string | undefined;
}

export interface ReplyOptions {
  runs: Cluster['runs'];
  events: EventRecorder;
  write: (run: RunView, status: WorkflowRunStatus) => Promise<RunView>;
}

export function createReply({ runs, events, write }: ReplyOptions): Reply {
  /** Runs whose annotation this process took away, while the status still names it: another may come at any time. */
  const answered = new Set<string>();

  async function remove(run: RunView, { name }: Request): Promise<RunView> {
    const { resourceVersion, status } = run;
    const annotations = { [annotationOf(name)]: null };
    const patched = await runs.client.patch(run, { metadata: { resourceVersion, annotations } });
    runs.store.upsert(patched);
    if (status.handled !== undefined) answered.add(run.uid);
    return { ...wholeRunView(patched), status };
  }

  async function forget(run: RunView): Promise<RunView> {
    if (run.status.handled === undefined) return run;
    const { handled: _handled, ...status } = run.status;
    const written = await write(run, status);
    answered.delete(run.uid);
    return written;
  }

  return {
    resume: async (run) => (answered.has(run.uid) ? forget(run) : run),

    async answer({ run, refused }, request) {
      if (!request) return forget(run);
      const removed = await remove(run, request);
      const answer = refused === undefined ? acceptance(request, run.status) : refusal(request, refused);
      events.record({ regarding: regardingRun(run), ...answer });
      return forget(removed);
    },
  };
}
