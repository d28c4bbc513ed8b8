import type { Vote } from '../../src/api/approval-status.ts';
import type { WorkflowRun } from '../../src/api/resources.ts';
import { readVote, VOTE_PREFIX } from '../../src/engine/vote.ts';

/** A vote that the API server took. */
export interface CastVote {
  /** Name of the run. */
  run: string;
  step: string;
  /** Version of the cluster with which it was there; comparable with those of all other objects. */
  version: number;
  /** The record of it that the operator made. */
  vote: Vote;
}

/** All votes that the API server took, as those know who cast them. */
export interface Ballots {
  add(vote: CastVote): void;
  /** Those on a step of a run, in the order in which they came. */
  of(run: string, step: string): readonly CastVote[];
}

export function createBallots(): Ballots {
  const byStep = new Map<string, CastVote[]>();
  const of = (run: string, step: string) => byStep.get(`${run}/${step}`) ?? [];
  return {
    of,
    add(vote) {
      const all = [...of(vote.run, vote.step), vote].toSorted((a, b) => a.version - b.version);
      byStep.set(`${vote.run}/${vote.step}`, all);
    },
  };
}

/** The last vote of each who voted. */
export function standing(votes: readonly CastVote[]): Vote[] {
  return [...new Map(votes.map(({ vote }) => [vote.user, vote])).values()];
}

/** The records of votes that a run carries. */
export function recordsOn({ metadata }: WorkflowRun): Vote[] {
  return Object.entries(metadata.annotations ?? {}).flatMap(([name, text]) =>
    name.startsWith(VOTE_PREFIX) ? (readVote(text) ?? []) : [],
  );
}
