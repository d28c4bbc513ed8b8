import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  choose,
  envOf,
  failed,
  runThrough,
  SECOND,
  step,
  succeeded,
  takeOn,
  time,
  withEnv,
} from './turns.ts';

/** A condition on a parameter, and a pipeline around it: a branch of two steps, one of one, and a join. */
const fork = (more: object = {}) => [
  choose('check', 'params.go', [['a', 'b'], ['c']], more),
  step('a'),
  step('b'),
  step('c'),
  step('join'),
];
const params = [{ name: 'go', type: 'boolean' }];

test('a condition decides the moment it is ready, and its branch starts in the same decision', () => {
  const run = takeOn(
    {
      steps: [
        step('count'),
        choose('many', 'int(steps.count.outputs.n) > 3', [['scale'], ['report']]),
      ].concat(step('scale'), step('report')),
    },
    {},
  );
  run.at(0);
  run.at(SECOND, { count: succeeded({ outputs: { n: '5' } }) });
  assert.equal(run.effects(), 'Start scale-1');
  assert.deepEqual(run.step('many'), {
    name: 'many',
    type: 'condition',
    phase: 'Succeeded',
    reason: 'Completed',
    startedAt: time(SECOND),
    finishedAt: time(SECOND),
    summary: 'true: scale',
    outputs: { result: true },
  });
  assert.equal(run.step('report').message, 'condition many is true');
});

test('the branch not taken is skipped as a whole, and what comes after both runs', () => {
  const wentThen = runThrough({ params, steps: fork() }, {}, { go: true });
  assert.equal(
    wentThen.phases(),
    'check:Succeeded/Completed a:Succeeded/Completed b:Succeeded/Completed c:Skipped/BranchNotTaken join:Succeeded/Completed',
  );
  const wentElse = runThrough({ params, steps: fork() }, {}, { go: false });
  assert.equal(
    wentElse.phases(),
    'check:Succeeded/Completed a:Skipped/BranchNotTaken b:Skipped/BranchNotTaken c:Succeeded/Completed join:Succeeded/Completed',
  );
  assert.equal(wentElse.step('b').message, 'condition check is false');
  assert.equal(wentElse.step('check').summary, 'false: c');
  assert.equal(wentElse.status.phase, 'Succeeded');
  assert.equal(wentElse.status.progress, '5/5');
});

test('a join waits for the end of the branch that is taken', () => {
  const run = takeOn({ params, steps: fork() }, { go: true });
  run.at(0);
  run.at(1, { a: succeeded() });
  assert.equal(run.effects(), 'Start b-1');
  assert.equal(run.step('join').phase, 'Pending');
  run.at(2, { b: succeeded() });
  assert.equal(run.effects(), 'Start join-1');
});

test('a branch without steps is nothing to do, and what comes after goes on', () => {
  for (const branches of [[['a']], [['a'], []]] satisfies [string[], string[]?][]) {
    const steps = [choose('check', 'params.go', branches), step('a'), step('join')];
    const run = runThrough({ params, steps }, {}, { go: false });
    assert.equal(run.phases(), 'check:Succeeded/Completed a:Skipped/BranchNotTaken join:Succeeded/Completed');
    assert.equal(run.step('check').summary, 'false: nothing to do');
  }
});

test('BranchNotTaken passes on to those that wait for nothing else', () => {
  const run = runThrough(
    {
      params,
      steps: [
        step('other'),
        choose('check', 'params.go', [['a']]),
        step('a'),
        step('behind', { dependsOn: ['a'] }),
        step('further', { dependsOn: ['behind'], runIf: 'Always' }),
        step('also', { dependsOn: ['behind', 'other'] }),
      ],
    },
    {},
    { go: false },
  );
  assert.equal(
    run.phases(),
    'other:Succeeded/Completed check:Succeeded/Completed a:Skipped/BranchNotTaken behind:Skipped/BranchNotTaken ' +
      'further:Skipped/BranchNotTaken also:Succeeded/Completed',
  );
  assert.equal(run.step('further').message, 'condition check is false');
});

const nested = [
  choose('outer', 'params.go', [['inner', 'after'], ['z']]),
  choose('inner', 'params.deep', [['a'], ['b']]),
  ...['a', 'b', 'after', 'z', 'join'].map((name) => step(name)),
];

test('conditions in branches: only one way is gone, whatever is decided', () => {
  const declared = [...params, { name: 'deep', type: 'boolean' }];
  const ranWith = (go: boolean, deep: boolean) => {
    const { status } = runThrough({ params: declared, steps: nested }, {}, { go, deep });
    return status.steps
      ?.filter(({ phase }) => phase === 'Succeeded')
      .map(({ name }) => name)
      .join(' ');
  };
  assert.equal(ranWith(true, true), 'outer inner a after join');
  assert.equal(ranWith(true, false), 'outer inner b after join');
  assert.equal(ranWith(false, true), 'outer z join');
  const left = runThrough({ params: declared, steps: nested }, {}, { go: false, deep: true });
  assert.equal(left.step('inner').reason, 'BranchNotTaken');
  assert.equal(left.step('inner').outputs, undefined);
  assert.equal(left.step('a').message, 'condition outer is false');
});

test('a condition that its own when leaves out takes no branch, and those after go on', () => {
  const run = runThrough({ params, steps: fork({ when: 'run.name == "other"' }) }, {}, { go: true });
  assert.equal(
    run.phases(),
    'check:Skipped/WhenFalse a:Skipped/WhenFalse b:Skipped/WhenFalse c:Skipped/WhenFalse join:Succeeded/Completed',
  );
  assert.equal(run.step('c').message, 'condition check did not decide: when is false: run.name == "other"');
  assert.equal(run.status.phase, 'Succeeded');
});

test('a step of a branch that its own when leaves out is transparent', () => {
  const steps = fork().with(1, step('a', { when: 'false' }));
  const run = runThrough({ params, steps }, {}, { go: true });
  assert.equal(
    run.phases(),
    'check:Succeeded/Completed a:Skipped/WhenFalse b:Succeeded/Completed c:Skipped/BranchNotTaken join:Succeeded/Completed',
  );
});

test('a condition that is for failures takes no branch when nothing failed', () => {
  const run = runThrough({ params, steps: [step('work'), ...fork({ runIf: 'Failure' })] }, {}, { go: true });
  assert.equal(
    run.phases(),
    'work:Succeeded/Completed check:Skipped/NothingFailed a:Skipped/NothingFailed b:Skipped/NothingFailed ' +
      'c:Skipped/NothingFailed join:Succeeded/Completed',
  );
});

test('after a failure no condition decides, and a handler at the end runs all the same', () => {
  for (const runIf of ['Failure', 'Always']) {
    const steps = [
      step('work'),
      ...fork()
        .with(1, step('a', { runIf: 'Always' }))
        .with(3, step('c', { runIf })),
      step('notify', { runIf }),
    ];
    const run = runThrough({ params, steps }, { work: failed() }, { go: true });
    assert.equal(
      run.phases(),
      'work:Failed/ExitCode check:Skipped/UpstreamFailed a:Skipped/UpstreamFailed b:Skipped/UpstreamFailed ' +
        'c:Skipped/UpstreamFailed join:Skipped/UpstreamFailed notify:Succeeded/Completed',
    );
    assert.equal(run.step('c').message, 'condition check did not decide: Step work failed.');
    assert.equal(run.status.phase, 'Failed');
  }
});

test('a failure elsewhere keeps a condition from deciding', () => {
  const steps = [step('work'), step('slow', { dependsOn: [] }), ...fork({ dependsOn: ['slow'] })];
  const run = takeOn({ params, steps }, { go: true });
  run.at(0);
  run.at(1, { work: failed() });
  run.at(2, { slow: succeeded() });
  assert.equal(
    run.phases(),
    'work:Failed/ExitCode slow:Succeeded/Completed check:Skipped/RunFailing a:Skipped/RunFailing ' +
      'b:Skipped/RunFailing c:Skipped/RunFailing join:Skipped/RunFailing',
  );
});

test('a condition that can not be evaluated fails, and neither branch runs', () => {
  const cases: [source: string, message: string][] = [
    [
      'params.absent == "x"',
      'condition.if: params.absent is not there: the run gave no value and there is no default; guard it with has()',
    ],
    ['1 + 1', 'condition.if: must come to true or false, and came to 2'],
    ['"true"', 'condition.if: must come to true or false, and came to "true"'],
  ];
  for (const [source, message] of cases) {
    const run = runThrough({
      params: [{ name: 'absent' }],
      steps: [
        choose('check', source, [['a'], ['b']]),
        step('a', { runIf: 'Always' }),
        step('b'),
        step('join'),
        step('handler', { runIf: 'Failure' }),
      ],
    });
    assert.equal(
      run.phases(),
      'check:Failed/ExpressionError a:Skipped/ConditionFailed b:Skipped/ConditionFailed join:Skipped/UpstreamFailed ' +
        'handler:Succeeded/Completed',
    );
    assert.equal(run.step('check').message, message);
    assert.equal(run.step('check').attempt, undefined);
    assert.equal(run.status.message, `Step check failed: ${message}`);
  }
});

test('a condition whose failure is forgiven takes no branch, and the run goes on', () => {
  const run = runThrough({
    params: [{ name: 'absent' }],
    steps: [choose('check', 'params.absent', [['a']], { continueOnError: true }), step('a'), step('join')],
  });
  assert.equal(
    run.phases(),
    'check:Failed/ExpressionError a:Skipped/ConditionFailed join:Succeeded/Completed',
  );
  assert.equal(run.status.phase, 'Succeeded');
});

test('a failure in a branch skips the rest of it and the join, and not by mistake the other branch', () => {
  const run = runThrough({ params, steps: fork() }, { a: failed() }, { go: true });
  assert.equal(
    run.phases(),
    'check:Succeeded/Completed a:Failed/ExitCode b:Skipped/UpstreamFailed c:Skipped/BranchNotTaken join:Skipped/UpstreamFailed',
  );
});

test('runIf in a branch: by what failed on the branch taken, and never on the other', () => {
  const steps = [
    choose('check', 'params.go', [
      ['a', 'failure', 'always'],
      ['none', 'always-else'],
    ]),
    step('a'),
    step('failure', { runIf: 'Failure' }),
    step('always', { runIf: 'Always' }),
    step('none', { runIf: 'Failure' }),
    step('always-else', { runIf: 'Always' }),
  ];
  const phases = (go: boolean, results = {}) => runThrough({ params, steps }, results, { go }).phases();
  assert.equal(
    phases(true),
    'check:Succeeded/Completed a:Succeeded/Completed failure:Skipped/NothingFailed always:Succeeded/Completed ' +
      'none:Skipped/BranchNotTaken always-else:Skipped/BranchNotTaken',
  );
  assert.equal(
    phases(true, { a: failed() }),
    'check:Succeeded/Completed a:Failed/ExitCode failure:Succeeded/Completed always:Succeeded/Completed ' +
      'none:Skipped/BranchNotTaken always-else:Skipped/BranchNotTaken',
  );
  assert.equal(
    phases(false),
    'check:Succeeded/Completed a:Skipped/BranchNotTaken failure:Skipped/BranchNotTaken ' +
      'always:Skipped/BranchNotTaken none:Skipped/NothingFailed always-else:Succeeded/Completed',
  );
});

test('a condition for failures decides how a failure is handled', () => {
  const steps = [
    step('work'),
    choose('check', 'steps.work.phase == "Failed"', [['undo'], ['wonder']], { runIf: 'Failure' }),
    step('undo', { runIf: 'Failure' }),
    step('wonder', { runIf: 'Failure' }),
    step('next'),
  ];
  const run = runThrough({ steps }, { work: failed() });
  assert.equal(
    run.phases(),
    'work:Failed/ExitCode check:Succeeded/Completed undo:Succeeded/Completed wonder:Skipped/BranchNotTaken next:Skipped/UpstreamFailed',
  );
  assert.equal(run.status.phase, 'Failed');
});

test('what a condition decided can be read by those after it', () => {
  const steps = [
    ...fork(),
    withEnv('tell', { SIDE: '${{ steps.check.outputs.result }} ${{ steps.c.phase }}' }),
  ];
  const run = takeOn({ params, steps }, { go: true });
  run.at(0);
  run.at(1, { a: succeeded() });
  run.at(2, { b: succeeded() });
  assert.deepEqual(envOf(run.at(3, { join: succeeded() }).effects[0]), { SIDE: 'true Skipped' });
});
