import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { CastVote } from './ballots.ts';
import type { DrawnStep } from './drawn.ts';
import { asking, askedOf, cast, drawn, failing, quiet, row, runOf, workflowOf } from './fixtures.ts';
import { endProblems } from './oracle.ts';

/** Checks that the first of the ends is right, and that each of the others is not. */
function judges(steps: DrawnStep[], phase: string, right: string[], ...wrong: string[][]): void {
  const problems = (rows: string[]) =>
    endProblems(
      workflowOf(...steps),
      runOf(
        phase,
        rows.map((text) => row(text)),
      ),
      quiet,
    );
  assert.deepEqual(problems(right), []);
  for (const rows of wrong) assert.notDeepEqual(problems(rows), [], rows.join(', '));
}

const ok = 'Succeeded Completed 1';
const broken = 'Failed ExitCode 1';
const after = (...waitsFor: string[]) => ({ waitsFor });

suite('the oracle knows', () => {
  test('how a step ends by itself', () => {
    judges(
      [drawn('a')],
      'Succeeded',
      [`a ${ok}`],
      ['a Succeeded Completed 2'],
      [`a ${broken}`],
      ['a Running'],
      [],
    );
  });

  test('that nothing runs behind a failure, and what is for failures does', () => {
    const steps = [
      drawn('a', failing),
      drawn('b', after('a')),
      drawn('c', { ...after('b'), runIf: 'Failure' }),
      drawn('d', { ...after('c'), runIf: 'Always' }),
    ];
    const skipped = 'b Skipped UpstreamFailed';
    judges(
      steps,
      'Failed',
      [`a ${broken}`, skipped, `c ${ok}`, `d ${ok}`],
      [`a ${broken}`, `b ${ok}`, `c ${ok}`, `d ${ok}`],
      [`a ${broken}`, skipped, 'c Skipped NothingFailed', `d ${ok}`],
      [`a ${broken}`, skipped, `c ${ok}`, 'd Skipped UpstreamFailed'],
    );
  });

  test('that a failure elsewhere may keep a step from starting, and one behind it may not', () => {
    const steps = [drawn('a', failing), drawn('b'), drawn('c', after('b'))];
    judges(steps, 'Failed', [`a ${broken}`, `b ${ok}`, 'c Skipped RunFailing']);
    judges(steps, 'Failed', [`a ${broken}`, `b ${ok}`, `c ${ok}`]);
    const chain = [drawn('a'), drawn('b', { ...after('a'), ...failing })];
    judges(chain, 'Failed', [`a ${ok}`, `b ${broken}`], ['a Skipped RunFailing', `b ${broken}`]);
  });

  test('what is forgiven', () => {
    const steps = [drawn('a', { ...failing, forgiven: true }), drawn('b', after('a'))];
    judges(steps, 'Succeeded', [`a ${broken}`, `b ${ok}`], [`a ${broken}`, 'b Skipped UpstreamFailed']);
  });

  test('what when says', () => {
    judges([drawn('a', { gate: { kind: 'False' } })], 'Succeeded', ['a Skipped WhenFalse'], [`a ${ok}`]);
    judges([drawn('a', { gate: { kind: 'Error' } })], 'Failed', ['a Failed ExpressionError'], [`a ${ok}`]);
    const steps = [
      drawn('a', { gate: { kind: 'False' } }),
      drawn('b', { gate: { kind: 'Succeeded', step: 'a' } }),
    ];
    judges(
      steps,
      'Succeeded',
      ['a Skipped WhenFalse', 'b Skipped WhenFalse'],
      ['a Skipped WhenFalse', `b ${ok}`],
    );
  });

  test('that finally runs in any case', () => {
    const steps = [drawn('a', failing), drawn('f', { isFinal: true, runIf: 'Always' })];
    judges(steps, 'Failed', [`a ${broken}`, `f ${ok}`], [`a ${broken}`, 'f Skipped UpstreamFailed']);
  });

  test('what phase a run has', () => {
    judges([drawn('a', failing)], 'Failed', [`a ${broken}`]);
    const run = runOf('Succeeded', [row(`a ${broken}`)]);
    assert.deepEqual(endProblems(workflowOf(drawn('a', failing)), run, quiet), [
      'is Succeeded and not Failed',
    ]);
  });
});

test('the oracle knows which branch is taken', () => {
  const branch = (side: 'then' | 'else') => ({ ...after('if'), branch: { condition: 'if', side } });
  const decides = { kind: 'True' } as const;
  const condition = drawn('if', {
    decides,
    expected: { phase: 'Succeeded', reason: 'Completed', attempts: 0 },
  });
  const workflow = workflowOf(condition, drawn('yes', branch('then')), drawn('no', branch('else')));
  const problems = (result: boolean, yes: string, no: string) =>
    endProblems(
      workflow,
      runOf('Succeeded', [row('if Succeeded Completed', { outputs: { result } }), row(yes), row(no)]),
      quiet,
    );
  assert.deepEqual(problems(true, `yes ${ok}`, 'no Skipped BranchNotTaken'), []);
  assert.notDeepEqual(problems(false, 'yes Skipped BranchNotTaken', `no ${ok}`), []);
  assert.notDeepEqual(problems(true, `yes ${ok}`, `no ${ok}`), []);
});

test('the oracle looks at every instance of a loop', () => {
  const good = { phase: 'Succeeded', reason: 'Completed', attempts: 1 } as const;
  const loop = drawn('a', {
    expected: { phase: 'Failed', reason: 'InstancesFailed', attempts: 0 },
    instances: { keys: ['x', 'y'], expected: [failing.expected, good], failFast: true },
  });
  const problems = (...rows: string[]) =>
    endProblems(
      workflowOf(loop),
      runOf(
        'Failed',
        rows.map((text) => row(text)),
      ),
      quiet,
    );
  const parent = 'a Failed InstancesFailed';
  assert.deepEqual(problems(parent, `a[x] ${broken}`, `a[y] ${ok}`), []);
  assert.deepEqual(problems(parent, `a[x] ${broken}`, 'a[y] Skipped InstanceFailed'), []);
  assert.notDeepEqual(problems(parent, `a[x] ${broken}`), []);
  assert.notDeepEqual(problems('a Succeeded Completed', `a[x] ${broken}`, `a[y] ${ok}`), []);
});

suite('the oracle knows what follows a rejection', () => {
  const declined = (hasFollowUp: boolean) => [
    asking('a', { hasFollowUp }),
    drawn('tell', { ...after('a'), branch: { condition: 'a', side: 'else' } }),
    drawn('apply', after('a')),
    drawn('always', { ...after('apply'), runIf: 'Always' }),
    drawn('join', after('tell', 'apply')),
  ];
  const row1 = (reason: string, votes: CastVote[]) => {
    const phase = reason === 'Approved' ? 'Succeeded' : 'Failed';
    return row(`a ${phase} ${reason} 1`, { type: 'approval', approval: askedOf(votes) });
  };
  const problems = (steps: DrawnStep[], phase: string, votes: CastVote[], first: string, rest: string[]) =>
    endProblems(workflowOf(...steps), runOf(phase, [row1(first, votes), ...rest.map((text) => row(text))]), {
      ...quiet,
      votes: () => votes,
    });
  const off = 'Skipped BranchNotTaken';

  test('where the workflow says so', () => {
    const votes = [cast('ann', 'Reject', 1)];
    const right = [`tell ${ok}`, `apply ${off}`, `always ${off}`, `join ${ok}`];
    assert.deepEqual(problems(declined(true), 'Succeeded', votes, 'Rejected', right), []);
    for (const wrong of [
      [`tell ${off}`, `apply ${off}`, `always ${off}`, `join ${off}`],
      [`tell ${ok}`, `apply ${ok}`, `always ${off}`, `join ${ok}`],
      [`tell ${ok}`, `apply ${off}`, `always ${ok}`, `join ${ok}`],
      [`tell ${ok}`, `apply ${off}`, `always ${off}`, `join ${off}`],
    ])
      assert.notDeepEqual(problems(declined(true), 'Succeeded', votes, 'Rejected', wrong), []);
    assert.notDeepEqual(problems(declined(true), 'Failed', votes, 'Rejected', right), []);
  });

  test('and that nothing does where it was approved', () => {
    const votes = [cast('ann', 'Approve', 1)];
    const right = [`tell ${off}`, `apply ${ok}`, `always ${ok}`, `join ${ok}`];
    assert.deepEqual(problems(declined(true), 'Succeeded', votes, 'Approved', right), []);
    assert.notDeepEqual(problems(declined(true), 'Succeeded', [], 'Approved', right), []);
    assert.notDeepEqual(problems(declined(true), 'Failed', votes, 'Rejected', right), []);
  });

  test('and that the run fails where it does not say', () => {
    const steps = [asking('a'), drawn('apply', after('a'))];
    const votes = [cast('ann', 'Reject', 1)];
    const rest = ['apply Skipped UpstreamFailed'];
    assert.deepEqual(problems(steps, 'Failed', votes, 'Rejected', rest), []);
    assert.notDeepEqual(problems(steps, 'Succeeded', votes, 'Rejected', rest), []);
  });
});

test('the oracle compares outputs', () => {
  const outputs = { value: '7' };
  const workflow = workflowOf(
    drawn('a', { expected: { phase: 'Succeeded', reason: 'Completed', attempts: 1, outputs } }),
  );
  const problems = (found: object) =>
    endProblems(workflow, runOf('Succeeded', [row(`a ${ok}`, { outputs: { ...found } })]), quiet);
  assert.deepEqual(problems(outputs), []);
  assert.notDeepEqual(problems({}), []);
});

test('only what was drawn to be cancelled or to exceed its timeout may be', () => {
  const cancellation = { requestedAt: '', reason: 'Cancelled', message: '' } as const;
  const run = runOf('Cancelled', [row('a Cancelled RunCancelled 1')], { cancellation });
  const workflow = workflowOf(drawn('a'));
  assert.deepEqual(endProblems(workflow, run, { ...quiet, mayBeCancelled: true }), []);
  assert.deepEqual(endProblems(workflow, run, quiet), ['was cancelled by nobody']);
  // One that waited for its turn has begun nothing.
  const { startedAt: _startedAt, ...status } = run.status ?? {};
  const inLine = (text: string) => ({ ...run, status: { ...status, steps: [row(text)] } });
  const cancelled = { ...quiet, mayBeCancelled: true };
  assert.deepEqual(endProblems(workflow, inLine('a Skipped Replaced'), cancelled), []);
  assert.equal(endProblems(workflow, inLine('a Cancelled RunCancelled 1'), cancelled).length, 1);
  assert.notDeepEqual(
    endProblems(workflow, runOf('Cancelled', [row('a Skipped Replaced')], { cancellation }), cancelled),
    [],
  );
  const late = runOf('TimedOut', [row('a Failed RunTimedOut 1')], { timedOutAt: '' });
  assert.deepEqual(endProblems({ ...workflow, endedBy: 'Timeout' }, late, quiet), []);
  assert.deepEqual(endProblems(workflow, late, quiet), ['timed out, and has no timeout']);
});
