import type { WorkflowRunStatus } from '../api/workflow-run.ts';
import type { NotificationEvent } from './model.ts';
import { pendingStep } from './summary.ts';
import { begin, followAttempt, retryAttempt, type Turn } from './turn.ts';

/**
 * Sends what is to be told about what has become of a run, and follows what is being sent. It is carried out like a
 * step, with its row in `status.notifications`, but nothing waits for it, and it goes on after the end of the run.
 */
export function notify(turn: Turn, status: WorkflowRunStatus): WorkflowRunStatus {
  const { graph, steps } = turn;
  if (graph.notifications.length === 0) return status;
  for (const { event, node } of graph.notifications) {
    const row = steps.get(node.name);
    if (row) {
      followAttempt(turn, node, undefined);
      retryAttempt(turn, node, undefined);
    } else if (HAPPENED[event](status)) begin(turn, node, pendingStep(node));
  }
  const rows = graph.notifications.flatMap(({ node }) => steps.get(node.name) ?? []);
  const known = status.notifications ?? [];
  const isSame = rows.length === known.length && rows.every((row, index) => row === known[index]);
  return isSame ? status : { ...status, notifications: rows };
}

const HAPPENED: Record<NotificationEvent, (status: WorkflowRunStatus) => boolean> = {
  onStart: ({ startedAt }) => startedAt !== undefined,
  onWaiting: ({ phase }) => phase === 'Queued',
  onSuccess: ({ phase }) => phase === 'Succeeded',
  onFailure: ({ phase }) => phase === 'Failed' || phase === 'TimedOut',
};
