import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { WorkflowRun } from '../../src/api/resources.ts';
import { voteAnnotation } from '../../src/engine/vote.ts';
import type { AuditEntry } from '../kit/audit.ts';
import { auditFindings } from './audit-rules.ts';
import type { CastVote } from './ballots.ts';
import { type Evidence, endFindings } from './end-rules.ts';
import { asking, askedOf, cast, drawn, made, row, runOf, workflowOf } from './fixtures.ts';
import type { Made } from './history.ts';
import { createJournal } from './journal.ts';
import { transitionProblems } from './transitions.ts';

const ok = 'Succeeded Completed 1';

/** Of runs that nobody continued. */
const endsIn = (runs: ReadonlyMap<string, WorkflowRun>) =>
  new Map([...runs].map(([name, run]) => [name, [run]]));

suite('from one version of a run to the next', () => {
  const workflow = workflowOf(drawn('a'), drawn('b', { waitsFor: ['a'] }), drawn('c'));
  const problems = (before: string[], after: string[], more = {}) => {
    const versions = [before, after].map((rows) =>
      runOf(
        'Running',
        rows.map((text) => row(text)),
        more,
      ),
    );
    return transitionProblems(workflow, versions[0] ?? runOf('', []), versions[1] ?? runOf('', []));
  };

  test('what goes on is right', () => {
    assert.deepEqual(
      problems(['a Running Stopping 1', 'b Pending'], [`a ${ok}`, 'b Running Starting 1']),
      [],
    );
  });

  test('what has ended does not change', () => {
    assert.deepEqual(problems([`a ${ok}`], ['a Succeeded Completed 2']), [
      'step a changed after its end: attempt: 1 → 2',
    ]);
    const finishedAt = { finishedAt: '2030-01-01T00:00:00Z' };
    assert.equal(problems([`a ${ok}`], ['a Failed ExitCode 1'], finishedAt).length, 1);
  });

  test('nothing goes back or vanishes', () => {
    assert.equal(problems(['a Running Retrying 2'], ['a Running Retrying 1']).length, 1);
    assert.equal(problems(['a Running Retrying 1'], ['a Pending']).length, 1);
    assert.equal(problems(['a Pending'], []).length, 1);
  });

  test('nothing starts too early, or in a failing run', () => {
    assert.deepEqual(problems(['a Running', 'b Pending'], ['a Running', 'b Running']), [
      'step b began before a had ended',
    ]);
    assert.deepEqual(problems(['a Failed ExitCode 1', 'c Pending'], ['a Failed ExitCode 1', 'c Running']), [
      'step c began although a had failed',
    ]);
  });
});

test('while people are asked, no vote gets lost and the question stays as it is', () => {
  const workflow = workflowOf(asking('a'));
  const [ann, ben] = [cast('ann', 'Approve', 1), cast('ben', 'Approve', 2)];
  const version = (votes: CastVote[], more = {}) =>
    runOf('AwaitingApproval', [
      row('a Running AwaitingApproval 1', { type: 'approval', approval: { ...askedOf(votes), ...more } }),
    ]);
  const problems = (after: WorkflowRun) => transitionProblems(workflow, version([ann]), after);
  assert.deepEqual(problems(version([ann, ben])), []);
  assert.deepEqual(problems(version([cast('ann', 'Withdraw', 3)])), []);
  assert.deepEqual(problems(version([ben])), ['step a lost the vote of ann@example.com: Approve']);
  assert.equal(problems(version([ann], { required: 2 })).length, 1);
  assert.equal(problems(version([ann], { deadline: '2030-01-01T02:00:00.000Z' })).length, 1);
});

suite('the audit log tells', () => {
  const entry = (text: string, more: Partial<AuditEntry> = {}): AuditEntry => {
    const [client = '', verb = '', resource = '', name = '', code = ''] = text.split(' ');
    return {
      client,
      verb,
      resource,
      name,
      code: Number(code),
      namespace: 'default',
      receivedAt: 0,
      answeredAt: 0,
      ...more,
    };
  };
  const findings = (...entries: AuditEntry[]) =>
    auditFindings(entries, ['one', 'two'], new Set(['used'])).map(({ verdict }) => verdict);

  test('what was created twice', () => {
    const create = entry('one create jobs j 201');
    assert.deepEqual(findings(create, entry('one create jobs j 409'), entry('one create pods j 201')), []);
    assert.deepEqual(findings(create, create), ['Twice']);
  });

  test('what was deleted for no reason', () => {
    assert.deepEqual(findings(entry('one delete pods p 200'), entry('somebody delete jobs j 200')), []);
    assert.deepEqual(findings(entry('one delete jobs j 200')), ['Twice']);
    assert.deepEqual(findings(entry('one delete controllerrevisions unused 200')), []);
    assert.deepEqual(findings(entry('one delete controllerrevisions used 200')), ['Twice']);
  });

  test('what the API server refused for good', () => {
    assert.deepEqual(findings(entry('one patch jobs/status j 409')), []);
    assert.deepEqual(findings(entry('one patch jobs/status j 422')), ['Wrong']);
  });

  test('who wrote without the lease', () => {
    const lease = (client: string, at: number) => entry(`${client} patch leases l 200`, { answeredAt: at });
    const write = (client: string, code: number, at: number) =>
      entry(`${client} patch jobs/status j ${code}`, { receivedAt: at });
    assert.deepEqual(
      findings(lease('one', 1), write('one', 200, 2), lease('two', 3), write('two', 200, 4)),
      [],
    );
    assert.deepEqual(findings(lease('one', 1), lease('two', 3), write('one', 409, 4)), []);
    assert.deepEqual(findings(lease('one', 1), lease('two', 3), write('one', 200, 4)), ['Wrong']);
    const asks = entry('one create localsubjectaccessreviews  201', { receivedAt: 4 });
    assert.deepEqual(findings(lease('one', 1), lease('two', 3), asks), []);
  });
});

suite('at the end', () => {
  const workflow = workflowOf(drawn('a'));
  const closed = { status: { conditions: [{ type: 'Complete', status: 'True' }] } };
  const job = made('Job', 'j', { object: closed });
  const pod = made('Pod', 'j', { object: { status: { phase: 'Succeeded' } } });
  const finished = { finishedAt: '2030-01-01T00:00:00Z' };
  const run = runOf('Succeeded', [row(`a ${ok}`, { job: { name: 'j', uid: 'Job j' } })], finished);
  const findings = (objects: Made[], more: Partial<Evidence> = {}) =>
    endFindings({
      started: ['r'],
      runs: new Map([['r', run]]),
      made: objects,
      intents: new Map([['j', 10]]),
      ballots: { of: () => [] },
      lives: new Map(),
      ends: endsIn(more.runs ?? new Map([['r', run]])),
      continued: new Set(),
      forgotten: new Set(),
      workflowOf: () => workflow,
      ...more,
    }).map(({ verdict }) => verdict);

  test('all is well', () => assert.deepEqual(findings([job, pod]), []));

  test('a run that has not ended, or that nobody saw, is lost', () => {
    const runs = new Map([['r', runOf('Running', [row('a Running')])]]);
    assert.deepEqual(findings([], { runs }), ['Lost']);
    assert.deepEqual(findings([job, pod], { started: ['r', 'other'] }), ['Lost']);
  });

  test('a Job that never was, or is another, is lost', () => {
    assert.deepEqual(findings([]), ['Lost']);
    assert.deepEqual(findings([{ ...job, uid: 'another' }, pod]), ['Lost']);
  });

  test('a value that is not the one that was given is wrong', () => {
    const reading = workflowOf(drawn('b'), drawn('a', { reads: 'b' }));
    const saw = (value: string) => ({
      ...closed,
      spec: { template: { spec: { containers: [{ name: 'main', env: [{ name: 'SEEN', value }] }] } } },
    });
    const both = runOf(
      'Succeeded',
      [row(`a ${ok}`, { job: { name: 'j', uid: 'Job j' } }), row(`b ${ok}`)],
      finished,
    );
    const more = { runs: new Map([['r', both]]), workflowOf: () => reading };
    assert.deepEqual(findings([{ ...job, object: saw('none') }, pod], more), []);
    assert.deepEqual(findings([{ ...job, object: saw('other') }, pod], more), ['Wrong']);
  });

  test('what was made again, or for nobody, is one too many', () => {
    assert.deepEqual(findings([job, pod, { ...pod, uid: 'another' }]), ['Twice']);
    assert.deepEqual(findings([job, pod, { ...pod, name: 'stray', uid: 'stray' }]), ['Twice']);
  });

  test('what was made before it was written down, is not closed, or still runs, is wrong', () => {
    assert.deepEqual(findings([{ ...job, createdAt: 5 }, pod]), ['Wrong']);
    assert.deepEqual(findings([{ ...job, object: {} }, pod]), ['Wrong']);
    assert.deepEqual(findings([job, { ...pod, object: { status: { phase: 'Running' } } }]), ['Wrong']);
  });

  test('only what was drawn to be deleted may be gone', () => {
    assert.deepEqual(findings([job, { ...pod, deleted: true }]), ['Twice']);
    const drawnSo = workflowOf(drawn('a', { accident: 'PodDeleted' }));
    assert.deepEqual(findings([job, { ...pod, deleted: true }], { workflowOf: () => drawnSo }), []);
  });
});

suite('at the end of an approval', () => {
  const workflow = workflowOf(asking('a', { required: 2 }), drawn('b', { waitsFor: ['a'] }));
  const votes = [cast('ann', 'Approve', 30), cast('ben', 'Approve', 31)];
  const asked = { type: 'approval', approval: askedOf(votes, { required: 2 }) } as const;
  const job = made('Job', 'j', {
    step: 'b',
    row: 'b',
    createdAt: 40,
    object: { status: { conditions: [{ type: 'Complete', status: 'True' }] } },
  });
  const findings = (carried: CastVote[], createdAt = 40) => {
    const run = runOf(
      'Succeeded',
      [row('a Succeeded Approved 1', asked), row(`b ${ok}`, { job: { name: 'j', uid: 'Job j' } })],
      { finishedAt: '2030-01-01T00:01:00Z' },
    );
    const annotations = Object.fromEntries(
      carried.map(({ vote }) => [voteAnnotation(vote), JSON.stringify(vote)]),
    );
    const runs = new Map([['r', { ...run, metadata: { ...run.metadata, annotations } }]]);
    return endFindings({
      started: ['r'],
      runs,
      ends: endsIn(runs),
      continued: new Set(),
      made: [{ ...job, createdAt }],
      intents: new Map([['j', 10]]),
      lives: new Map(),
      ballots: { of: (_run, step) => (step === 'a' ? votes : []) },
      forgotten: new Set(),
      workflowOf: () => workflow,
    }).map(({ message }) => message);
  };

  test('all is well', () => assert.deepEqual(findings(votes), []));

  test('a record that is gone, or that nobody made, is wrong', () => {
    assert.deepEqual(findings(votes.slice(1)), ['carries 1 of 2 votes']);
    const strange = findings([...votes, cast('eve', 'Approve', 32)]);
    assert.deepEqual(
      strange.map((text) => text.slice(0, 30)),
      ['carries a vote that nobody cast'.slice(0, 30)],
    );
  });

  test('what was made before enough people had voted is wrong', () => {
    assert.deepEqual(findings(votes, 31), ['Job j was made before a was approved']);
  });
});

suite('the journal notes', () => {
  test('two pods of one step at work at once', () => {
    const journal = createJournal(() => undefined);
    const first = made('Pod', 'j-1', { object: { status: { phase: 'Running' } } });
    journal.onMade(first);
    journal.onMade(made('Pod', 'j-2'));
    assert.deepEqual(
      journal.findings.map(({ verdict }) => verdict),
      ['Twice'],
    );
  });

  test('none when the first had ended', () => {
    const journal = createJournal(() => undefined);
    journal.onMade(made('Pod', 'j-1', { object: { status: { phase: 'Failed' } } }));
    journal.onMade(made('Pod', 'j-2'));
    assert.deepEqual(journal.findings, []);
  });

  test('runs that are active side by side although they queue', () => {
    const workflow = { ...workflowOf(drawn('a')), concurrency: { policy: 'Queue' } as const };
    const journal = createJournal(() => workflow);
    const named = (name: string) => ({ ...runOf('Running', []), metadata: { name } });
    journal.onRun(undefined, named('one'));
    assert.deepEqual(journal.findings, []);
    journal.onRun(undefined, named('two'));
    assert.equal(journal.findings.length, 1);
  });

  test('more runs than may be active at a time', () => {
    const workflow = { ...workflowOf(drawn('a')), concurrency: { policy: 'Allow', limit: 2 } as const };
    const journal = createJournal(() => workflow, 3);
    const starts = (name: string, more = {}) =>
      journal.onRun(undefined, { ...runOf('Running', []), metadata: { name, ...more } });
    const owner = { apiVersion: 'v1', kind: 'WorkflowRun', name: 'one', uid: '1' };
    for (const name of ['one', 'two']) starts(name);
    starts('child', { ownerReferences: [owner] });
    assert.deepEqual(journal.findings, []);
    starts('three');
    assert.equal(journal.findings.length, 1);
    starts('four');
    assert.equal(journal.findings.length, 3);
  });

  test('also those that wait for approval', () => {
    const workflow = { ...workflowOf(drawn('a')), concurrency: { policy: 'Queue' } as const };
    const journal = createJournal(() => workflow);
    journal.onRun(undefined, { ...runOf('AwaitingApproval', []), metadata: { name: 'one' } });
    journal.onRun(undefined, { ...runOf('Running', []), metadata: { name: 'two' } });
    assert.equal(journal.findings.length, 1);
  });
});
