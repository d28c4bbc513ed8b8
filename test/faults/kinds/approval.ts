import type { ApprovalField } from '../../../src/api/approval-step.ts';
import type { Act, DrawnApproval, Voter } from '../drawn-approval.ts';
import { APPROVERS, peopleIn, type PersonId } from '../people.ts';
import type { Random } from '../random.ts';
import type { StepKind } from './kind.ts';

/** What people are going to do. Times that may run out do, now and then, whatever people do. */
const PLANS = [
  { weight: 6, plan: 'Approve', expires: false },
  { weight: 3, plan: 'Reject', expires: false },
  { weight: 2, plan: 'Approve', expires: true },
  { weight: 2, plan: 'Hesitate', expires: true },
] as const;

/** Longer than clocks are ever stepped. */
const LONG = '2h';

const FIELDS: readonly ApprovalField[] = [
  { name: 'count', type: 'number', default: 3 },
  { name: 'sure', type: 'boolean' },
  { name: 'value', type: 'string', required: true },
];

/** Asks people, some of whom vote, more than once, wrongly, or not at all. */
export const approval: StepKind = {
  alsoIn: ['Branch'],
  weight: 6,
  draw(random, { name, starter }) {
    const { plan, expires } = random.weighted(PLANS);
    const required = random.int(1, 3);
    const allowSelf = random.chance(0.3);
    const mayApprove = (who: PersonId) => allowSelf || who !== starter;
    const approvers = drawApprovers(random, required, mayApprove);
    const fields = random.chance(0.6) ? FIELDS : [];
    const followUp = random.chance(0.5) ? random.int(1, 2) : 0;
    const people = shuffled(random, peopleIn(approvers).filter(mayApprove));
    const draw = { random, name, people, required, fields };
    const drawn: DrawnApproval = {
      approvers,
      required,
      allowSelf,
      fields,
      expires,
      hasFollowUp: followUp > 0,
      voters: [...drawVoters(draw, plan), ...drawStrangers(draw, starter)],
    };
    const task = {
      approvers: [...approvers],
      required,
      timeout: expires ? `${random.int(2, 12)}s` : LONG,
      ...(allowSelf ? { allowSelf } : {}),
      ...(fields.length > 0 ? { fields: [...fields] } : {}),
      ...(random.chance(0.3) ? { message: 'Asked by ${{ run.name }}' } : {}),
    };
    return {
      task: { approval: task },
      // How it ends is worked out from the votes.
      expected: { phase: 'Succeeded', reason: 'Approved', attempts: 1 },
      approval: drawn,
      followUp,
    };
  },
};

interface Draw {
  random: Random;
  /** Of the step. */
  name: string;
  /** Who may approve. */
  people: readonly PersonId[];
  required: number;
  fields: readonly ApprovalField[];
}

/** So many that one more may approve than must. */
function drawApprovers(random: Random, required: number, mayApprove: (who: PersonId) => boolean): string[] {
  const approvers: string[] = [];
  for (const approver of shuffled(random, Object.keys(APPROVERS))) {
    if (peopleIn(approvers).filter(mayApprove).length > required) break;
    approvers.push(approver);
  }
  return approvers;
}

function shuffled<T>(random: Random, list: readonly T[]): T[] {
  return list
    .map((item) => ({ item, place: random.next() }))
    .toSorted((a, b) => a.place - b.place)
    .map(({ item }) => item);
}

function drawVoters(draw: Draw, plan: (typeof PLANS)[number]['plan']): Voter[] {
  const { random, people, required } = draw;
  switch (plan) {
    case 'Approve':
      return people.slice(0, required).map((who) => ({ who, acts: approves(draw) }));
    case 'Reject': {
      const [who = 'ann', ...others] = people.slice(0, random.int(1, required));
      const mind = random.chance(0.3) ? [...approves(draw), act(draw, 'reject')] : [act(draw, 'reject')];
      return [{ who, acts: mind }, ...others.map((other) => ({ who: other, acts: approves(draw) }))];
    }
    case 'Hesitate':
      return people
        .slice(0, required)
        .map((who, index) =>
          index === 0
            ? { who, acts: [...approves(draw), act(draw, 'withdraw')] }
            : { who, acts: approves(draw) },
        );
    default:
      return plan satisfies never;
  }
}

/** Ends with an approval that stands. */
function approves(draw: Draw): Act[] {
  const { random } = draw;
  return [
    ...(random.chance(0.15) ? [act(draw, 'withdraw')] : []),
    ...(random.chance(0.15) ? [badly(draw)] : []),
    act(draw, 'approve'),
    ...(random.chance(0.2) ? [act(draw, 'approve')] : []),
    ...(random.chance(0.2) ? [act(draw, 'withdraw'), act(draw, 'approve')] : []),
  ];
}

function act({ random, name, fields }: Draw, asks: Act['asks']): Act {
  const given = {
    value: `${name}-${random.int(1, 999)}`,
    ...(random.chance(0.3) ? { count: random.int(1, 9) } : {}),
    ...(random.chance(0.3) ? { sure: random.chance(0.5) } : {}),
  };
  return {
    asks,
    when: random.chance(0.25) ? 'Blow' : { afterMs: random.int(0, 1500) },
    ...(asks === 'approve' && fields.length > 0 ? { fields: given } : {}),
    ...(random.chance(0.2) ? { comment: `for ${name}` } : {}),
  };
}

const badly = (draw: Draw): Act => ({
  ...act(draw, 'approve'),
  fields: draw.fields.length > 0 ? { value: 'x', count: 'many' } : { value: 'x' },
  bad: true,
});

/** Those who must not vote, and try; and one who names a step that is not there. */
function drawStrangers(draw: Draw, starter: PersonId): Voter[] {
  const { random, name, people } = draw;
  const voters: Voter[] = [];
  if (random.chance(0.3)) voters.push({ who: 'eve', acts: [act(draw, random.pick(['approve', 'reject']))] });
  if (random.chance(0.3) && !people.includes(starter))
    voters.push({ who: starter, acts: [act(draw, 'approve')] });
  if (random.chance(0.15)) voters.push({ who: 'eve', acts: [{ ...act(draw, 'approve'), step: `${name}x` }] });
  return voters;
}
