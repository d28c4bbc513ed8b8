import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { UnsignedVote, Vote } from '../api/approval-status.ts';
import type { StepStatus } from '../api/workflow-run.ts';
import { countVote, textOfVote, voteAnnotation } from '../engine/vote.ts';
import type { Happening } from '../kube/events.ts';
import { fakeKeys } from '../storage/fake-keys.ts';
import { createSeals } from '../storage/seals.ts';
import { runOf, running } from './fake-run.ts';
import { createVoteReader } from './votes.ts';

const seals = createSeals(fakeKeys('key'));
const ASKED = '2030-01-01T00:00:00.000Z';
const unsigned: UnsignedVote = {
  step: 'ok',
  round: 0,
  attempt: 1,
  asked: ASKED,
  digest: 'sha256:1',
  user: 'jane',
  as: 'team:t',
  own: false,
  decision: 'Approve',
  comment: 'good',
  fields: { b: 2, a: 'x' },
  time: '2030-01-01T00:01:00.000Z',
};
const sign = (vote: UnsignedVote, run = 'run'): Vote => ({
  ...vote,
  signature: seals.seal('vote', textOfVote(run, vote)),
});
const vote = sign(unsigned);
const counted = countVote('run', vote, seals);
const approval = { approvers: ['team:t'], required: 1, deadline: ASKED, digest: '' };
const row = running('ok', 'approval', { startedAt: ASKED });

function reading() {
  const told: Happening[] = [];
  const reader = createVoteReader({ seals, events: { record: (happening) => void told.push(happening) } });
  const read = (votes: Record<string, string>, of: StepStatus = row) =>
    reader.votesOn(runOf({}, { votes }), of);
  return { reader, read, told };
}
const annotated = (one: Vote) => ({ [voteAnnotation(one)]: JSON.stringify(one) });

suite('votes of a run', () => {
  test('are read from its annotations, each for its step', () => {
    const { read, told } = reading();
    const other = sign({ ...unsigned, step: 'other' });
    assert.deepEqual(read({ ...annotated(vote), ...annotated(other) }), [counted]);
    assert.deepEqual(told, []);
  });

  test('are read from its status, as far as the operator put them there', () => {
    const forged = { ...counted, user: 'mallory' };
    const { read } = reading();
    const votes = [vote, counted, forged];
    assert.deepEqual(read({}, { ...row, approval: { ...approval, votes } }), [counted]);
  });

  test('survive what the API server does to them', () => {
    const { read } = reading();
    const { fields: _fields, ...rest } = counted;
    const sorted = Object.fromEntries(
      Object.entries({ fields: { a: 'x', b: 2 }, ...rest }).toSorted(([a], [b]) => (a < b ? -1 : 1)),
    ) as Vote;
    assert.equal(read({}, { ...row, approval: { ...approval, votes: [sorted] } }).length, 1);
  });

  test('are read from annotations in one form alone, so that a policy that looks at the text sees the same vote', () => {
    const { read } = reading();
    const text = JSON.stringify(vote);
    assert.equal(read({ x: text }).length, 1);
    for (const other of [
      text.replace('"user":"jane"', '"user":"mallory","user":"jane"'),
      text.replace('"user":', '"user" :'),
      text.replace('"user":', '"\\u0075ser":'),
      ` ${text}`,
      JSON.stringify(Object.assign({ user: '' }, vote)),
    ]) {
      assert.notEqual(other, text);
      assert.deepEqual(read({ x: other }), []);
    }
  });

  const forgeries: [string, string][] = [
    ['of another run', JSON.stringify(sign(unsigned, 'another'))],
    ...Object.entries({
      step: 'ok2',
      round: 1,
      attempt: 2,
      asked: '2030-01-01T00:00:00.001Z',
      digest: 'sha256:2',
      user: 'mallory',
      as: 'user:mallory',
      own: true,
      decision: 'Reject',
      comment: 'bad',
      fields: { a: 'y', b: 2 },
      time: '2030-01-01T00:02:00.000Z',
      signature: '',
    }).map(([key, value]): [string, string] => [
      `with another ${key}`,
      JSON.stringify({ ...vote, [key]: value }),
    ]),
    ['without a comment that it had', JSON.stringify({ ...vote, comment: undefined })],
    ['with more than a vote has', JSON.stringify({ ...vote, more: 1 })],
    ['that is no JSON', '{'],
    ['that is huge', JSON.stringify({ ...vote, comment: 'x'.repeat(100_000) })],
  ];
  for (const [what, text] of forgeries) {
    test(`do not include one ${what}, which is told once`, () => {
      const { read, told } = reading();
      for (let time = 0; time < 2; time += 1) assert.deepEqual(read({ 'signalbox.dev/vote-1': text }), []);
      assert.deepEqual(
        told.map(({ reason, note }) => [reason, note]),
        [
          [
            'VoteIgnored',
            'signalbox.dev/vote-1 is no vote that Signalbox recorded for this run: it does not count.',
          ],
        ],
      );
    });
  }

  test('count for nothing where there are no keys, which is told once', () => {
    const told: string[] = [];
    const reader = createVoteReader({
      seals: undefined,
      events: { record: ({ note }) => void told.push(note) },
    });
    const run = runOf({}, { votes: annotated(vote) });
    assert.deepEqual([...reader.votesOn(run, row), ...reader.votesOn(run, row)], []);
    assert.deepEqual(told, [
      'Nobody can approve: the operator has no keys to sign votes with. Set --keys-dir.',
    ]);
  });
});
