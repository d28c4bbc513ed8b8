import type { WorkflowRunStatus } from '../api/workflow-run.ts';
import type { Node, NotificationEvent } from './model.ts';
import { pendingStep } from './summary.ts';
import { begin, followAttempt, retryAttempt, type Turn, units } from './turn.ts';

/**
 * Sends what is to be told about what has become of a run, and follows what is being sent. It is carried out like a
 * step, with its row in `status.notifications`, but nothing waits for it, and it goes on after the end of the run.
 */
export function notify(turn: Turn, status: WorkflowRunStatus): WorkflowRunStatus {
  const { graph, steps } = turn;
  // A run may begin and end in one decision.
  const began = turn.status.phase === 'Running';
  const due = graph.notifications.map(({ event, node }) => ({
    node,
    isDue: hasHappened(event, status, began),
  }));
  const tasks = [...due, ...lastUpdates(turn, status)];
  if (tasks.length === 0) return status;
  turn.phase = status.phase;
  for (const { node, isDue } of tasks) {
    if (steps.has(node.name)) {
      // Neither a timeout nor a cancellation stops it.
      followAttempt(turn, node, undefined);
      retryAttempt(turn, node, undefined);
    } else if (isDue) begin(turn, node, pendingStep(node));
  }
  const rows = tasks.flatMap(({ node }) => steps.get(node.name) ?? []);
  const known = status.notifications ?? [];
  const isSame = rows.length === known.length && rows.every((row, index) => row === known[index]);
  return isSame ? status : { ...status, notifications: rows };
}

/**
 * Messages that are kept up to date show how the run ended. This is the update that must not be lost; those before it
 * are sent beside, and each replaces the last.
 */
function lastUpdates(turn: Turn, { finishedAt }: WorkflowRunStatus): { node: Node; isDue: boolean }[] {
  if (finishedAt === undefined) return [];
  const early = turn.graph.notifications.filter(({ event }) => event === 'onStart' || event === 'onWaiting');
  const senders = [...units(turn), ...early.map(({ node }) => node)];
  return senders.flatMap((node) => {
    const updates = node.spec.slack?.update ? turn.steps.get(node.name) : undefined;
    if (updates?.outputs === undefined) return [];
    return { node: { ...node, name: `update[${node.name}]`, templates: new Map(), updates }, isDue: true };
  });
}

function hasHappened(event: NotificationEvent, { phase }: WorkflowRunStatus, began: boolean): boolean {
  switch (event) {
    case 'onStart':
      return began;
    case 'onWaiting':
      return phase === 'Queued';
    case 'onSuccess':
      return phase === 'Succeeded';
    case 'onFailure':
      return phase === 'Failed' || phase === 'TimedOut';
    default:
      return event satisfies never;
  }
}
