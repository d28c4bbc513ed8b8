import { createHash } from 'node:crypto';
import type { ApprovalStep } from '../api/approval-step.ts';
import type { ApprovedPlan, Vote } from '../api/approval-status.ts';
import type { StepStatus } from '../api/workflow-run.ts';
import { askedAt, lastVotes, type Question } from './ballot.ts';
import type { Node } from './model.ts';
import { timeOf } from './text.ts';
import type { Turn } from './turn.ts';

// What an approval asks in a run, and whether it was answered. All of it follows from the frozen workflow and the plans:
// what the status says of approvers, counts and deadlines is for people to read.

/** Changes of each plan that are shown to those who are asked. */
const MAX_CHANGES = 10;

export function questionOf(turn: Turn, node: Node, step: StepStatus, spec: ApprovalStep): Question {
  const asked = askedAt(step);
  return {
    step: node.name,
    round: turn.status.round ?? 0,
    attempt: step.attempt ?? 1,
    asked,
    digest: digestOf(plansOf(turn, node)),
    deadline: timeOf(Date.parse(asked) + node.timeout),
    approvers: spec.approvers,
    allowSelf: spec.allowSelf === true,
    fields: spec.fields ?? [],
  };
}

export const votesOn = ({ observed }: Turn, { name }: Node): readonly Vote[] => {
  const seen = observed.get(name);
  return seen?.state === 'Votes' ? seen.votes : [];
};

export const approvalsIn = (votes: readonly Vote[]): Vote[] =>
  votes.filter(({ decision }) => decision === 'Approve');

/** The rows of the plans that an approval is about, each with what is known of its plan. */
export function plansOf({ steps, instances }: Turn, { approves = [] }: Node): ApprovedPlan[] {
  const names = approves.flatMap(({ step, key }) => {
    if (typeof key === 'string') return [`${step}[${key}]`];
    return (instances.get(step) ?? []).length > 0
      ? (instances.get(step) ?? []).map(({ name }) => name)
      : [step];
  });
  return [...new Set(names)].flatMap((name) => {
    const plan = steps.get(name)?.terraform;
    return plan === undefined ? [] : [approvedPlanOf(name, plan)];
  });
}

function approvedPlanOf(step: string, plan: NonNullable<StepStatus['terraform']>): ApprovedPlan {
  const {
    digest,
    commit,
    add,
    change,
    destroy,
    import: imported,
    replace,
    changes = [],
    moreChanges = 0,
  } = plan;
  const more = moreChanges + Math.max(0, changes.length - MAX_CHANGES);
  return {
    step,
    ...(digest === undefined ? {} : { digest }),
    ...(commit === undefined ? {} : { commit }),
    add,
    change,
    destroy,
    import: imported,
    replace,
    ...(changes.length > 0 ? { changes: changes.slice(0, MAX_CHANGES) } : {}),
    ...(more > 0 ? { moreChanges: more } : {}),
  };
}

/** One digest for all plans: that of the plan where there is one, and a hash of them all where there are more. */
function digestOf(plans: readonly ApprovedPlan[]): string {
  const [first, ...others] = plans;
  if (!first) return '';
  if (others.length === 0 && first.digest !== undefined) return first.digest;
  const list = plans.map(({ step, digest = '' }) => [step, digest]);
  return `sha256:${createHash('sha256').update(JSON.stringify(list)).digest('hex')}`;
}

/** Whether enough votes with a signature say that a step was approved, whatever its row says. */
export function isProven(turn: Turn, node: Node): boolean {
  const step = turn.steps.get(node.name);
  const spec = 'approval' in node.spec ? node.spec.approval : undefined;
  if (step?.phase !== 'Succeeded' || !spec) return false;
  const votes = votesOn(turn, node);
  // What was approved in an earlier round, and not done over since, stays approved.
  const rounds = new Set(
    votes.map(({ round }) => round).filter((round) => round <= (turn.status.round ?? 0)),
  );
  const question = questionOf(turn, node, step, spec);
  return [...rounds].some((round) => {
    const counted = lastVotes(votes, { ...question, round });
    return (
      approvalsIn(counted).length >= (spec.required ?? 1) &&
      !counted.some(({ decision }) => decision === 'Reject')
    );
  });
}

/**
 * What keeps a step from starting that the schedule lets start: an approval before it that nobody gave. Who can edit the
 * status can make the operator believe much, but not that.
 */
export function missingApproval(turn: Turn, { guards = [] }: Node): string | undefined {
  const missing = guards.find(({ approval, certain }) => {
    const node = turn.graph.nodes.find(({ name }) => name === approval);
    const claims = turn.steps.get(approval)?.phase === 'Succeeded';
    return node !== undefined && (certain || claims) && !isProven(turn, node);
  });
  if (!missing) return undefined;
  const { approval } = missing;
  return `Step ${approval} must be approved first, and there are not enough signed votes for that: the status of the run was changed by hand, or the key that signed them is gone.`;
}
