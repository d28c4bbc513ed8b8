import type { StepStatus, WorkflowRunStatus } from '../api/workflow-run.ts';
import type { Node, Notification, NotificationEvent } from './model.ts';
import { isActive, isDeclined, pendingStep } from './summary.ts';
import { begin, followAttempt, retryAttempt, type Turn, units } from './turn.ts';

/**
 * Sends what is to be told about what has become of a run, and follows what is being sent. It is carried out like a
 * step, with its row in `status.notifications`, but nothing waits for it, and it goes on after the end of the run.
 */
export function notify(turn: Turn, status: WorkflowRunStatus): WorkflowRunStatus {
  const { graph, steps } = turn;
  // A run may begin and end in one decision.
  const began = isActive(turn.status);
  const notices = graph.notifications.flatMap((notification) =>
    noticesOf(turn, notification, hasHappened(notification.event, status, began)),
  );
  const tasks = [...notices, ...lastUpdates(turn, status, notices)];
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

/** A message, and whether there is reason to send it. */
interface Notice {
  event?: NotificationEvent;
  node: Node;
  isDue: boolean;
}

/** What a notification comes to: once for the run, or once for each approval that it is about. */
function noticesOf({ graph, steps }: Turn, { event, node }: Notification, isDue: boolean): Notice[] {
  const approvals = graph.nodes.filter(({ kind }) => kind === 'Approval');
  const about = approvals.flatMap(({ name }) => {
    const own = `${node.name}/${name}`;
    const isNow = isStanding(event, steps.get(name));
    return isNow || steps.has(own) ? [{ event, node: { ...node, name: own }, isDue: isNow }] : [];
  });
  return isOfApprovals(event) ? about : [{ event, node, isDue }, ...about];
}

const isOfApprovals = (event: NotificationEvent): boolean =>
  event === 'onApproved' || event === 'onRejected' || event === 'onExpired';

/** Whether an approval stands as an event has it. */
function isStanding(event: NotificationEvent, row: StepStatus | undefined): boolean {
  switch (event) {
    case 'onWaiting':
      return row?.phase === 'Running';
    case 'onApproved':
      return row?.phase === 'Succeeded';
    case 'onRejected':
      return isDeclined(row) && row?.reason === 'Rejected';
    case 'onExpired':
      return isDeclined(row) && row?.reason === 'TimedOut';
    case 'onStart':
    case 'onSuccess':
    case 'onFailure':
      return false;
    default:
      return event satisfies never;
  }
}

/**
 * Messages that are kept up to date show how the run ended. This is the update that must not be lost; those before it
 * are sent beside, and each replaces the last.
 */
function lastUpdates(turn: Turn, { finishedAt }: WorkflowRunStatus, notices: readonly Notice[]): Notice[] {
  if (finishedAt === undefined) return [];
  const early = notices.filter(({ event }) => event === 'onStart' || event === 'onWaiting');
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
    case 'onApproved':
    case 'onRejected':
    case 'onExpired':
      return false;
    case 'onSuccess':
      return phase === 'Succeeded';
    case 'onFailure':
      return phase === 'Failed' || phase === 'TimedOut';
    default:
      return event satisfies never;
  }
}
