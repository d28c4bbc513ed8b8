import type { StepStatus, WorkflowRunTrigger } from '../api/workflow-run.ts';
import { hasEnded, isInstance, progressOf } from '../engine/summary.ts';
import { cut, oneLine, spanOf } from '../engine/text.ts';
import { cutText, escapeText, quote } from './mrkdwn.ts';
import { decisionText, requestText } from './approval-message.ts';
import type { RunFacts } from './step-type.ts';

/** Longest texts in characters: of a message as Slack recommends, of a section, and of a field in one. */
const MAX_TEXT = 4000;
const MAX_SECTION = 3000;
const MAX_FIELD = 2000;
/** Longest list of the names of steps. */
const MAX_NAMES = 128;
const SHORT_HASH = 7;

/** A message as chat.postMessage, chat.update and incoming webhooks take it. */
export interface SlackMessage {
  /** The message itself, or with blocks what notifications show and screen readers read. */
  text: string;
  blocks?: Block[];
}

interface Mrkdwn {
  type: 'mrkdwn';
  text: string;
  /** Slack makes no links and mentions of its own accord. */
  verbatim: true;
}

/** Parts of a message: https://docs.slack.dev/reference/block-kit/blocks */
export type Block =
  | { type: 'header'; text: { type: 'plain_text'; text: string } }
  | { type: 'section'; fields: Mrkdwn[] }
  | { type: 'section'; text: Mrkdwn }
  | { type: 'context'; elements: Mrkdwn[] };

/** Where a run stands, as people put it. */
type State =
  | 'Waiting'
  | 'Waiting for Approval'
  | 'Approved'
  | 'Rejected'
  | 'Not Approved in Time'
  | 'Started'
  | 'Running'
  | 'Complete'
  | 'Failed'
  | 'Cancelled'
  | 'Timed Out';

/** A message of one's own. Values in it are to be escaped before. */
export const textMessage = (text: string): SlackMessage => ({ text: cutText(text, MAX_TEXT) });

/**
 * What there is to tell about a run.
 *
 * @param now milliseconds since the epoch; the end of the duration of a run that has not ended
 */
export function summaryMessage(run: RunFacts, now: number): SlackMessage {
  const state = stateOf(run);
  const title = `${run.environment ? 'Deployment' : 'Workflow'} ${state}`;
  const fields = fieldsOf(run, state, now);
  const note = noteOf(run, state);
  const where = `Run ${run.name} in namespace ${run.namespace}`;
  const lines = [title, ...fields.map(([label, value]) => `${label}: ${value}`), ...note];
  return {
    text: cutText(lines.join('\n'), MAX_TEXT),
    blocks: [
      { type: 'header', text: { type: 'plain_text', text: title } },
      { type: 'section', fields: fields.map(([label, value]) => mrkdwn(`*${label}*\n${value}`, MAX_FIELD)) },
      ...note.map((text): Block => ({ type: 'section', text: mrkdwn(text, MAX_SECTION) })),
      { type: 'context', elements: [mrkdwn(escapeText(where), MAX_FIELD)] },
    ],
  };
}

const mrkdwn = (text: string, most: number): Mrkdwn => ({
  type: 'mrkdwn',
  text: cutText(text, most),
  verbatim: true,
});

function stateOf(run: RunFacts): State {
  if (run.about) return approvalState(run.about);
  switch (run.outcome) {
    case 'Pending':
    case 'Queued':
      return 'Waiting';
    case 'AwaitingApproval':
      return 'Waiting for Approval';
    case 'Running':
      return progressState(run);
    case 'Succeeded':
      return run.ended || isWorkDone(run) ? 'Complete' : progressState(run);
    case 'Failed':
    case 'Cancelled':
      return run.outcome;
    case 'TimedOut':
      return 'Timed Out';
    default:
      return run.outcome satisfies never;
  }
}

function approvalState({ phase, reason }: StepStatus): State {
  if (phase === 'Succeeded') return 'Approved';
  if (phase === 'Running' || phase === 'Pending') return 'Waiting for Approval';
  if (reason === 'Rejected') return 'Rejected';
  return reason === 'TimedOut' ? 'Not Approved in Time' : 'Cancelled';
}

/** Whether all that is left is to tell about it: the step that sends this message has not ended itself. */
const isWorkDone = ({ steps }: RunFacts): boolean =>
  steps.length > 0 && steps.every((step) => step.type === 'slack' || hasEnded(step));

const progressState = ({ steps }: RunFacts): State => (steps.some(hasEnded) ? 'Running' : 'Started');

/** Labels and values, which are escaped; what is not known is left out. */
function fieldsOf(run: RunFacts, state: State, now: number): [label: string, value: string][] {
  const all: [string, string | undefined][] = [
    ['Workflow', run.workflow],
    ['Environment', run.environment],
    ['Status', statusOf(run, state)],
    ['Duration', durationOf(run, state, now)],
    ['Changes applied', changesOf(run.steps)],
    ['Triggered by', triggerOf(run.trigger)],
    ['Commit', commitOf(run.trigger.git)],
  ];
  return all.flatMap(([label, value = '']) => {
    const shown = escapeText(oneLine(value));
    return shown === '' ? [] : [[label, shown]];
  });
}

function statusOf({ steps, about }: RunFacts, state: State): string {
  switch (state) {
    case 'Waiting for Approval':
      return `${state}: ${namesOf(approvalsOf(steps, about))}`;
    case 'Approved':
    case 'Rejected':
    case 'Not Approved in Time':
      return `${state}: ${about?.name}`;
    case 'Started':
    case 'Running': {
      const own = steps.filter((step) => !isInstance(step));
      const current = own.filter(({ phase, type }) => phase === 'Running' && type !== 'slack');
      return [`Running (${progressOf(own)})`, namesOf(current)].filter(Boolean).join(': ');
    }
    case 'Complete':
      return 'Succeeded';
    case 'Timed Out':
      return 'Timed out';
    case 'Waiting':
    case 'Failed':
    case 'Cancelled':
      return state;
    default:
      return state satisfies never;
  }
}

/** The approval that a message is about, or all that wait. */
const approvalsOf = (steps: readonly StepStatus[], about: StepStatus | undefined): readonly StepStatus[] =>
  about ? [about] : steps.filter(({ type, phase }) => type === 'approval' && phase === 'Running');

const namesOf = (steps: readonly StepStatus[]): string =>
  cut(steps.map(({ name }) => name).join(', '), MAX_NAMES);

function durationOf({ startedAt, finishedAt }: RunFacts, state: State, now: number): string | undefined {
  if (startedAt === undefined || state === 'Waiting' || state === 'Started') return undefined;
  return spanOf(Math.max(0, (finishedAt ?? now) - startedAt));
}

/** What the steps report to have changed, all together: `3 resources added, 1 resource changed`. */
function changesOf(steps: readonly StepStatus[]): string {
  const changes = (['added', 'changed', 'destroyed'] as const).flatMap((key) => {
    const count = steps.reduce(
      (sum, step) => sum + (appliedBy(step)?.[key] ?? countOf(step.outputs?.[key])),
      0,
    );
    return count === 0 ? [] : [`${count} ${count === 1 ? 'resource' : 'resources'} ${key}`];
  });
  return changes.join(', ');
}

/** What a Terraform step changed; what a plan only works out is not changed. */
function appliedBy({ terraform }: StepStatus) {
  if (!terraform) return undefined;
  if (terraform.drifted !== undefined && !terraform.autoApproved)
    return { added: 0, changed: 0, destroyed: 0 };
  const { add: added, change: changed, destroy: destroyed } = terraform;
  return { added, changed, destroyed };
}

/** An output that is a whole number; scripts give theirs as text. */
function countOf(output: unknown): number {
  const isCount = typeof output === 'number' || (typeof output === 'string' && /^[0-9]{1,9}$/.test(output));
  const count = Number(isCount ? output : 0);
  return Number.isSafeInteger(count) && count > 0 ? count : 0;
}

/** For example `Git Push (main @ abc1234)`, `Manual by jane`. */
function triggerOf({ type, name, by, git }: WorkflowRunTrigger): string {
  const kind = type.replace(/(?<=[a-z])(?=[A-Z])/g, ' ');
  const at = [git?.branch, shortHash(git?.commit)].filter(Boolean).join(' @ ');
  const what = at === '' ? name : `(${at})`;
  return [kind, what, type !== 'GitPush' && by ? `by ${by}` : undefined].filter(Boolean).join(' ');
}

const shortHash = (commit: string | undefined): string | undefined =>
  commit !== undefined && /^[0-9a-f]+$/i.test(commit) ? commit.slice(0, SHORT_HASH) : commit;

/** For example `abc1234 "Add rate limiting to API"`. */
function commitOf(git: WorkflowRunTrigger['git']): string {
  const subject = (git?.message ?? '').trim().split(/[\r\n]/)[0];
  return [shortHash(git?.commit), subject ? `"${subject}"` : undefined].filter(Boolean).join(' ');
}

/** What went wrong or is waited for, in one piece, if there is such a thing. */
function noteOf(run: RunFacts, state: State): string[] {
  const said = run.message ? [quote(run.message)] : [];
  switch (state) {
    case 'Started':
    case 'Running':
    case 'Complete':
      return [];
    case 'Waiting for Approval':
      return approvalsOf(run.steps, run.about).map((step) => requestText(run, step));
    case 'Approved':
    case 'Rejected':
    case 'Not Approved in Time':
      return run.about ? [decisionText(run.about)] : [];
    case 'Waiting':
    case 'Cancelled':
      return said;
    case 'Failed':
    case 'Timed Out':
      // Only the end of a run says which of its failures counted.
      return run.ended && run.message ? said : failuresOf(run.steps);
    default:
      return state satisfies never;
  }
}

function failuresOf(steps: readonly StepStatus[]): string[] {
  const failed = steps.filter((step) => step.phase === 'Failed' && !isInstance(step));
  // A message that could not be sent is rarely what made the run fail.
  const [first, ...others] = failed.toSorted(
    (a, b) => Number(a.type === 'slack') - Number(b.type === 'slack'),
  );
  if (!first) return [];
  const { name, message, reason } = first;
  const also = others.length > 0 ? [`Also failed: ${escapeText(namesOf(others))}`] : [];
  return [
    [`Step *${escapeText(name)}* failed:`, quote(message ?? reason ?? 'no details'), ...also].join('\n'),
  ];
}
