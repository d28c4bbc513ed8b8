import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { StepStatus } from '../../src/api/workflow-run.ts';
import type { DrawnStep, DrawnWorkflow } from './drawn.ts';
import { type Evidence, endFindings } from './end-rules.ts';
import { asking, askedOf, cast, drawn, failing, made, quiet, row, runOf, workflowOf } from './fixtures.ts';
import { endProblems } from './oracle.ts';
import { resumedOf } from './rounds.ts';
import { transitionProblems } from './transitions.ts';

const ok = 'Succeeded Completed 1';
const broken = 'Failed ExitCode 1';
const after = (...waitsFor: string[]) => ({ waitsFor });
const rows = (...texts: string[]) => texts.map((text) => row(text));

const continuing = (continued: string, ...steps: DrawnStep[]): DrawnWorkflow => ({
  ...workflowOf(...steps),
  continued,
});

const redone = (workflow: DrawnWorkflow, ...found: StepStatus[]) => {
  const { isRedone } = resumedOf(workflow, runOf('Failed', found));
  return found.flatMap(({ name }) => (isRedone(name) ? [name] : []));
};

suite('of a run that is continued is done over', () => {
  const steps = [
    drawn('a'),
    drawn('b', { ...after('a'), ...failing }),
    drawn('c', after('b')),
    drawn('d', { ...after('a'), ...failing, forgiven: true }),
    drawn('f', { isFinal: true, runIf: 'Always' }),
  ];
  const found = rows(`a ${ok}`, `b ${broken}`, 'c Skipped UpstreamFailed', `d ${broken}`, `f ${ok}`);

  test('what failed, what is behind it, and finally', () => {
    assert.deepEqual(redone(continuing('failed', ...steps), ...found), ['b', 'c', 'f']);
  });

  test('also the step that is named', () => {
    assert.deepEqual(redone(continuing('d', ...steps), ...found), ['b', 'c', 'd', 'f']);
    assert.deepEqual(redone(continuing('a', ...steps), ...found), ['a', 'b', 'c', 'd', 'f']);
  });

  test('not what a new round would skip just the same, and not what follows a rejection', () => {
    const quietly = [drawn('a'), drawn('b', failing)];
    const workflow = continuing('failed', ...quietly);
    assert.deepEqual(redone(workflow, ...rows('a Skipped WhenFalse', `b ${broken}`)), ['b']);
    assert.deepEqual(redone(workflow, ...rows('a Skipped RunFailing', `b ${broken}`)), ['a', 'b']);
    const declined = row('a Failed Rejected 1', { type: 'approval' });
    assert.deepEqual(redone(continuing('failed', asking('a', { hasFollowUp: true })), declined), []);
    assert.deepEqual(redone(continuing('failed', asking('a')), declined), ['a']);
  });

  test('of a loop only what did not succeed, unless it begins anew', () => {
    const found = rows('a Failed InstancesFailed', `a[x] ${ok}`, `a[y] ${broken}`);
    assert.deepEqual(redone(continuing('failed', drawn('a')), ...found), ['a', 'a[y]']);
    assert.deepEqual(redone(continuing('a', drawn('a')), ...found), ['a', 'a[x]', 'a[y]']);
  });
});

suite('the oracle judges a second round', () => {
  const twice = {
    expected: { phase: 'Succeeded', reason: 'Completed', attempts: 2, earlier: 'ExitCode' },
  } as const;
  const workflow = continuing(
    'c',
    drawn('a'),
    drawn('b', { ...after('a'), ...twice }),
    drawn('c', after('b')),
  );
  const before = runOf('Succeeded', rows(`a ${ok}`, 'b Succeeded Completed 2', `c ${ok}`));
  const problems = (...texts: string[]) =>
    endProblems(workflow, runOf('Succeeded', rows(...texts), { round: 1 }), { ...quiet, before });
  const b = 'b Succeeded Completed 2';

  test('by its own attempts', () => {
    assert.deepEqual(problems(`a ${ok}`, b, 'c Succeeded Completed 2'), []);
    assert.notDeepEqual(problems(`a ${ok}`, b, `c ${ok}`), []);
    assert.notDeepEqual(problems(`a ${ok}`, b, 'c Succeeded Completed 3'), []);
  });

  test('and wants what was kept as it was', () => {
    assert.notDeepEqual(problems('a Succeeded Completed 2', b, 'c Succeeded Completed 2'), []);
  });

  test('and knows that what recovers needs one attempt more', () => {
    const from = { ...workflow, continued: 'b' };
    const round = (text: string) =>
      endProblems(from, runOf('Succeeded', rows(`a ${ok}`, text, 'c Succeeded Completed 2')), {
        ...quiet,
        before,
      });
    assert.deepEqual(round('b Succeeded Completed 3'), []);
    assert.notDeepEqual(round('b Succeeded Completed 4'), []);
  });
});

suite('from one round to the next', () => {
  const workflow = continuing('failed', drawn('a'), drawn('b', { ...after('a'), ...failing }));
  const finishedAt = { finishedAt: '2030-01-01T00:00:00Z' };
  const end = runOf('Failed', rows(`a ${ok}`, `b ${broken}`), finishedAt);
  const next = (round: number, ...texts: string[]) => runOf('Running', rows(...texts), { round });

  test('what is done over begins again, with another attempt', () => {
    assert.deepEqual(transitionProblems(workflow, end, next(1, `a ${ok}`, 'b Running Starting 2')), []);
    assert.deepEqual(transitionProblems(workflow, end, next(1, `a ${ok}`, 'b Pending  1')), []);
  });

  test('what is kept does not, and nobody goes on who was not asked to', () => {
    assert.equal(transitionProblems(workflow, end, next(1, 'a Pending', 'b Pending  1')).length, 1);
    assert.equal(transitionProblems(workflow, end, next(2, `a ${ok}`, 'b Pending  1')).length, 1);
    const { continued: _continued, ...other } = workflow;
    assert.equal(transitionProblems(other, end, next(1, `a ${ok}`, 'b Pending  1')).length, 1);
  });
});

suite('at the end of two rounds', () => {
  const finishedAt = { finishedAt: '2030-01-01T00:00:00Z' };
  const workflow = continuing('a', drawn('a'));
  const closed = { status: { conditions: [{ type: 'Complete', status: 'True' }] } };
  const jobOf = (attempt: number) => made('Job', `j${attempt}`, { attempt, object: closed });
  const rowOf = (attempt: number) =>
    row(`a Succeeded Completed ${attempt}`, { job: { name: `j${attempt}`, uid: `Job j${attempt}` } });
  const one = runOf('Succeeded', [rowOf(1)], finishedAt);
  const two = runOf('Succeeded', [rowOf(2)], { ...finishedAt, round: 1 });
  const evidence: Evidence = {
    started: ['r'],
    runs: new Map([['r', two]]),
    made: [jobOf(1), jobOf(2)],
    intents: new Map([
      ['j1', 10],
      ['j2', 10],
    ]),
    ballots: { of: () => [] },
    lives: new Map(),
    ends: new Map([['r', [one, two]]]),
    continued: new Set(['r']),
    forgotten: new Set(),
    workflowOf: () => workflow,
  };

  test('all is well', () => assert.deepEqual(endFindings(evidence), []));

  test('a run that was to go on, and did not, is lost', () => {
    const findings = endFindings({
      ...evidence,
      runs: new Map([['r', one]]),
      made: [jobOf(1)],
      ends: new Map([['r', [one]]]),
    });
    assert.deepEqual(
      findings.map(({ message }) => message),
      ['was to go on, and did not'],
    );
  });

  test('each attempt of an approval has its own votes', () => {
    const steps = continuing('a', asking('a'), drawn('b', after('a')));
    const votes = [cast('ann', 'Approve', 5), cast('ann', 'Reject', 7, { attempt: 2 })];
    const asked = (text: string, vote: (typeof votes)[number] | undefined) =>
      row(text, { type: 'approval', approval: askedOf(vote ? [vote] : []) });
    const first = runOf('Succeeded', [asked('a Succeeded Approved 1', votes[0]), row(`b ${ok}`)], finishedAt);
    const second = runOf(
      'Failed',
      [asked('a Failed Rejected 2', votes[1]), row('b Skipped UpstreamFailed 1')],
      { ...finishedAt, round: 1 },
    );
    const messages = (cast: typeof votes) =>
      endFindings({
        ...evidence,
        made: [],
        runs: new Map([['r', second]]),
        ends: new Map([['r', [first, second]]]),
        ballots: { of: (_run, step) => (step === 'a' ? cast : []) },
        workflowOf: () => steps,
      }).map(({ message }) => message);
    assert.deepEqual(messages(votes), ['carries 0 of 2 votes']);
    assert.equal(messages(votes.slice(0, 1)).length > 1, true);
  });
});
