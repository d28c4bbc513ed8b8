import type { Workflow, WorkflowRun } from '../../api/resources.ts';
import { runBy } from '../../engine/created-by.ts';
import { judgeCreate, judgeUpdate } from '../../engine/judge-vote.ts';
import type { Teams } from '../../engine/teams.ts';
import type { Sealing } from '../../engine/vote.ts';
import type { ReviewedObject } from './review.ts';
import type { Ballot } from './runs.ts';

export interface BallotOptions {
  sealing: Sealing;
  /** Who belongs to which team, at the moment. */
  teams: () => Promise<Teams>;
  /** Milliseconds since the epoch. */
  now: () => number;
}

/** Puts the operator's seal on what people say. */
export function createBallot({ sealing, teams, now }: BallotOptions): Ballot {
  return {
    runBy: ({ metadata }, { username }) => runBy(metadata as Workflow['metadata'], username, sealing, now()),
    judgeCreate: async (run, user) => judgeCreate({ run: asRun(run), user, sealing, now: now() }),
    async judgeUpdate(before, after, user) {
      const review = { before: asRun(before), after: asRun(after), user, sealing, now: now() };
      return judgeUpdate({ ...review, teams: await teams() });
    },
  };
}

/** What is stored went through the schema; of what is about to be, the metadata alone is read. */
const asRun = (object: ReviewedObject) => object as unknown as WorkflowRun;
