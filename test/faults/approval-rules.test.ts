import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { approvalProblems, decisionOf } from './approval-rules.ts';
import type { CastVote } from './ballots.ts';
import { approvalOf, askedOf, cast, row } from './fixtures.ts';

suite('an approval ends', () => {
  const two = approvalOf({ required: 2 });
  const ann = cast('ann', 'Approve', 1);
  const cases: [string, CastVote[], string][] = [
    ['in time without votes', [], 'TimedOut'],
    ['with too few', [ann], 'TimedOut'],
    ['with two votes of one', [ann, cast('ann', 'Approve', 2)], 'TimedOut'],
    ['with one that was withdrawn', [ann, cast('ben', 'Approve', 2), cast('ann', 'Withdraw', 3)], 'TimedOut'],
    ['with enough', [ann, cast('ben', 'Approve', 2)], 'Approved'],
    ['with one who rejects', [ann, cast('ben', 'Approve', 2), cast('cas', 'Reject', 3)], 'Rejected'],
  ];
  for (const [what, votes, reason] of cases) {
    test(`${what} as ${reason}`, () => assert.equal(decisionOf(two, votes).reason, reason));
  }

  test('with the fields that were given last, and with defaults', () => {
    const fields = [
      { name: 'value', type: 'string', required: true },
      { name: 'count', type: 'number', default: 3 },
      { name: 'sure', type: 'boolean' },
    ] as const;
    const votes = [
      cast('ann', 'Approve', 1, { fields: { value: 'late' }, time: '2030-01-01T00:00:09.000Z' }),
      cast('ben', 'Approve', 2, { fields: { value: 'early' } }),
    ];
    const { outputs } = decisionOf(approvalOf({ required: 2, fields }), votes);
    assert.equal(JSON.stringify(outputs), '{"count":3,"value":"late"}');
  });
});

suite('what is wrong with an approval', () => {
  const problems = (text: string, votes: CastVote[], counted = votes, more = {}) => {
    const found = row(text, { type: 'approval', approval: askedOf(counted), ...more });
    return approvalProblems(approvalOf(), found, votes);
  };
  const ann = cast('ann', 'Approve', 1);
  const approved = 'a Succeeded Approved 1';

  test('nothing, if it counts the last vote of each', () => {
    assert.deepEqual(problems(approved, [ann]), []);
    const again = cast('ann', 'Approve', 3);
    assert.deepEqual(problems(approved, [ann, cast('ann', 'Withdraw', 2), again], [again]), []);
  });

  test('a vote that does not count, counts twice, or that nobody cast', () => {
    assert.equal(problems(approved, [ann], []).length, 1);
    assert.equal(problems(approved, [ann], [ann, ann]).length, 1);
    assert.equal(problems(approved, [ann], [ann, cast('ben', 'Approve', 2)]).length, 1);
    const other = cast('ann', 'Approve', 1, { comment: 'another' });
    assert.equal(problems(approved, [ann], [other]).length, 2);
  });

  test('only a run that is cut short may leave votes out', () => {
    const [first, last] = [cast('ann', 'Approve', 1), cast('ann', 'Withdraw', 2)];
    assert.deepEqual(problems('a Cancelled RunCancelled 1', [first, last], [first]), []);
    assert.equal(problems('a Failed TimedOut 1', [first, last], [first]).length > 0, true);
    assert.equal(problems('a Cancelled RunCancelled 1', [last], [first]).length, 1);
  });

  test('a deadline that is missed', () => {
    const early = { finishedAt: '2030-01-01T00:59:59.999Z' };
    assert.equal(problems('a Failed TimedOut 1', [], [], early).length, 1);
    assert.deepEqual(problems('a Failed TimedOut 1', [], [], { finishedAt: '2030-01-01T01:00:00.000Z' }), []);
    assert.equal(problems(approved, [cast('ann', 'Approve', 3600)]).length, 1);
  });

  test('a question that is not that of the workflow, or votes where nobody was asked', () => {
    const more = { approval: { ...askedOf([ann]), approvers: ['user:eve@example.com'] } };
    assert.equal(problems(approved, [ann], [ann], more).length, 1);
    assert.equal(problems('a Skipped WhenFalse', [ann]).length, 1);
    assert.deepEqual(problems('a Skipped WhenFalse', [], []), []);
  });
});
