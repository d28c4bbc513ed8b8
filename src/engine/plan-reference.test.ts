import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TerraformStep } from '../api/terraform-step.ts';
import { compile } from './graph.ts';
import { resolvers } from './model-shell.ts';

const terraform = (name: string, member: Partial<TerraformStep>, more = {}) => ({
  name,
  terraform: { project: 'api', action: 'plan', ...member },
  ...more,
});
const plan = terraform('plan', {});
const regional = terraform('plan', {}, { forEach: { items: ['us', 'eu'] } });
const apply = (member: Partial<TerraformStep>, more = {}) =>
  terraform('apply', { action: 'apply', ...member }, more);

function problemsOf(...steps: object[]): string[] {
  const compiled = compile({ state: 'Active', steps }, resolvers);
  return compiled.ok ? [] : compiled.problems.map(({ field, message }) => `${field} ${message}`);
}

test('a step carries out the plan of a step before it, or of one instance of it', () => {
  assert.deepEqual(problemsOf(plan, apply({ plan: 'plan' })), []);
  assert.deepEqual(problemsOf(regional, apply({ plan: 'plan[us]' })), []);
  const each = { forEach: { items: ['us', 'eu'] } };
  assert.deepEqual(problemsOf(regional, apply({ plan: 'plan[${{ item }}]' }, each)), []);
  assert.deepEqual(problemsOf(plan, apply({ plan: '${{ params.which }}' })), []);
});

const mistakes: [string, object[], RegExp][] = [
  [
    'a plan that is no step',
    [plan, apply({ plan: 'plam' })],
    /names plam, which is no step\. Did you mean plan\?/,
  ],
  [
    'a step that plans nothing',
    [{ name: 'plan', script: { bash: 'true' } }, apply({ plan: 'plan' })],
    /names plan, which makes no plan: name a step with terraform\.action: plan/,
  ],
  [
    'a plan that comes later',
    [apply({ plan: 'plan' }, { dependsOn: [] }), { ...plan, dependsOn: [] }],
    /which need not have ended when this step starts: add plan to dependsOn/,
  ],
  [
    'no instance where there are some',
    [regional, apply({ plan: 'plan' })],
    /one plan for each item: name one/,
  ],
  [
    'an instance where there are none',
    [plan, apply({ plan: 'plan[us]' })],
    /which has no forEach: write plan/,
  ],
  [
    'an instance that is not there',
    [regional, apply({ plan: 'plan[uk]' })],
    /plan\[uk\], and the items of plan are us, eu/,
  ],
  [
    'another project',
    [plan, apply({ plan: 'plan', project: 'web' })],
    /plans project api, and apply works on web/,
  ],
  [
    'no destruction',
    [plan, terraform('gone', { action: 'destroy', plan: 'plan' })],
    /plans no destruction: set destroy: true there/,
  ],
  [
    'a destruction',
    [terraform('plan', { destroy: true }), apply({ plan: 'plan' })],
    /plans a destruction: use action: destroy/,
  ],
  ['no name', [plan, apply({ plan: 'my plan' })], /is "my plan": write the name of a step/],
];
for (const [what, steps, message] of mistakes) {
  test(`refused as a plan: ${what}`, () => {
    const problems = problemsOf(...steps);
    assert.equal(problems.length, 1, problems.join('; '));
    assert.match(problems[0] ?? '', message);
    assert.match(problems[0] ?? '', /^spec\.steps\[[01]\]\.terraform\.plan /);
  });
}
