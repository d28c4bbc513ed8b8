import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowRun } from '../../src/api/resources.ts';
import { decisionOf } from './approval-rules.ts';
import { type Ballots, recordsOn } from './ballots.ts';
import type { DrawnStep, DrawnWorkflow } from './drawn.ts';
import type { Act, DrawnApproval } from './drawn-approval.ts';
import { expectedOutcome, isOver, refusalKind, type Situation } from './expected-answer.ts';
import { PEOPLE, peopleIn, type PersonId } from './people.ts';
import type { Answer, PeopleApi } from './people-api.ts';

export interface VotersOptions {
  api: Pick<PeopleApi, 'annotate' | 'read'>;
  ballots: Ballots;
  workflowOf(run: WorkflowRun): DrawnWorkflow | undefined;
  count(what: string): void;
  /** Told what was answered wrongly. */
  onWrong(run: string, message: string): void;
  /** Resolves when the operator is next killed, frozen or cut off. */
  blow(): Promise<void>;
}

/** The people who are asked for approval, and those who are not. */
export interface Voters {
  /** Shows them a run. Those who have something to say about a step that waits begin to say it. */
  onRun(run: WorkflowRun): void;
  /** Rejects when they can not go on. */
  readonly failure: Promise<never>;
  /** Ends what they are at. */
  close(): Promise<void>;
}

/** Who waits for the next blow acts after this time in any case. */
const LONGEST_WAIT_MS = 5000;
/** Who was not heard tries again. */
const AGAIN_MS = 500;
const LOOK_MS = 300;

/** One step of one run that people are asked about. */
interface Meeting {
  run: WorkflowRun;
  name: string;
  step: string;
  attempt: number;
  starter: PersonId;
  /** Whether the step may be asked about once more. */
  mayReturn: boolean;
  approval: DrawnApproval;
}

export function createVoters(options: VotersOptions): Voters {
  const { api, ballots, count } = options;
  /** What there is to say of each attempt of each step. */
  const met = new Map<string, Promise<void>>();
  const closed = new AbortController();
  const { promise: failure, reject } = Promise.withResolvers<never>();
  failure.catch(() => undefined);
  const pause = (ms: number) => sleep(ms, undefined, { signal: closed.signal }).catch(() => undefined);

  async function meet(meeting: Meeting): Promise<void> {
    await Promise.all(meeting.approval.voters.map(({ who, acts }) => goThrough(meeting, who, acts)));
    if (!meeting.approval.expires) await conclude(meeting);
  }

  const votesIn = ({ name, step, attempt }: Meeting) =>
    ballots.of(name, step).filter(({ vote: { attempt: of } }) => of === attempt);

  async function goThrough(meeting: Meeting, who: PersonId, acts: readonly Act[]): Promise<void> {
    for (const act of acts) {
      const { when } = act;
      await (when === 'Blow' ? Promise.race([options.blow(), pause(LONGEST_WAIT_MS)]) : pause(when.afterMs));
      await vote(meeting, who, act);
    }
  }

  /** Nobody lets a run wait for ever: where what people said does not decide, somebody rejects. */
  async function conclude(meeting: Meeting): Promise<void> {
    const { name, approval } = meeting;
    const [who = 'ann'] = peopleIn(approval.approvers);
    while (!closed.signal.aborted && !isOver(await api.read(name), meeting)) {
      const decided = decisionOf(approval, votesIn(meeting)).reason !== 'TimedOut';
      if (!decided) await vote(meeting, who, { asks: 'reject', when: { afterMs: 0 } });
      await pause(LOOK_MS);
    }
  }

  /** Asks until somebody has judged it. */
  async function vote(meeting: Meeting, who: PersonId, act: Act): Promise<void> {
    const { name, step } = meeting;
    while (!closed.signal.aborted) {
      // Nobody means the next attempt who speaks of this one.
      if (meeting.mayReturn && isOver(await api.read(name), meeting)) return;
      const situation = { ...meeting, who, act, votes: votesIn(meeting) };
      const answer = await api.annotate(who, name, askedBy(act, step));
      if (!('unheard' in answer)) return heard(situation, meeting, answer);
      count('votes that nobody heard');
      await pause(AGAIN_MS);
    }
  }

  async function heard(
    situation: Situation,
    meeting: Meeting,
    answer: Exclude<Answer, { unheard: string }>,
  ): Promise<void> {
    const { name, step, approval } = meeting;
    const { who, act } = situation;
    const expected = expectedOutcome(situation);
    const told = (what: string) =>
      options.onWrong(name, `step ${step}: ${PEOPLE[who].name} asked to ${act.asks}, and ${what}`);
    if (answer.taken) {
      count('votes that were taken');
      if (expected !== 'Taken') told(`was heard, and not told ${expected}`);
      return keep(situation, meeting, answer.run, told);
    }
    const kind = refusalKind(answer.message);
    count(`votes that were refused: ${kind}`);
    if (kind === 'Decided') {
      if (!isOver(await api.read(name), meeting)) told(`was told of a decision that there is not`);
      return;
    }
    const isRight = kind === expected || (kind === 'Expired' && approval.expires);
    if (!isRight) told(`was told, instead of ${expected}: ${answer.message}`);
  }

  /** Puts a vote that was taken into the ballots, as the operator has recorded it. */
  function keep(
    { who, act }: Situation,
    { name, step, attempt }: Meeting,
    run: WorkflowRun,
    told: (what: string) => void,
  ): void {
    const user = PEOPLE[who].name;
    const record = recordsOn(run).find(
      (one) => one.step === step && one.attempt === attempt && one.user === user,
    );
    if (!record) return told('the run carries no record of it');
    ballots.add({ run: name, step, version: Number(run.metadata.resourceVersion), vote: record });
    const wanted = [DECISIONS[act.asks], act.comment, act.fields];
    const found = [record.decision, record.comment, record.fields];
    if (JSON.stringify(wanted) !== JSON.stringify(found))
      told(`the record says ${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`);
    if (!peopleIn([record.as]).includes(who)) told(`it counts as ${record.as}`);
  }

  return {
    failure,
    onRun(run) {
      const { name = '' } = run.metadata;
      const workflow = options.workflowOf(run);
      if (!workflow || closed.signal.aborted) return;
      const { startedBy: starter, continued } = workflow;
      for (const { step, attempt, approval } of waiting(workflow, run)) {
        const key = `${name}/${step}/${attempt}`;
        if (met.has(key)) continue;
        count('approvals that were asked for');
        const mayReturn = continued !== undefined;
        const meeting = { run, name, step, attempt, starter, mayReturn, approval };
        const before = met.get(`${name}/${step}/${attempt - 1}`);
        met.set(
          key,
          Promise.resolve(before)
            .then(() => meet(meeting))
            .catch(reject),
        );
      }
    },
    async close() {
      closed.abort();
      await Promise.all(met.values());
    },
  };
}

const DECISIONS = { approve: 'Approve', reject: 'Reject', withdraw: 'Withdraw' } as const;

function waiting({ steps }: DrawnWorkflow, { status }: WorkflowRun) {
  return steps.flatMap(({ name, approval }: DrawnStep) => {
    const row = status?.steps?.find((one) => one.name === name);
    return approval && row?.phase === 'Running' && row.approval
      ? [{ step: name, attempt: row.attempt ?? 1, approval }]
      : [];
  });
}

function askedBy({ asks, step, fields, comment }: Act, own: string): Record<string, string> {
  return {
    [asks]: step ?? own,
    ...(fields ? { fields: JSON.stringify(fields) } : {}),
    ...(comment === undefined ? {} : { comment }),
  };
}
