import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { CREATED_BY } from '../../src/engine/created-by.ts';
import { expectedOutcome, type Outcome, refusalKind, type Situation } from './expected-answer.ts';
import { approvalOf, cast } from './fixtures.ts';

const created = '2030-01-01T00:00:00Z';
const runOf = (time: string): Situation['run'] => ({
  metadata: { creationTimestamp: created, annotations: { [CREATED_BY]: JSON.stringify({ time }) } },
});

const situation = (asks: Situation['act']['asks'], more: Partial<Situation> = {}): Situation => ({
  approval: approvalOf(),
  who: 'ann',
  act: { asks, when: { afterMs: 0 } },
  starter: 'cas',
  run: runOf('2030-01-01T00:00:01.000Z'),
  votes: [],
  ...more,
});

suite('a vote comes to', () => {
  const bad = { asks: 'approve', when: { afterMs: 0 }, bad: true } as const;
  const elsewhere = { asks: 'approve', when: { afterMs: 0 }, step: 'ax' } as const;
  const unknown = { run: runOf('2030-01-01T00:02:00.000Z') };
  const own = { starter: 'ann' } as const;
  const allowed = { approval: approvalOf({ allowSelf: true }) };
  const approved = { votes: [cast('ann', 'Approve', 1)] };
  const rejected = { votes: [cast('ann', 'Reject', 1)] };
  const withdrawn = { votes: [cast('ann', 'Approve', 1), cast('ann', 'Withdraw', 2)] };
  const cases: [Outcome, Situation][] = [
    ['Taken', situation('approve')],
    ['Taken', situation('approve', { votes: [cast('ben', 'Approve', 1)] })],
    ['NotAsked', situation('approve', { who: 'eve' })],
    ['NoStep', situation('approve', { act: elsewhere })],
    ['Fields', situation('approve', { act: bad })],
    ['Own', situation('approve', own)],
    ['Own', situation('approve', unknown)],
    ['Taken', situation('approve', { ...own, ...unknown, ...allowed })],
    ['Taken', situation('reject', { ...own, ...unknown })],
    ['Already', situation('approve', approved)],
    ['Taken', situation('reject', approved)],
    ['Already', situation('reject', rejected)],
    ['Already', situation('approve', rejected)],
    ['Taken', situation('withdraw', approved)],
    ['NothingToWithdraw', situation('withdraw')],
    ['NothingToWithdraw', situation('withdraw', withdrawn)],
    ['Taken', situation('approve', withdrawn)],
  ];
  for (const [index, [outcome, given]] of cases.entries()) {
    test(`${outcome}: ${given.who} asks to ${given.act.asks} (${index + 1})`, () => {
      assert.equal(expectedOutcome(given), outcome);
    });
  }
});

test('a refusal that nobody deserves has no kind', () => {
  assert.equal(refusalKind('Step a does not wait for approval yet.'), undefined);
  assert.equal(refusalKind('eve may not decide on step a: it asks user:ann.'), 'NotAsked');
});
