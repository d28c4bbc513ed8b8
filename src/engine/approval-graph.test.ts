import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { TerraformStep } from '../api/terraform-step.ts';
import { compile } from './graph.ts';
import { resolvers } from './model-shell.ts';
import { approvalOf, choose, SECOND, step, succeeded, takeOn, voted, voteOn } from './turns.ts';

const terraform = (name: string, member: Partial<TerraformStep>, more = {}) => ({
  name,
  terraform: { project: 'api', action: 'plan', ...member },
  ...more,
});
const plan = terraform('plan', {});
const apply = terraform('apply', { action: 'apply', plan: 'plan' });
const planned = terraform('plan', { destroy: true });
const destroy = (more = {}) => terraform('gone', { action: 'destroy', plan: 'plan' }, more);

function compiled(...steps: object[]) {
  return compile({ steps }, resolvers);
}
function problemsOf(...steps: object[]): string[] {
  const result = compiled(...steps);
  return result.ok ? [] : result.problems.map(({ field, message }) => `${field} ${message}`);
}
function approvedBy(name: string, ...steps: object[]) {
  const result = compiled(...steps);
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.graph.nodes.find((node) => node.name === name)?.approves;
}

suite('what is approved', () => {
  test('is the plan that is carried out behind the approval', () => {
    assert.deepEqual(approvedBy('ok', plan, approvalOf('ok'), apply), [{ step: 'plan' }]);
    assert.deepEqual(approvedBy('ok', approvalOf('ok'), plan, apply), []);
    assert.deepEqual(approvedBy('ok', plan, step('other'), approvalOf('ok'), step('last')), []);
  });

  test('is each of several plans, once', () => {
    const regions = terraform('plan', { project: 'api-${{ item }}' }, { forEach: { items: ['us', 'eu'] } });
    const of = (region: string) =>
      terraform(
        `apply-${region}`,
        { project: `api-${region}`, action: 'apply', plan: `plan[${region}]` },
        { dependsOn: ['ok'] },
      );
    assert.deepEqual(approvedBy('ok', regions, approvalOf('ok'), of('us'), of('eu')), [
      { step: 'plan', key: 'us' },
      { step: 'plan', key: 'eu' },
    ]);
  });

  test('is what the approval names', () => {
    const named = approvalOf('ok', { plan: 'plan' });
    assert.deepEqual(approvedBy('ok', plan, terraform('more', {}), named, apply), [{ step: 'plan' }]);
  });

  test('is any plan made before where only a run knows which one is carried out', () => {
    const any = terraform('apply', { action: 'apply', plan: '${{ run.name }}' });
    assert.deepEqual(approvedBy('ok', plan, terraform('more', {}), approvalOf('ok'), any), [
      { step: 'plan' },
      { step: 'more' },
    ]);
  });
});

suite('a run shows of what is approved', () => {
  const details = { add: 3, change: 1, destroy: 0, import: 0, replace: 0, outputs: 0 };
  const digest = (letter: string) => `sha256:${letter.repeat(64)}`;
  const changes = Array.from({ length: 12 }, (_, index) => ({
    address: `a.${index}`,
    action: 'create' as const,
  }));

  function planning(given: object) {
    const run = takeOn({ steps: [plan, approvalOf('ok'), apply] });
    run.at(0);
    run.at(SECOND, { plan: succeeded({ details: { terraform: { ...details, ...given } } }) });
    return run;
  }

  test('the digest, the counts and the first changes', () => {
    const { approval } = planning({ digest: digest('a'), changes }).step('ok');
    assert.equal(approval?.digest, digest('a'));
    const [only] = approval?.plans ?? [];
    assert.deepEqual([only?.step, only?.add, only?.change, only?.destroy], ['plan', 3, 1, 0]);
    assert.deepEqual([only?.changes?.length, only?.moreChanges], [10, 2]);
  });

  test('a digest over all where there are several plans', () => {
    const steps = [
      plan,
      terraform('web', {}),
      approvalOf('ok'),
      apply,
      terraform('apply-web', { action: 'apply', plan: 'web' }),
    ];
    const digestWith = (second: string) => {
      const run = takeOn({ steps });
      run.at(0);
      run.at(SECOND, { plan: succeeded({ details: { terraform: { ...details, digest: digest('a') } } }) });
      run.at(2 * SECOND, {
        web: succeeded({ details: { terraform: { ...details, digest: digest(second) } } }),
      });
      assert.equal(run.step('ok').approval?.plans?.length, 2);
      return run.step('ok').approval?.digest;
    };
    assert.match(digestWith('b') ?? '', /^sha256:[0-9a-f]{64}$/);
    assert.notEqual(digestWith('b'), digestWith('c'));
    assert.equal(digestWith('b'), digestWith('b'));
  });

  test('the plan of the new attempt, when the run is continued from there: votes on the old one are void', () => {
    const run = planning({ digest: digest('a') });
    const old = voteOn(run.step('ok'), 'jane');
    const no = voteOn(run.step('ok'), 'joe', { decision: 'Reject' });
    run.at(3 * SECOND, { ok: voted(no) });
    run.retry(10 * SECOND, 'plan');
    run.at(10 * SECOND);
    run.at(11 * SECOND, { plan: succeeded({ details: { terraform: { ...details, digest: digest('b') } } }) });
    run.at(12 * SECOND, { ok: voted(old) });
    assert.equal(run.step('ok').phase, 'Running');
    // Not even for an attempt that says that it is the same one.
    run.at(13 * SECOND, { ok: voted(voteOn(run.step('ok'), 'jane', { digest: digest('a'), round: 1 })) });
    assert.equal(run.step('ok').phase, 'Running');
    run.at(14 * SECOND, { ok: voted(voteOn(run.step('ok'), 'jane', { round: 1 })) });
    assert.equal(run.step('ok').phase, 'Succeeded');
  });

  test('votes are void as soon as another plan is shown', () => {
    const run = planning({ digest: digest('a') });
    const vote = voteOn(run.step('ok'), 'jane');
    const [row, ok, last] = run.status.steps ?? [];
    assert.ok(row && ok && last);
    run.write({
      ...run.status,
      steps: [{ ...row, terraform: { ...details, digest: digest('b') } }, ok, last],
    });
    run.at(3 * SECOND, { ok: voted(vote) });
    assert.deepEqual([run.step('ok').phase, run.step('ok').approval?.digest], ['Running', digest('b')]);
  });
});

suite('destroy needs an approval that nothing goes around', () => {
  const needs = /^spec\.steps\[\d\]\.terraform\.action destroy needs an approval between plan and gone/;
  const ways: [string, object[]][] = [
    ['none', [planned, destroy()]],
    ['one before the plan', [approvalOf('ok'), planned, destroy()]],
    ['one that it does not wait for', [planned, approvalOf('ok'), destroy({ dependsOn: ['plan'] })]],
    ['one that may be left out', [planned, approvalOf('ok', {}, { when: 'run.name == "x"' }), destroy()]],
    ['one in a branch', [planned, choose('is', 'true', [['ok']]), approvalOf('ok'), destroy()]],
    ['one for failures only', [planned, approvalOf('ok', {}, { runIf: 'Failure' }), destroy()]],
    [
      'one of another plan',
      [terraform('other', {}), planned, approvalOf('ok', { plan: 'other' }), destroy()],
    ],
    ['its rejection', [planned, approvalOf('ok', { onReject: ['gone'] }), destroy()]],
  ];
  for (const [what, steps] of ways) {
    test(`refused: ${what}`, () => assert.match(problemsOf(...steps).join('\n'), needs));
  }

  test('refused: one that it runs in spite of', () => {
    const problems = problemsOf(planned, approvalOf('ok'), destroy({ runIf: 'Always' }));
    assert.match(problems[0] ?? '', needs);
    assert.match(
      problems[1] ?? '',
      /\.runIf is Always, so that gone would make changes that ok has rejected/,
    );
  });

  test('refused: in finally', () => {
    const result = compile({ steps: [planned, approvalOf('ok')], finally: [destroy()] }, resolvers);
    assert.match(result.ok ? '' : (result.problems[0]?.message ?? ''), /destroy needs an approval/);
  });

  test('taken: between the two, also in the same branch, and behind branches that have joined', () => {
    assert.deepEqual(problemsOf(planned, approvalOf('ok'), destroy()), []);
    assert.deepEqual(problemsOf(planned, approvalOf('ok'), step('more'), destroy()), []);
    const branch = choose('is', 'true', [['ok', 'gone']]);
    assert.deepEqual(problemsOf(planned, branch, approvalOf('ok'), destroy()), []);
    const forked = [choose('is', 'true', [['a'], ['b']]), step('a'), step('b')];
    assert.deepEqual(problemsOf(planned, ...forked, approvalOf('ok'), destroy()), []);
  });
});

const mistakes: [string, object[], RegExp][] = [
  [
    'an approver of no kind',
    [approvalOf('ok', { approvers: ['jane'] })],
    /approvers\[0\] must be user:<name>, group:<name> or team:<name>/,
  ],
  ['nobody', [approvalOf('ok', { approvers: [] })], /approvers must be at least 1/],
  [
    'more than there are',
    [approvalOf('ok', { approvers: ['user:a', 'user:b'], required: 3 })],
    /required is 3, and only 2 people/,
  ],
  [
    'a plan that is no step',
    [plan, approvalOf('ok', { plan: 'plam' })],
    /plan names plam, which is no step\. Did you mean plan\?/,
  ],
  ['a plan that comes later', [approvalOf('ok', { plan: 'plan' }), plan], /need not have ended/],
  ['what makes no plan', [step('plan'), approvalOf('ok', { plan: 'plan' })], /makes no plan/],
  ['a retry', [approvalOf('ok', {}, { retry: { limit: 1 } })], /steps\[0\]\.retry is not for an approval/],
  [
    'a timeout of its step',
    [approvalOf('ok', {}, { timeout: '1h' })],
    /timeout is not for an approval: how long it waits is approval\.timeout/,
  ],
  [
    'forgiveness',
    [approvalOf('ok', {}, { continueOnError: true })],
    /continueOnError is not for an approval/,
  ],
  ['instances', [approvalOf('ok', {}, { forEach: { items: ['a'] } })], /forEach is not for an approval/],
  ['no duration', [approvalOf('ok', { timeout: '1 day' })], /approval\.timeout is "1 day"/],
  [
    'a rejection that is no step',
    [approvalOf('ok', { onReject: ['tel'] }), step('tell')],
    /approval\.onReject\[0\] names tel, .* Did you mean tell\?/,
  ],
  [
    'two fields of one name',
    [
      approvalOf('ok', {
        fields: [
          { name: 'a', type: 'string' },
          { name: 'a', type: 'string' },
        ],
      }),
    ],
    /fields\[1\]\.name is a, as is that of another/,
  ],
  [
    'a default of another type',
    [approvalOf('ok', { fields: [{ name: 'a', type: 'number', default: 'x' }] })],
    /fields\[0\]\.default must be a number/,
  ],
  [
    'a template that does not parse',
    [approvalOf('ok', { message: '${{ params.no }}' })],
    /approval\.message .*no/,
  ],
  [
    'an apply in finally of what was to be approved',
    [],
    /spec\.finally\[0\]\.terraform\.plan is carried out in finally, so that apply would make changes that ok has rejected/,
  ],
];
for (const [what, steps, message] of mistakes) {
  test(`refused in an approval: ${what}`, () => {
    const spec = steps.length > 0 ? { steps } : { steps: [plan, approvalOf('ok')], finally: [apply] };
    const result = compile(spec, resolvers);
    assert.match(
      result.ok ? 'taken' : result.problems.map(({ field, message }) => `${field} ${message}`).join('\n'),
      message,
    );
  });
}
