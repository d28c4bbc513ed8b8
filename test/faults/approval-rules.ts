import { isDeepStrictEqual } from 'node:util';
import type { Vote } from '../../src/api/approval-status.ts';
import type { Scalar } from '../../src/api/common.ts';
import type { StepStatus } from '../../src/api/workflow-run.ts';
import { type CastVote, standing } from './ballots.ts';
import type { DrawnStep, Expected } from './drawn.ts';
import type { DrawnApproval } from './drawn-approval.ts';

/** Whether an approval was not given, and its workflow says what follows that. */
export const isDealtWith = ({ approval }: DrawnStep, row: StepStatus | undefined): boolean =>
  approval?.hasFollowUp === true && isDeclined(row);

/** Whether people, or their silence, decided against it. */
export const isDeclined = (row: StepStatus | undefined): boolean =>
  row?.type === 'approval' &&
  row.phase === 'Failed' &&
  (row.reason === 'Rejected' || row.reason === 'TimedOut');

/** How an approval ends by the votes that were cast, if nothing ends the run before: one who rejects is enough. */
export function decisionOf(approval: DrawnApproval, votes: readonly CastVote[]): Expected {
  const last = standing(votes);
  if (last.some(({ decision }) => decision === 'Reject'))
    return { phase: 'Failed', reason: 'Rejected', attempts: 1 };
  const given = last.filter(({ decision }) => decision === 'Approve');
  if (given.length < approval.required) return { phase: 'Failed', reason: 'TimedOut', attempts: 1 };
  return { phase: 'Succeeded', reason: 'Approved', attempts: 1, outputs: outputsOf(approval, given) };
}

/** The values of the fields: of those that several gave, the last by the time of the vote and the name; in the order of their names. */
function outputsOf({ fields }: DrawnApproval, given: readonly Vote[]): Record<string, Scalar> {
  const place = ({ time, user }: Vote) => `${time} ${user}`;
  const inTime = given.toSorted((a, b) => (place(a) < place(b) ? -1 : 1));
  const values = new Map(inTime.flatMap((vote) => Object.entries(vote.fields ?? {})));
  const all = fields.flatMap((field) => {
    const value = values.get(field.name) ?? field.default;
    return value === undefined ? [] : [[field.name, value] as const];
  });
  return Object.fromEntries(all.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** Ends of a step that leave no time to look at the votes once more. */
const CUT = ['RunCancelled', 'RunTimedOut'];

/** What is wrong with the row of an approval that has ended, beside how it ended. */
export function approvalProblems(
  approval: DrawnApproval,
  row: StepStatus,
  votes: readonly CastVote[],
): string[] {
  const { name, reason = '', attempt, finishedAt = '', approval: asked } = row;
  if (attempt === undefined) return votes.length === 0 ? [] : [`${name} was voted on, and never asked`];
  if (!asked) return [`${name} does not say what it asked`];
  const early = reason === 'TimedOut' && Date.parse(finishedAt) < Date.parse(asked.deadline);
  const late = votes.filter(({ vote }) => vote.time >= asked.deadline);
  return [
    ...questionProblems(approval, row),
    ...(early ? [`${name} was over at ${finishedAt}, before its deadline ${asked.deadline}`] : []),
    ...late.map(({ vote }) => `${name} had the vote of ${vote.user} after its deadline`),
    ...countProblems(row, votes, CUT.includes(reason) ? 'Some' : 'All'),
  ];
}

function questionProblems(approval: DrawnApproval, { name, approval: asked }: StepStatus): string[] {
  const wanted = [approval.approvers, approval.required, approval.allowSelf];
  const found = [asked?.approvers, asked?.required, asked?.allowSelf ?? false];
  return isDeepStrictEqual(wanted, found) ? [] : [`${name} asked ${JSON.stringify(found)}`];
}

/** The status shows the last vote of each who voted. */
function countProblems(
  { name, approval: asked }: StepStatus,
  votes: readonly CastVote[],
  which: 'All' | 'Some',
): string[] {
  const counted = (asked?.votes ?? []).map(said);
  const cast = votes.map(({ vote }) => said(vote));
  const last = standing(votes).map(said);
  const has = (list: readonly object[], one: object) => list.some((other) => isDeepStrictEqual(other, one));
  const strange = counted.filter((vote) => !has(which === 'All' ? last : cast, vote));
  const missing = which === 'All' ? last.filter((vote) => !has(counted, vote)) : [];
  const twice = counted.length !== new Set(counted.map(({ user }) => user)).size;
  return [
    ...strange.map((vote) => `${name} counts a vote that nobody cast: ${JSON.stringify(vote)}`),
    ...missing.map((vote) => `${name} does not count a vote: ${JSON.stringify(vote)}`),
    ...(twice ? [`${name} counts two votes of one person`] : []),
  ];
}

/** A vote without its signature, which differs with where it lies. */
function said({ signature: _signature, ...vote }: Vote): Omit<Vote, 'signature'> {
  return vote;
}
