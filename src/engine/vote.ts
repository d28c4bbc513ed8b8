import { createHash } from 'node:crypto';
import { type UnsignedVote, type Vote, vote } from '../api/approval-status.ts';
import { GROUP } from '../api/common.ts';

// The record of a vote: an annotation of the run, and later a line in its status. Wherever it lies, its signature is
// what makes it count.

/** Begins the names of the annotations that hold votes. */
export const VOTE_PREFIX = `${GROUP}/vote-`;

/** Longest annotation that is read as a vote. */
const MAX_VOTE = 8192;

/** The annotation for the votes of one person on one attempt of a step: a later vote takes the place of an earlier one. */
export function voteAnnotation({ step, round, attempt, user }: UnsignedVote): string {
  const text = JSON.stringify([step, round, attempt, user]);
  return `${VOTE_PREFIX}${createHash('sha256').update(text).digest('hex').slice(0, 16)}`;
}

/** What is signed of a vote on a run: all of it, in an order of its own, with the UID of the run. */
export function textOfVote(runUid: string, given: UnsignedVote): string {
  const { step, round, attempt, asked, digest, user, as, own, decision, comment, fields = {}, time } = given;
  const values = Object.entries(fields).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const said = [decision, comment ?? null, values, time];
  return JSON.stringify([runUid, step, round, attempt, asked, digest, user, as, own, ...said]);
}

/** Reads an annotation; undefined for what is no vote. */
export function readVote(text: string): Vote | undefined {
  if (text.length > MAX_VOTE) return undefined;
  try {
    const found = vote.safeParse(JSON.parse(text)).data;
    // In one form alone, so that whoever looks at the text sees the vote that is read from it.
    return JSON.stringify(found) === text ? found : undefined;
  } catch {
    return undefined;
  }
}

/**
 * A vote that somebody may write into a run; one that was found there and counted; who created a run, or what; what it
 * executes.
 */
export type SealPurpose = 'vote' | 'counted' | 'creator' | 'trigger' | 'revision';

/** Seals what the operator has heard; see `storage/seals.ts`. */
export interface Sealing {
  seal(purpose: SealPurpose, text: string): string;
  isOurs(purpose: SealPurpose, text: string, seal: string): boolean;
}

/** The vote with its signature. */
export const signVote = (runUid: string, given: UnsignedVote, sealing: Sealing): Vote => ({
  ...given,
  signature: sealing.seal('vote', textOfVote(runUid, given)),
});

/** The vote as it goes into the status: one that was only heard, by whomever, has no place there. */
export const countVote = (runUid: string, heard: Vote, sealing: Sealing): Vote => ({
  ...heard,
  signature: sealing.seal('counted', textOfVote(runUid, heard)),
});

/** Whether a vote in the status was put there by the operator. */
export const isCounted = (runUid: string, vote: Vote, sealing: Sealing): boolean =>
  sealing.isOurs('counted', textOfVote(runUid, vote), vote.signature);

/** Whether a vote was heard on this run. */
export const isSigned = (runUid: string, vote: Vote, sealing: Sealing): boolean =>
  sealing.isOurs('vote', textOfVote(runUid, vote), vote.signature);
