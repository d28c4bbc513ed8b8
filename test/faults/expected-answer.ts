import type { WorkflowRun } from '../../src/api/resources.ts';
import { CREATED_BY } from '../../src/engine/created-by.ts';
import { type CastVote, standing } from './ballots.ts';
import type { Act, DrawnApproval } from './drawn-approval.ts';
import { PEOPLE, peopleIn, type PersonId } from './people.ts';

/** Why a vote was refused, and what the refusal says. */
const REFUSALS = {
  NotAsked: /may not decide on step/,
  Own: /started this run|not on record who started/,
  Already: /You have (approved|rejected) step/,
  NothingToWithdraw: /There is no vote of yours/,
  Fields: /The fields of the approval are not right/,
  NoStep: /The run has no step/,
  /** It came too late. */
  Decided: /is decided already|The run has ended already/,
  Expired: /The time to decide on step/,
} as const;
export type RefusalKind = keyof typeof REFUSALS;

/** What a vote comes to. */
export type Outcome = 'Taken' | RefusalKind;

/** Undefined for a refusal that no vote of the campaign deserves. */
export const refusalKind = (message: string): RefusalKind | undefined =>
  Object.entries(REFUSALS).flatMap(([kind, text]) => (text.test(message) ? [kind as RefusalKind] : []))[0];

export interface Situation {
  approval: DrawnApproval;
  who: PersonId;
  act: Act;
  starter: PersonId;
  /** The run as it was created. */
  run: Pick<WorkflowRun, 'metadata'>;
  /** All votes on the step so far. */
  votes: readonly CastVote[];
}

/** What a vote comes to while the step waits for it, by docs/approvals.md. */
export function expectedOutcome(situation: Situation): Outcome {
  const { approval, who, act, votes } = situation;
  if (act.step !== undefined) return 'NoStep';
  if (!peopleIn(approval.approvers).includes(who)) return 'NotAsked';
  if (act.asks === 'approve' && !approval.allowSelf && isOwn(situation)) return 'Own';
  const last = standing(votes).find(({ user }) => user === PEOPLE[who].name)?.decision;
  const stands = last === 'Withdraw' ? undefined : last;
  if (act.asks === 'withdraw') return stands ? 'Taken' : 'NothingToWithdraw';
  if (stands && (act.asks === 'approve' || stands === 'Reject')) return 'Already';
  return act.bad ? 'Fields' : 'Taken';
}

/** Whose run it is, or a run of which nobody knows whose it is. */
const isOwn = ({ who, starter, run }: Situation): boolean => who === starter || !isOnRecord(run);

/** How far the clock of the operator that recorded it may be from that of the API server. */
const MAX_DRIFT_MS = 60_000;

/** Whether the run says who created it, in a record that was made when it was. */
export function isOnRecord({ metadata }: Pick<WorkflowRun, 'metadata'>): boolean {
  const record = JSON.parse(metadata.annotations?.[CREATED_BY] ?? '{}') as { time?: string };
  const drift = Date.parse(record.time ?? '') - Date.parse(metadata.creationTimestamp ?? '');
  return Math.abs(drift) <= MAX_DRIFT_MS;
}

/** Whether this attempt of a step waits for votes no more. */
export function isOver(
  { status }: WorkflowRun,
  { step, attempt }: { step: string; attempt: number },
): boolean {
  const row = status?.steps?.find(({ name }) => name === step);
  return status?.finishedAt !== undefined || row?.phase !== 'Running' || row.attempt !== attempt;
}
