import { isDeepStrictEqual } from 'node:util';
import type { ApprovalStep } from '../api/approval-step.ts';
import {
  type ApprovalStatus,
  type ApprovedPlan,
  MAX_APPROVED_PLANS,
  MAX_VOTES,
  type Vote,
} from '../api/approval-status.ts';
import type { StepStatus } from '../api/workflow-run.ts';
import { end, type Halt } from './attempt.ts';
import { approvalsIn, plansOf, questionOf, votesOn } from './approval-question.ts';
import { lastVotes, type Question, resolveFields } from './ballot.ts';
import type { Node, Result } from './model.ts';
import { cut, MAX_MESSAGE, MAX_SUMMARY, oneLine, spanOf, timeOf } from './text.ts';
import { put, resolve, type Turn } from './turn.ts';

/** Reason of a step that waits for people. */
export const AWAITING = 'AwaitingApproval';
/** What a vote that came in time may take to be seen. */
const LATE_MS = 2000;

/** Begins to wait for the votes on a step. */
export function ask(turn: Turn, node: Node, step: StepStatus): void {
  const { reason: _reason, message: _message, ...rest } = step;
  const now = timeOf(turn.now);
  const asked: StepStatus = {
    ...rest,
    phase: 'Running',
    startedAt: step.startedAt ?? now,
    attempt: (step.attempt ?? 0) + 1,
    ...(step.startedAt === undefined ? {} : { attemptStartedAt: now }),
  };
  follow(turn, node, asked);
}

/** Takes a step that waits for votes on by those that there are. */
export function followApproval(turn: Turn, node: Node, halt: Halt | undefined): void {
  const step = turn.steps.get(node.name);
  if (step?.phase !== 'Running') return;
  if (!halt) return follow(turn, node, step);
  const { outcome, reason, because } = halt;
  const message = `${because}, and nobody has to approve any more.`;
  put(turn, end(step, { outcome, reason, message, finishedAt: turn.now }, turn.now));
}

/** Shows what is asked as it is now, whatever somebody made of the status, and decides if it can be decided. */
function follow(turn: Turn, node: Node, step: StepStatus): void {
  const spec = specOf(turn, node);
  if ('error' in spec) {
    put(
      turn,
      end(
        step,
        { outcome: 'Failed', reason: 'ExpressionError', message: spec.error, finishedAt: turn.now },
        turn.now,
      ),
    );
    return;
  }
  const question = questionOf(turn, node, step, spec);
  const votes = lastVotes(votesOn(turn, node), question);
  const approval = statusOf(spec, question, votes, plansOf(turn, node));
  const shown = same(step, { ...step, reason: AWAITING, message: waitingFor(spec, approval), approval });
  const result = resultOf(spec, question, votes, turn.now);
  put(turn, result ? end(shown, result, turn.now) : shown);
  if (!result) turn.wakes.push(Math.max(turn.now + 1, Date.parse(question.deadline) + LATE_MS));
}

/** The row as it is written already, where nothing changes. */
const same = (before: StepStatus, after: StepStatus): StepStatus =>
  isDeepStrictEqual(before, after) ? before : after;

function specOf(turn: Turn, node: Node): ApprovalStep | { error: string } {
  const resolved = resolve(turn, node);
  if ('error' in resolved) return resolved;
  const { spec } = resolved;
  return ('approval' in spec ? spec.approval : undefined) ?? { error: 'approval is not there' };
}

function statusOf(
  spec: ApprovalStep,
  { digest, deadline, fields, allowSelf }: Question,
  votes: readonly Vote[],
  plans: readonly ApprovedPlan[],
): ApprovalStatus {
  const more = plans.length - MAX_APPROVED_PLANS;
  return {
    approvers: [...spec.approvers],
    required: spec.required ?? 1,
    ...(allowSelf ? { allowSelf } : {}),
    ...(spec.message === undefined ? {} : { message: cut(spec.message, MAX_MESSAGE) }),
    deadline,
    digest,
    ...(plans.length > 0 ? { plans: plans.slice(0, MAX_APPROVED_PLANS) } : {}),
    ...(more > 0 ? { morePlans: more } : {}),
    ...(fields.length > 0 ? { fields: [...fields] } : {}),
    ...(votes.length > 0 ? { votes: votes.slice(-MAX_VOTES) } : {}),
  };
}

function waitingFor(
  { approvers, required = 1 }: ApprovalStep,
  { votes = [], deadline }: ApprovalStatus,
): string {
  const given = approvalsIn(votes).length;
  const what = required === 1 ? 'approval' : `${required} approvals`;
  const soFar = given > 0 ? `, ${given} given so far` : '';
  return cut(`Waits until ${deadline} for ${what} by ${approvers.join(', ')}${soFar}.`, MAX_MESSAGE);
}

const namesIn = (votes: readonly Vote[]): string => {
  const names = votes.map(({ user }) => user);
  const last = names.pop() ?? '';
  return names.length > 0 ? `${names.join(', ')} and ${last}` : last;
};

/** What people decided; undefined while they may still vote. One who rejects is enough. */
function resultOf(
  { required = 1 }: ApprovalStep,
  { deadline, asked, fields }: Question,
  votes: readonly Vote[],
  now: number,
): Result | undefined {
  const rejection = votes.find(({ decision }) => decision === 'Reject');
  if (rejection) {
    const summary = `Rejected by ${rejection.user}`;
    const { comment } = rejection;
    return declined(
      'Rejected',
      summary,
      comment === undefined ? `${summary}.` : `${summary}: ${oneLine(comment)}`,
      now,
    );
  }
  const approvals = approvalsIn(votes);
  if (approvals.length >= required) return approved(approvals, fields, now);
  if (now < Date.parse(deadline) + LATE_MS) return undefined;
  const span = spanOf(Date.parse(deadline) - Date.parse(asked));
  if (approvals.length === 0) {
    return declined('TimedOut', 'Nobody approved in time', `Nobody approved within ${span}.`, now);
  }
  const given = `${approvals.length} of ${required} approvals`;
  const message = `Only ${given} came within ${span}: by ${namesIn(approvals)}.`;
  return declined('TimedOut', `${given} in time`, message, now);
}

const declined = (reason: string, summary: string, message: string, finishedAt: number): Result => ({
  outcome: 'Failed',
  reason,
  message,
  summary: cut(summary, MAX_SUMMARY),
  finishedAt,
});

/** Of values that several gave, the last counts. */
function approved(approvals: readonly Vote[], fields: Question['fields'], finishedAt: number): Result {
  const given = Object.assign({}, ...approvals.map((vote) => vote.fields ?? {})) as Vote['fields'];
  const values = resolveFields(fields, given ?? {});
  return {
    outcome: 'Succeeded',
    reason: 'Approved',
    summary: cut(`Approved by ${namesIn(approvals)}`, MAX_SUMMARY),
    ...(values.ok && fields.length > 0 ? { outputs: values.values } : {}),
    finishedAt,
  };
}
