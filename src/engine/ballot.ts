import type { ApprovalField } from '../api/approval-step.ts';
import type { Vote } from '../api/approval-status.ts';
import type { Scalar } from '../api/common.ts';
import type { StepStatus } from '../api/workflow-run.ts';
import { checkValue } from './params.ts';
import { didYouMean } from './suggest.ts';

/** What a vote must be about to count. */
export interface Question {
  step: string;
  round: number;
  attempt: number;
  /** Since when the step waits. */
  asked: string;
  /** What is approved. */
  digest: string;
  deadline: string;
  approvers: readonly string[];
  allowSelf: boolean;
  fields: readonly ApprovalField[];
}

/** When the current attempt of an approval began to wait. */
export const askedAt = ({ attemptStartedAt, startedAt = '' }: StepStatus): string =>
  attemptStartedAt ?? startedAt;

/**
 * The last vote of each who voted on this question, in the order in which they were cast. That somebody signed them
 * is known; everything else is judged here.
 */
export function lastVotes(votes: readonly Vote[], question: Question): Vote[] {
  const last = new Map<string, Vote>();
  for (const vote of votes.filter((one) => counts(one, question)).toSorted(compareVotes)) {
    last.delete(vote.user);
    last.set(vote.user, vote);
  }
  return [...last.values()];
}

function counts(vote: Vote, question: Question): boolean {
  const { step, round, attempt, asked, digest, deadline, approvers, allowSelf, fields } = question;
  const isAboutThis =
    vote.step === step &&
    vote.round === round &&
    vote.attempt === attempt &&
    vote.asked === asked &&
    vote.digest === digest;
  if (!isAboutThis || !approvers.includes(vote.as) || Date.parse(vote.time) >= Date.parse(deadline))
    return false;
  if (vote.decision !== 'Approve') return true;
  return (allowSelf || !vote.own) && resolveFields(fields, vote.fields ?? {}).ok;
}

/** Who votes twice in one instant means the more careful of the two. */
const CARE: Record<Vote['decision'], number> = { Approve: 0, Withdraw: 1, Reject: 2 };

const compareVotes = (a: Vote, b: Vote): number =>
  Date.parse(a.time) - Date.parse(b.time) ||
  CARE[a.decision] - CARE[b.decision] ||
  (a.user < b.user ? -1 : 1);

/** The values of the form fields of an approval: those given, and defaults. */
export function resolveFields(
  fields: readonly ApprovalField[],
  given: Readonly<Record<string, Scalar>>,
): { ok: true; values: Record<string, Scalar> } | { ok: false; problems: string[] } {
  const names = fields.map(({ name }) => name);
  const known = names.length === 0 ? 'it takes none' : `it takes ${names.join(', ')}`;
  const unknown = Object.keys(given).filter((name) => !names.includes(name));
  const problems = unknown.map(
    (name) => `${name} is no field of the approval: ${known}.${didYouMean(name, names)}`,
  );
  const values: Record<string, Scalar> = {};
  for (const field of fields) {
    const value = Object.hasOwn(given, field.name) ? given[field.name] : field.default;
    if (value !== undefined) {
      problems.push(...checkValue(field, value).map((message) => `${field.name} ${message}`));
      values[field.name] = value;
    } else if (field.required) {
      const what = field.description === undefined ? '' : ` (${field.description})`;
      problems.push(`${field.name}${what} is required: give a ${field.type}`);
    }
  }
  return problems.length > 0 ? { ok: false, problems } : { ok: true, values };
}
