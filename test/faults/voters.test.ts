import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { WorkflowRun } from '../../src/api/resources.ts';
import { CREATED_BY } from '../../src/engine/created-by.ts';
import { voteAnnotation } from '../../src/engine/vote.ts';
import { waitFor } from '../cluster/wait.ts';
import { createBallots } from './ballots.ts';
import type { Voter } from './drawn-approval.ts';
import { asking, askedOf, cast, row, runOf, workflowOf } from './fixtures.ts';
import type { Answer } from './people-api.ts';
import { createVoters } from './voters.ts';

const soon = { afterMs: 0 } as const;
const approves: Voter = { who: 'ann', acts: [{ asks: 'approve', when: soon }] };

const waiting = (): WorkflowRun => {
  const run = runOf('AwaitingApproval', [
    row('a Running AwaitingApproval 1', { type: 'approval', approval: askedOf([]) }),
  ]);
  const metadata = {
    ...run.metadata,
    creationTimestamp: '2030-01-01T00:00:00Z',
    annotations: { [CREATED_BY]: JSON.stringify({ time: '2030-01-01T00:00:00.000Z' }) },
  };
  return { ...run, metadata };
};

const withVote = (run: WorkflowRun): WorkflowRun => {
  const { vote } = cast('ann', 'Approve', 1);
  const annotations = { ...run.metadata.annotations, [voteAnnotation(vote)]: JSON.stringify(vote) };
  return { ...run, metadata: { ...run.metadata, annotations, resourceVersion: '11' } };
};

/** Has them vote on a run, where the API server answers so, one time after the other, and then takes nothing more. */
async function voting(voters: Voter[], answers: Answer[]) {
  const counts = new Map<string, number>();
  const wrong: string[] = [];
  const ballots = createBallots();
  const left = [...answers];
  const people = createVoters({
    api: {
      annotate: async () => left.shift() ?? { taken: false, unheard: 'nobody is there' },
      read: async () => runOf('Succeeded', [], { finishedAt: '2030-01-01T00:00:02Z' }),
    },
    ballots,
    workflowOf: () => ({
      ...workflowOf(asking('a', { voters })),
      startedBy: 'cas',
    }),
    count: (what) => void counts.set(what, (counts.get(what) ?? 0) + 1),
    onWrong: (_run, message) => void wrong.push(message),
    blow: () => Promise.resolve(),
  });
  people.onRun(waiting());
  // The same run seen again changes nothing.
  people.onRun(waiting());
  await waitFor('the answers', 5000, () => left.length === 0);
  await people.close();
  return { wrong, counts, cast: ballots.of('r', 'a').length };
}

suite('people vote', () => {
  test('until they are heard, and what was taken is in the ballots once', async () => {
    const unheard = { taken: false, unheard: 'failed calling webhook' } as const;
    const told = await voting([approves], [unheard, unheard, { taken: true, run: withVote(waiting()) }]);
    assert.deepEqual([told.wrong, told.cast], [[], 1]);
    assert.equal(told.counts.get('votes that nobody heard'), 2);
    assert.equal(told.counts.get('approvals that were asked for'), 1);
  });

  test('and say so when a right vote is refused', async () => {
    const refusal = { taken: false, message: 'ann may not decide on step a: it asks nobody.' } as const;
    const { wrong } = await voting([approves], [refusal]);
    assert.equal(wrong.length, 1);
  });

  test('and when a wrong one is taken', async () => {
    const eve: Voter = { who: 'eve', acts: [{ asks: 'approve', when: soon }] };
    const { wrong } = await voting([eve], [{ taken: true, run: withVote(waiting()) }]);
    assert.match(wrong[0] ?? '', /was heard, and not told NotAsked/);
  });

  test('and when a vote that was taken is not on record', async () => {
    const { wrong } = await voting([approves], [{ taken: true, run: waiting() }]);
    assert.match(wrong[0] ?? '', /carries no record/);
  });

  test('and when the record says something else', async () => {
    const rejects: Voter = { who: 'ann', acts: [{ asks: 'reject', when: 'Blow' }] };
    const { wrong } = await voting([rejects], [{ taken: true, run: withVote(waiting()) }]);
    assert.match(wrong[0] ?? '', /the record says/);
  });
});
