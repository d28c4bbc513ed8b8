import type { ApprovedPlan } from '../api/approval-status.ts';
import { GROUP } from '../api/common.ts';
import type { StepStatus } from '../api/workflow-run.ts';
import { plansText } from '../engine/approval-text.ts';
import { oneLine } from '../engine/text.ts';
import { escapeText, quote } from './mrkdwn.ts';
import type { RunFacts } from './step-type.ts';

/** Changes that a message lists of each plan. */
const MAX_CHANGES = 5;

/** What waits, what it is about, and how to approve it. Everything in it is escaped. */
export function requestText(
  run: Pick<RunFacts, 'namespace' | 'name'>,
  { name, approval }: StepStatus,
): string {
  const { approvers = [], required = 1, deadline = '', message, plans = [] } = approval ?? {};
  const what = required === 1 ? 'approval' : `${required} approvals`;
  const command = `kubectl annotate workflowrun ${run.name} -n ${run.namespace} ${GROUP}/approve=${name}`;
  return [
    `Step *${escapeText(name)}* waits until ${deadline} for ${what} by ${escapeText(approvers.join(', '))}.`,
    ...(message === undefined ? [] : [quote(message)]),
    ...linesOf(plans),
    `Approve: \`${escapeText(command)}\``,
  ].join('\n');
}

/** What was decided, and about what. */
export function decisionText({ name, summary = '', message, approval }: StepStatus): string {
  return [
    `Step *${escapeText(name)}*: ${escapeText(oneLine(summary))}`,
    ...(message === undefined ? [] : [quote(message)]),
    ...linesOf(approval?.plans ?? []),
  ].join('\n');
}

const linesOf = (plans: readonly ApprovedPlan[]): string[] =>
  plans.flatMap((plan) => [...plansText([plan]).map(escapeText), ...changesOf(plan)]);

function changesOf({ changes = [], moreChanges = 0 }: ApprovedPlan): string[] {
  const more = moreChanges + Math.max(0, changes.length - MAX_CHANGES);
  return [
    ...changes
      .slice(0, MAX_CHANGES)
      .map(({ action, address }) => `• ${action} ${escapeText(oneLine(address))}`),
    ...(more > 0 ? [`• and ${more} more`] : []),
  ];
}
