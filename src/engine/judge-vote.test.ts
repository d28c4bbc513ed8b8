import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { ApprovalStatus, Vote } from '../api/approval-status.ts';
import { API_VERSION } from '../api/common.ts';
import type { Workflow, WorkflowRun } from '../api/resources.ts';
import type { StepStatus, WorkflowRunStatus } from '../api/workflow-run.ts';
import { fakeKeys } from '../storage/fake-keys.ts';
import { createSeals } from '../storage/seals.ts';
import { askerOf, CREATED_BY, createdBy, createdByTrigger, creatorOf, RUN_BY, runBy } from './created-by.ts';
import { type Judgement, judgeCreate, judgeUpdate, judgeWorkflow, type UpdateReview } from './judge-vote.ts';
import type { UserInfo } from './teams.ts';
import { isSigned, readVote, signVote } from './vote.ts';

const sealing = createSeals(fakeKeys('key'));
const CREATED = Date.parse('2030-01-01T00:00:00Z');
const NOW = CREATED + 60_000;
const ASKED = '2030-01-01T00:00:30.000Z';
const at = (ms: number) => new Date(ms).toISOString();

const jane: UserInfo = { username: 'jane@example.com', groups: ['platform', 'system:authenticated'] };
const joe: UserInfo = { username: 'joe', groups: ['platform'] };
const author: UserInfo = { username: 'adam', groups: ['platform'] };
const outsider: UserInfo = { username: 'mallory', groups: ['sales', 'system:authenticated'] };

const approval: ApprovalStatus = {
  approvers: ['team:platform', 'user:boss'],
  required: 2,
  deadline: at(NOW + 3_600_000),
  digest: 'sha256:1',
};
const asked = (more: Partial<StepStatus> = {}, of: Partial<ApprovalStatus> = {}): StepStatus => ({
  name: 'approval',
  type: 'approval',
  phase: 'Running',
  startedAt: ASKED,
  attempt: 1,
  approval: { ...approval, ...of },
  ...more,
});
const plan: StepStatus = { name: 'plan', type: 'terraform', phase: 'Succeeded' };

const place = { namespace: 'ns', name: 'deploy-1', uid: 'uid-1', creationTimestamp: '2030-01-01T00:00:00Z' };
const started = { [CREATED_BY]: createdBy(place, author.username, sealing, CREATED + 300) };

function runOf(
  rows: StepStatus[] = [plan, asked()],
  more: WorkflowRunStatus = {},
  annotations: object = {},
): WorkflowRun {
  return {
    apiVersion: API_VERSION,
    kind: 'WorkflowRun',
    metadata: { ...place, annotations: { ...started, ...annotations } },
    spec: { workflowRef: { name: 'deploy' }, trigger: { type: 'Manual' } },
    status: { phase: 'AwaitingApproval', steps: rows, ...more },
  };
}

/** The run with these annotations of our group beside its own; null takes one away. */
function withGiven(run: WorkflowRun, given: Record<string, string | null>): WorkflowRun {
  const named = Object.entries(given).map(([name, value]) => [`signalbox.dev/${name}`, value] as const);
  const all = { ...run.metadata.annotations, ...Object.fromEntries(named) };
  const annotations = Object.fromEntries(
    Object.entries(all).flatMap(([name, value]) => (value === null ? [] : [[name, value] as const])),
  );
  return { ...run, metadata: { ...run.metadata, annotations } };
}

function judge(given: Record<string, string | null>, more: Partial<UpdateReview> = {}): Judgement {
  const { before = runOf(), ...rest } = more;
  return judgeUpdate({
    before,
    after: withGiven(before, given),
    user: jane,
    teams: {},
    sealing,
    now: NOW,
    ...rest,
  });
}

function changesOf(judgement: Judgement): Record<string, string | null> {
  if (judgement.allowed) return judgement.changes;
  throw new Error(judgement.message);
}
/** The vote that an update comes to. */
function voteIn(judgement: Judgement): Vote {
  const texts = Object.entries(changesOf(judgement)).filter(([name]) =>
    name.startsWith('signalbox.dev/vote-'),
  );
  const vote = readVote(texts[0]?.[1] ?? '');
  if (!vote || texts.length !== 1) throw new Error('no vote');
  return vote;
}
const messageOf = (judgement: Judgement) => (judgement.allowed ? 'allowed' : judgement.message);
/** The run as it is once the changes are made. */
function after(run: WorkflowRun, judgement: Judgement): WorkflowRun {
  const changes = Object.entries(changesOf(judgement)).map(
    ([name, value]) => [name.replace('signalbox.dev/', ''), value] as const,
  );
  return withGiven(run, Object.fromEntries(changes));
}

suite('a vote', () => {
  test('is recorded with all that it is about, signed, in place of what asked for it', () => {
    const judgement = judge({ approve: 'approval', comment: 'go' });
    const vote = voteIn(judgement);
    const { signature: _signature, ...said } = vote;
    assert.deepEqual(said, {
      step: 'approval',
      round: 0,
      attempt: 1,
      asked: ASKED,
      digest: 'sha256:1',
      user: 'jane@example.com',
      as: 'team:platform',
      own: false,
      decision: 'Approve',
      comment: 'go',
      time: at(NOW),
    });
    assert.equal(isSigned('uid-1', vote, sealing), true);
    const changes = changesOf(judgement);
    assert.deepEqual([changes['signalbox.dev/approve'], changes['signalbox.dev/comment']], [null, null]);
  });

  test('of another person lies in another annotation, also when both come at once', () => {
    const names = [jane, joe].map((user) =>
      Object.keys(changesOf(judge({ approve: 'approval' }, { user })))
        .sort()
        .at(-1),
    );
    assert.notEqual(names[0], names[1]);
  });

  test('can be a rejection, and be taken back', () => {
    assert.equal(voteIn(judge({ reject: 'approval' })).decision, 'Reject');
    const before = after(runOf(), judge({ approve: 'approval' }));
    const back = judge({ withdraw: 'approval' }, { before });
    const vote = voteIn(back);
    assert.equal(vote.decision, 'Withdraw');
    assert.equal(Date.parse(vote.time) > NOW, true);
    const again = voteIn(judge({ approve: 'approval' }, { before: after(before, back) }));
    assert.equal(Date.parse(again.time) > Date.parse(vote.time), true);
  });

  test('is later than the one before, and than the question, whatever the clock says', () => {
    assert.equal(voteIn(judge({ approve: 'approval' }, { now: CREATED })).time, ASKED);
  });

  test('of a team is that of its people and groups where the settings say who they are', () => {
    const teams = { platform: { users: ['mallory'], groups: ['sre'] } };
    assert.match(messageOf(judge({ approve: 'approval' }, { teams })), /may not decide/);
    assert.equal(voteIn(judge({ approve: 'approval' }, { teams, user: outsider })).as, 'team:platform');
    assert.equal(
      voteIn(judge({ approve: 'approval' }, { teams, user: { username: 'x', groups: ['sre'] } })).as,
      'team:platform',
    );
    assert.equal(voteIn(judge({ approve: 'approval' }, { user: { username: 'boss' } })).as, 'user:boss');
  });

  test('has the fields that are asked for', () => {
    const fields = [{ name: 'ticket', type: 'string' as const, required: true, pattern: 'T-[0-9]+' }];
    const before = runOf([asked({}, { fields })]);
    const fill = (text: string) => judge({ approve: 'approval', fields: text }, { before });
    assert.deepEqual(voteIn(fill('{"ticket": "T-1"}')).fields, { ticket: 'T-1' });
    assert.match(messageOf(judge({ approve: 'approval' }, { before })), /ticket is required: give a string/);
    assert.match(messageOf(fill('{"ticket": "1"}')), /ticket must match T-\[0-9\]\+ as a whole/);
    assert.match(messageOf(fill('{"ticket": 1}')), /ticket must be a string/);
    assert.match(
      messageOf(fill('{"tiket": "T-1"}')),
      /tiket is no field of the approval: it takes ticket\. Did you mean ticket\?/,
    );
    assert.match(messageOf(fill('{"ticket": {"a": 1}}')), /must be a JSON object of strings/);
    for (const text of ['', '[]', 'T-1', 'null'])
      assert.match(messageOf(fill(text)), /must be a JSON object/);
    assert.match(messageOf(fill(`{"ticket": "${'1'.repeat(5000)}"}`)), /of at most 4096 characters/);
    assert.match(
      messageOf(judge({ reject: 'approval', fields: '{}' }, { before })),
      /goes with signalbox.dev\/approve alone/,
    );
  });
});

test('a run that a schedule has started was started by nobody, so that any approver may approve it', () => {
  const trigger = { type: 'Schedule', name: 'nightly', scheduledAt: ASKED } as const;
  const run = { ...runOf(), spec: { workflowRef: { name: 'deploy' }, trigger } };
  const record = createdByTrigger(run, sealing, CREATED + 300);
  const before = { ...run, metadata: { ...place, annotations: { [CREATED_BY]: record } } };
  assert.equal(voteIn(judge({ approve: 'approval' }, { before })).own, false);
  const forged = { ...before, spec: { ...before.spec, params: { target: 'mine' } } };
  assert.match(
    messageOf(judge({ approve: 'approval' }, { before: forged })),
    /^It is not on record who started/,
  );
});

suite('a vote is refused', () => {
  const voted = after(runOf(), judge({ approve: 'approval' }));
  const pushed = (git: object): WorkflowRun => {
    const run = runOf();
    return { ...run, spec: { ...run.spec, trigger: { type: 'GitPush', git } } };
  };
  const stranger = { ...runOf(), metadata: { ...place, annotations: {} } };
  const refusals: [string, Record<string, string | null>, Partial<UpdateReview>, RegExp][] = [
    [
      'of an outsider',
      { approve: 'approval' },
      { user: outsider },
      /^mallory may not decide on step approval: it asks team:platform, user:boss\.$/,
    ],
    [
      'of whoever started the run',
      { approve: 'approval' },
      { user: author },
      /^adam started this run: somebody else has to approve it\.$/,
    ],
    [
      'of whoever wrote the commit',
      { approve: 'approval' },
      { before: pushed({ author: 'Jane Doe <JANE@example.com>' }) },
      /wrote the commit of this run/,
    ],
    [
      'where nobody knows who started the run',
      { approve: 'approval' },
      { before: stranger },
      /It is not on record who started this run/,
    ],
    [
      'twice',
      { approve: 'approval' },
      { before: voted },
      /^You have approved step approval already, at .*signalbox\.dev\/withdraw=approval\.$/,
    ],
    [
      'that takes back what is not there',
      { withdraw: 'approval' },
      {},
      /There is no vote of yours on step approval to withdraw/,
    ],
    [
      'on what is no step',
      { approve: 'aproval' },
      {},
      /The run has no step "aproval": the steps that ask for approval are approval\. Did you mean approval\?/,
    ],
    // The first letter is Cyrillic.
    [
      'on a name that looks alike',
      { approve: '\u0430pproval' },
      {},
      /has no step .* Did you mean approval\?/,
    ],
    [
      'on a step that asks nobody',
      { approve: 'plan' },
      {},
      /Step plan is of type terraform, and asks nobody/,
    ],
    ['on nothing', { approve: '' }, {}, /has no step ""/],
    [
      'on a step that does not wait yet',
      { approve: 'approval' },
      { before: runOf([asked({ phase: 'Pending' })]) },
      /does not wait for approval yet/,
    ],
    [
      'on a step that is decided',
      { approve: 'approval' },
      { before: runOf([asked({ phase: 'Succeeded', reason: 'Approved', summary: 'Approved by joe' })]) },
      /is decided already: Approved \(Approved by joe\)/,
    ],
    [
      'after the deadline',
      { approve: 'approval' },
      { now: NOW + 3_600_000 },
      /The time to decide on step approval was over/,
    ],
    [
      'on a run that has ended',
      { approve: 'approval' },
      { before: runOf([asked()], { phase: 'Failed', finishedAt: ASKED }) },
      /The run has ended already: it is Failed/,
    ],
    [
      'on a run that is not accepted',
      { approve: 'approval' },
      { before: runOf([], {}) },
      /no step "approval", and none that asks/,
    ],
    ['with another one', { approve: 'approval', reject: 'approval' }, {}, /One vote at a time/],
    [
      'with a huge comment',
      { approve: 'approval', comment: 'x'.repeat(513) },
      {},
      /has 513 characters: use at most 512/,
    ],
    [
      'with a comment that steers terminals',
      { approve: 'approval', comment: 'fine \u001b[2K\u001b[1A' },
      {},
      /comment holds U\+001B, which is a character that nobody can read: leave it out/,
    ],
    [
      'with a field that steers terminals, as JSON spells it',
      { approve: 'approval', fields: '{"ticket": "\\u0000"}' },
      { before: runOf([asked({}, { fields: [{ name: 'ticket', type: 'string' }] })]) },
      /fields holds U\+0000, which is a character that nobody can read: leave it out/,
    ],
    [
      'with half a character, as JSON spells it',
      { approve: 'approval', fields: '{"\\ud800": "x"}' },
      {},
      /fields holds U\+D800/,
    ],
    ['that is a huge name', { approve: 'x'.repeat(100_000) }, {}, /has no step "x{78}…/],
    ['as a comment alone', { comment: 'yes' }, {}, /signalbox\.dev\/comment goes with a vote/],
    [
      'that is written by hand',
      { 'vote-0123456789abcdef': '{}' },
      {},
      /vote-0123456789abcdef is written by Signalbox alone/,
    ],
    [
      'that rewrites who started the run',
      { 'created-by': '{}' },
      {},
      /created-by is written by Signalbox alone/,
    ],
    [
      'that forgets who started the run',
      { 'created-by': null, approve: 'approval' },
      { user: author },
      /created-by is written by Signalbox alone/,
    ],
  ];
  for (const [what, given, more, message] of refusals) {
    test(what, () => assert.match(messageOf(judge(given, more)), message));
  }

  test('that changes or removes the vote of somebody else, by apply, replace or patch', () => {
    const [name = ''] = Object.keys(voted.metadata.annotations ?? {}).filter((one) => one.includes('/vote-'));
    const key = name.replace('signalbox.dev/', '');
    for (const value of [
      null,
      '{}',
      JSON.stringify({ ...voteIn(judge({ approve: 'approval' })), decision: 'Reject' }),
    ]) {
      assert.match(
        messageOf(judge({ [key]: value }, { before: voted, user: joe })),
        /is written by Signalbox alone/,
      );
    }
  });
});

suite('attacks on the question', () => {
  test('what the same update says of the count and the approvers is not read', () => {
    const before = runOf();
    const weaker = runOf([plan, asked({}, { required: 1, approvers: ['user:mallory'], allowSelf: true })]);
    const judgement = judgeUpdate({
      before,
      after: withGiven(weaker, { approve: 'approval' }),
      user: outsider,
      teams: {},
      sealing,
      now: NOW,
    });
    assert.match(messageOf(judgement), /mallory may not decide/);
  });

  test('who edits the approvers in the status gets a vote that says as whom, which the workflow does not ask', () => {
    const before = runOf([asked({}, { approvers: ['user:mallory'] })]);
    assert.equal(voteIn(judge({ approve: 'approval' }, { before, user: outsider })).as, 'user:mallory');
  });

  test('who edits allowSelf in the status gets a vote that says whose run it is', () => {
    const before = runOf([asked({}, { allowSelf: true })]);
    assert.equal(voteIn(judge({ approve: 'approval' }, { before, user: author })).own, true);
  });

  test('a vote of another run on this one is not the voter’s vote', () => {
    const foreign = signVote('uid-2', { ...voteIn(judge({ approve: 'approval' })) }, sealing);
    const before = runOf([asked()], {}, { 'signalbox.dev/vote-1': JSON.stringify(foreign) });
    assert.equal(voteIn(judge({ approve: 'approval' }, { before })).decision, 'Approve');
  });

  test('a request that came past admission is nobody’s vote, and is cleared by the next update', () => {
    const before = runOf(
      [asked()],
      {},
      { 'signalbox.dev/approve': 'approval', 'signalbox.dev/comment': 'x' },
    );
    const judgement = judge({ unrelated: 'x' }, { before });
    assert.deepEqual(changesOf(judgement), { 'signalbox.dev/approve': null, 'signalbox.dev/comment': null });
  });

  test('an update that has nothing to do with votes is let through as it is', () => {
    assert.deepEqual(judge({ cancel: 'true' }, { user: outsider }), { allowed: true, changes: {} });
  });
});

suite('who asks a workflow for a run', () => {
  const workflowOf = (annotations: Record<string, string> = {}): Workflow => ({
    apiVersion: API_VERSION,
    kind: 'Workflow',
    metadata: { namespace: 'ns', name: 'w', uid: 'wuid', annotations },
    spec: { state: 'Active', steps: [] },
  });
  const review = (before: Record<string, string> | undefined, after: Record<string, string>) =>
    judgeWorkflow({
      before: before && workflowOf(before),
      after: workflowOf(after),
      user: jane,
      sealing,
      now: NOW,
    });
  const asker = (judgement: Judgement) =>
    askerOf({ uid: 'wuid', record: changesOf(judgement)[RUN_BY] ?? undefined }, sealing, NOW);
  const run = { 'signalbox.dev/run': 'now' };

  test('is put on record, whatever stood there', () => {
    assert.equal(asker(review({}, run)), 'jane@example.com');
    assert.equal(asker(review(undefined, run)), 'jane@example.com');
    assert.equal(
      asker(review({}, { ...run, [RUN_BY]: runBy({ uid: 'wuid' }, 'joe', sealing, NOW) })),
      'jane@example.com',
    );
  });

  test('is recorded for what they ask for themselves alone', () => {
    assert.deepEqual(review(run, { ...run, unrelated: 'x' }), { allowed: true, changes: {} });
    assert.match(messageOf(review(run, { ...run, [RUN_BY]: '{}' })), /run-by is written by Signalbox alone/);
    assert.match(messageOf(review({ ...run, [RUN_BY]: 'x' }, run)), /run-by is written by Signalbox alone/);
  });
});

suite('who creates a run', () => {
  const fresh = (metadata: object): WorkflowRun => ({ ...runOf(), metadata });
  const review = (metadata: object, user = author) =>
    judgeCreate({ run: fresh(metadata), user, sealing, now: CREATED + 500 });

  for (const [what, given, made] of [
    ['a name', { namespace: 'ns', name: 'a' }, {}],
    ['a generated name', { namespace: 'ns', generateName: 'a-' }, { name: 'a-x7' }],
    // The API server may have made the name before it asks.
    ['a name that is generated already', { namespace: 'ns', generateName: 'a-', name: 'a-x7' }, {}],
  ] as const) {
    test(`is known of one with ${what}`, () => {
      const changes = changesOf(review(given));
      const stored = {
        ...given,
        ...made,
        creationTimestamp: '2030-01-01T00:00:00Z',
        annotations: changes as Record<string, string>,
      };
      assert.deepEqual(creatorOf(fresh(stored), sealing), { kind: 'User', user: 'adam' });
    });
  }

  test('is not who the run says that it was', () => {
    const changes = changesOf(review({ namespace: 'ns', name: 'a', annotations: started }, outsider));
    assert.match(changes[CREATED_BY] ?? '', /"user":"mallory"/);
  });

  test('is not known from the record of another run, or of one that was deleted and made again', () => {
    const annotations = changesOf(review({ namespace: 'ns', name: 'a' })) as Record<string, string>;
    const creationTimestamp = '2030-01-01T00:00:00Z';
    const own = { namespace: 'ns', name: 'a', creationTimestamp, annotations };
    assert.deepEqual(creatorOf(fresh(own), sealing), { kind: 'User', user: 'adam' });
    for (const other of [
      { ...own, name: 'b' },
      { ...own, namespace: 'other' },
      { ...own, generateName: 'a' },
      { ...own, creationTimestamp: '2030-01-01T00:02:00Z' },
      { ...own, creationTimestamp: 'never' },
      { ...own, annotations: { [CREATED_BY]: (annotations[CREATED_BY] ?? '').replace('adam', 'jane') } },
      { ...own, annotations: { [CREATED_BY]: 'adam' } },
      { ...own, annotations: { [CREATED_BY]: `"${'x'.repeat(2000)}"` } },
      { ...own, annotations: {} },
    ]) {
      assert.equal(creatorOf(fresh(other), sealing), undefined);
    }
  });

  test('can not vote by that', () => {
    for (const name of ['approve', 'reject', 'withdraw', 'comment', 'fields', 'vote-0123456789abcdef']) {
      const annotations = { [`signalbox.dev/${name}`]: 'approval' };
      assert.match(
        messageOf(review({ namespace: 'ns', name: 'a', annotations }, jane)),
        /can not be created with a vote/,
      );
    }
  });
});
