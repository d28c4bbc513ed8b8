import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Vote } from '../api/approval-status.ts';
import type { ApprovalStep } from '../api/approval-step.ts';
import { approvalOf, HOUR, MINUTE, SECOND, step, succeeded, takeOn, time, voted, voteOn } from './turns.ts';

const LATE = 2 * SECOND;

/** A run that waits for approval, and what comes of votes on it. */
function waiting(approval: Partial<ApprovalStep> = {}, more: object = {}) {
  const run = takeOn({ steps: [approvalOf('ok', approval), step('apply')], ...more });
  run.at(0);
  const vote = (user: string, given: Partial<Vote> = {}) => voteOn(run.step('ok'), user, given);
  return { run, vote };
}

suite('an approval', () => {
  test('shows in the run what waits, for whom, and how long', () => {
    const { run } = waiting({ message: 'Deploy ${{ run.name }}?', required: 2 });
    assert.deepEqual(
      [run.status.phase, run.status.currentStep, run.phases()],
      ['AwaitingApproval', 'ok', 'ok:Running/AwaitingApproval apply:Pending'],
    );
    const { approval, message } = run.step('ok');
    assert.deepEqual(approval, {
      approvers: ['team:t'],
      required: 2,
      message: 'Deploy r?',
      deadline: time(HOUR),
      digest: '',
    });
    assert.equal(message, `Waits until ${time(HOUR)} for 2 approvals by team:t.`);
  });

  test('is looked at again at its deadline, and not before', () => {
    const { run } = waiting();
    assert.equal(run.wake(), HOUR + LATE);
    const { status } = run;
    run.at(30 * MINUTE, { ok: voted() });
    assert.equal(run.status, status);
  });

  test('lets the run go on, and says who approved', () => {
    const { run, vote } = waiting();
    run.at(4 * MINUTE, { ok: voted(vote('jane@example.com')) });
    assert.equal(run.effects(), 'Start apply-1');
    const { phase, reason, summary, finishedAt, approval } = run.step('ok');
    assert.deepEqual([phase, reason, summary], ['Succeeded', 'Approved', 'Approved by jane@example.com']);
    assert.equal(finishedAt, time(4 * MINUTE + 0));
    assert.deepEqual(
      approval?.votes?.map(({ user, decision }) => [user, decision]),
      [['jane@example.com', 'Approve']],
    );
  });

  test('needs as many people as it says, and counts each once', () => {
    const { run, vote } = waiting({ required: 2 });
    run.at(SECOND, { ok: voted(vote('jane'), vote('jane', { time: time(5000) })) });
    assert.match(run.step('ok').message ?? '', /for 2 approvals by team:t, 1 given so far/);
    run.at(2 * SECOND, { ok: voted(vote('jane'), vote('joe')) });
    assert.equal(run.step('ok').summary, 'Approved by jane and joe');
  });

  test('is rejected by one, whoever approved', () => {
    const { run, vote } = waiting({ required: 2 });
    const no = vote('joe', { decision: 'Reject', comment: 'not on\na Friday' });
    run.at(SECOND, { ok: voted(vote('jane'), vote('jim'), no) });
    assert.equal(run.phases(), 'ok:Failed/Rejected apply:Skipped/UpstreamFailed');
    assert.equal(run.step('ok').message, 'Rejected by joe: not on a Friday');
    assert.deepEqual([run.status.phase, run.status.reason], ['Failed', 'StepFailed']);
  });

  test('takes a vote back that was withdrawn, and the old one does not come back', () => {
    const { run, vote } = waiting({ required: 2 });
    const back = vote('jane', { decision: 'Withdraw', time: time(5 * SECOND) });
    run.at(6 * SECOND, { ok: voted(back) });
    assert.equal(run.step('ok').approval?.votes?.length, 1);
    run.at(7 * SECOND, { ok: voted(back, vote('jane'), vote('joe')) });
    assert.equal(run.step('ok').phase, 'Running');
    run.at(8 * SECOND, { ok: voted(back, vote('joe'), vote('jane', { time: time(7 * SECOND) })) });
    assert.equal(run.step('ok').phase, 'Succeeded');
  });

  test('of two votes of one person in one instant, the more careful counts', () => {
    for (const order of [0, 1]) {
      const { run, vote } = waiting();
      const both = [vote('jane'), vote('jane', { decision: 'Reject' })];
      run.at(2 * SECOND, { ok: voted(...(order === 0 ? both : both.toReversed())) });
      assert.equal(run.step('ok').reason, 'Rejected');
    }
  });

  test('that nobody decides on in time is TimedOut, and fails the run', () => {
    const { run } = waiting({ timeout: '10m' });
    run.at(10 * MINUTE + LATE - 1);
    assert.equal(run.step('ok').phase, 'Running');
    run.at(10 * MINUTE + LATE);
    assert.equal(run.phases(), 'ok:Failed/TimedOut apply:Skipped/UpstreamFailed');
    assert.equal(run.step('ok').message, 'Nobody approved within 10m0s.');
  });

  test('says how many approved of those that were needed in time', () => {
    const { run, vote } = waiting({ timeout: '10m', required: 2 });
    run.at(10 * MINUTE + LATE, { ok: voted(vote('jane')) });
    assert.equal(run.step('ok').message, 'Only 1 of 2 approvals came within 10m0s: by jane.');
  });

  test('counts a vote that came in time and is seen too late, and none that came too late', () => {
    const early = waiting({ timeout: '10m' });
    early.run.at(HOUR, { ok: voted(early.vote('jane', { time: time(10 * MINUTE - 1) })) });
    assert.equal(early.run.step('ok').reason, 'Approved');
    const late = waiting({ timeout: '10m' });
    late.run.at(10 * MINUTE + SECOND, { ok: voted(late.vote('jane', { time: time(10 * MINUTE) })) });
    assert.equal(late.run.step('ok').phase, 'Running');
  });

  test('gives what was filled in as outputs, the last word counting', () => {
    const fields = [
      { name: 'ticket', type: 'string' as const, required: true },
      { name: 'nodes', type: 'number' as const, default: 3 },
    ];
    const { run, vote } = waiting({ fields, required: 2 });
    const second = vote('joe', { fields: { ticket: 'T-2' }, time: time(9 * SECOND) });
    run.at(10 * SECOND, { ok: voted(second, vote('jane', { fields: { ticket: 'T-1', nodes: 5 } })) });
    assert.deepEqual(run.step('ok').outputs, { ticket: 'T-2', nodes: 5 });
  });

  test('ends with the run that is cancelled', () => {
    const { run } = waiting();
    run.cancel(SECOND);
    run.at(SECOND);
    assert.deepEqual([run.status.phase, run.step('ok').reason], ['Cancelled', 'RunCancelled']);
  });

  test('asks anew when the run is continued: old votes are void', () => {
    const { run, vote } = waiting();
    const no = vote('joe', { decision: 'Reject' });
    run.at(2 * SECOND, { ok: voted(no) });
    const yes = vote('jane', { time: time(3 * SECOND) });
    run.retry(MINUTE);
    run.at(MINUTE, { ok: voted(no, yes) });
    assert.deepEqual([run.step('ok').phase, run.step('ok').attempt], ['Running', 2]);
    run.at(MINUTE + SECOND, { ok: voted(no, yes, vote('jane', { round: 1 })) });
    assert.equal(run.step('ok').phase, 'Succeeded');
  });
});

suite('a vote does not count', () => {
  const strangers: [string, Partial<ApprovalStep>, Partial<Vote>][] = [
    ['of somebody who was not asked by the workflow', {}, { as: 'user:mallory' }],
    ['on another step', {}, { step: 'other' }],
    ['on another attempt', {}, { attempt: 2 }],
    ['of another round', {}, { round: 1 }],
    ['from before the status was reset', {}, { asked: time(-1) }],
    ['on another plan', {}, { digest: `sha256:${'0'.repeat(64)}` }],
    ['of whoever started the run', {}, { own: true }],
    ['without a field that is required', { fields: [{ name: 'why', type: 'string', required: true }] }, {}],
    ['with a field that is not asked for', {}, { fields: { more: 1 } }],
  ];
  for (const [what, approval, given] of strangers) {
    test(what, () => {
      const { run, vote } = waiting(approval);
      run.at(2 * SECOND, { ok: voted(vote('jane', given)) });
      assert.equal(run.step('ok').phase, 'Running');
    });
  }

  test('unless the workflow allows it: that of whoever started the run', () => {
    const { run, vote } = waiting({ allowSelf: true });
    run.at(2 * SECOND, { ok: voted(vote('jane', { own: true })) });
    assert.equal(run.step('ok').phase, 'Succeeded');
  });
});

suite('a status that was edited', () => {
  test('does not lower the count, add approvers or allow the starter', () => {
    const { run, vote } = waiting({ required: 2 });
    const { approval, ...row } = run.step('ok');
    assert.ok(approval);
    const forged = {
      ...approval,
      required: 1,
      approvers: ['user:mallory'],
      allowSelf: true,
      deadline: time(0),
    };
    run.write({ ...run.status, steps: [{ ...row, approval: forged }, run.step('apply')] });
    run.at(3 * SECOND, { ok: voted(vote('mallory', { as: 'user:mallory', own: true })) });
    assert.deepEqual(run.step('ok').approval, approval);
    assert.equal(run.step('ok').phase, 'Running');
  });

  test('approves nothing: what is behind does not start without signed votes', () => {
    const { run } = waiting();
    const approved = {
      ...run.step('ok'),
      phase: 'Succeeded' as const,
      reason: 'Approved',
      finishedAt: time(SECOND),
    };
    run.write({ ...run.status, steps: [approved, run.step('apply')] });
    run.at(2 * SECOND, { ok: voted() });
    assert.equal(run.effects(), '');
    assert.equal(run.step('apply').reason, 'NotApproved');
    assert.equal(run.status.phase, 'Failed');
  });

  test('starts nothing behind an approval by saying that it runs', () => {
    const { run } = waiting();
    const job = { job: { name: 'r-apply' }, attempt: 1, startedAt: time(0) };
    run.write({ ...run.status, steps: [run.step('ok'), { ...run.step('apply'), phase: 'Running', ...job }] });
    run.at(2 * SECOND, { ok: voted(), apply: { state: 'Absent' } });
    assert.equal(run.effects(), '');
    assert.equal(run.step('apply').reason, 'NotApproved');
  });

  test('that skips the approval skips what is behind it', () => {
    const { run } = waiting();
    const skipped = {
      ...run.step('ok'),
      phase: 'Skipped' as const,
      reason: 'WhenFalse',
      finishedAt: time(SECOND),
    };
    run.write({ ...run.status, steps: [skipped, run.step('apply')] });
    run.at(2 * SECOND, { ok: voted() });
    assert.equal(run.step('apply').reason, 'NotApproved');
  });
});

suite('the clock of a run', () => {
  const spec = { timeout: '10m', steps: [step('a'), approvalOf('ok', { timeout: '5h' }), step('b')] };

  test('stands still while only approvals wait, to the millisecond', () => {
    const run = takeOn(spec);
    run.at(0);
    assert.equal(run.wake(), 5 * MINUTE);
    run.at(3 * MINUTE + 7, { a: succeeded() });
    assert.equal(run.status.waitingSince, time(3 * MINUTE + 7));
    run.at(4 * HOUR, { ok: voted() });
    assert.equal(run.status.phase, 'AwaitingApproval');
    const vote = voteOn(run.step('ok'), 'jane');
    run.at(4 * HOUR + 1, { ok: voted(vote) });
    assert.deepEqual(
      [run.status.waitingSince, run.status.waitedMs],
      [undefined, 4 * HOUR + 1 - 3 * MINUTE - 7],
    );
    const end = 4 * HOUR + 1 + 7 * MINUTE - 7;
    run.at(end - 1, { ok: voted(vote) });
    assert.equal(run.status.timedOutAt, undefined);
    assert.equal(run.wake(), end);
    run.at(end, { ok: voted(vote) });
    assert.equal(run.status.timedOutAt, time(end));
  });

  test('goes on while something else runs beside the approval', () => {
    const run = takeOn({
      timeout: '10m',
      steps: [approvalOf('ok', {}, { dependsOn: [] }), step('slow', { dependsOn: [], timeout: '5h' })],
    });
    run.at(0);
    assert.deepEqual([run.status.phase, run.status.waitingSince], ['Running', undefined]);
    run.at(10 * MINUTE);
    assert.equal(run.status.timedOutAt, time(10 * MINUTE));
    assert.equal(run.step('ok').reason, 'RunTimedOut');
  });

  test('begins anew when the run is continued', () => {
    const run = takeOn(spec);
    run.at(0);
    run.at(MINUTE, { a: succeeded() });
    run.at(HOUR, { ok: voted(voteOn(run.step('ok'), 'joe', { decision: 'Reject' })) });
    assert.equal(run.status.phase, 'Failed');
    run.retry(2 * HOUR);
    run.at(2 * HOUR);
    assert.deepEqual([run.status.waitedMs, run.status.waitingSince], [undefined, time(2 * HOUR)]);
  });
});

test('several approvals wait at once, and each has its own votes', () => {
  const run = takeOn({
    steps: [
      approvalOf('one'),
      approvalOf('two', {}, { dependsOn: [] }),
      step('apply', { dependsOn: ['one', 'two'] }),
    ],
  });
  run.at(0);
  assert.equal(run.status.currentStep, 'one, two');
  const [one, two] = [voteOn(run.step('one'), 'jane'), voteOn(run.step('two'), 'joe')];
  run.at(SECOND, { one: voted(one), two: voted() });
  assert.equal(run.phases(), 'one:Succeeded/Approved two:Running/AwaitingApproval apply:Pending');
  run.at(2 * SECOND, { one: voted(one), two: voted(two) });
  assert.equal(run.effects(), 'Start apply-1');
});

suite('what follows a rejection', () => {
  const steps = [
    approvalOf('ok', { onReject: ['tell', 'tidy'] }),
    step('tell'),
    step('tidy'),
    step('apply'),
    step('report', { dependsOn: ['apply', 'tidy'] }),
  ];
  /** Takes the run to its end, every step succeeding. */
  function decideAnd(decision: Vote['decision']) {
    const run = takeOn({ steps });
    run.at(0);
    const vote = voteOn(run.step('ok'), 'jane', { decision });
    for (let second = 1; run.status.finishedAt === undefined; second += 1) {
      const others = run.going().filter((name) => name !== 'ok');
      run.at(second * SECOND, {
        ...Object.fromEntries(others.map((name) => [name, succeeded()])),
        ok: voted(vote),
      });
    }
    return run;
  }

  test('runs if it was rejected; what is behind the approval does not, and the run does not fail', () => {
    const run = decideAnd('Reject');
    assert.equal(
      run.phases(),
      'ok:Failed/Rejected tell:Succeeded/Completed tidy:Succeeded/Completed apply:Skipped/BranchNotTaken report:Succeeded/Completed',
    );
    assert.equal(run.step('apply').message, 'step ok was not approved: Rejected by jane.');
    assert.equal(run.status.phase, 'Succeeded');
    assert.equal(run.refusal(), 'No step of the run failed.');
  });

  test('does not run if it was approved', () => {
    const run = decideAnd('Approve');
    assert.equal(
      run.phases(),
      'ok:Succeeded/Approved tell:Skipped/BranchNotTaken tidy:Skipped/BranchNotTaken apply:Succeeded/Completed report:Succeeded/Completed',
    );
  });

  test('also keeps from running what waits for more than the approval', () => {
    const run = takeOn({
      steps: [
        step('build'),
        approvalOf('ok', { onReject: ['tell'] }, { dependsOn: [] }),
        step('tell'),
        step('apply', { dependsOn: ['ok', 'build'] }),
        step('after', { dependsOn: ['apply', 'build'] }),
        step('always', { dependsOn: ['apply'], runIf: 'Always' }),
      ],
    });
    run.at(0);
    const vote = voteOn(run.step('ok'), 'jane', { decision: 'Reject' });
    run.at(SECOND, { build: succeeded(), ok: voted(vote) });
    assert.equal(
      run.phases(),
      'build:Succeeded/Completed ok:Failed/Rejected tell:Running apply:Skipped/BranchNotTaken after:Skipped/BranchNotTaken always:Skipped/BranchNotTaken',
    );
  });
});
