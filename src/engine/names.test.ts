import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { jobName } from './names.ts';

const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const letters = fc.constantFrom('a', 'b', '0', '9', '-');
const label = fc.string({ unit: letters, minLength: 1, maxLength: 63 }).filter((name) => LABEL.test(name));
const runName = fc.oneof(
  label,
  fc.array(label, { minLength: 2, maxLength: 4 }).map((labels) => labels.join('.')),
);
const attempt = fc.record({
  run: fc.record({ name: runName, uid: fc.uuid() }),
  step: label,
  attempt: fc.integer({ min: 1, max: 30 }),
});

test('a name tells the run, the step and the attempt', () => {
  assert.match(jobName({ name: 'deploy-8x7y6', uid: 'u-1' }, 'plan', 2), /^deploy-8x7y6-plan-[a-z0-9]{8}-2$/);
});

test('runs and steps that read the same have different names', () => {
  const uid = 'u-1';
  assert.notEqual(jobName({ name: 'a-b', uid }, 'c', 1), jobName({ name: 'a', uid: 'u-2' }, 'b-c', 1));
  assert.notEqual(jobName({ name: 'a', uid }, 'b', 1), jobName({ name: 'a', uid: 'u-2' }, 'b', 1));
});

test('a long name keeps as much of the run and of the step as there is room for', () => {
  const name = jobName({ name: 'r'.repeat(253), uid: 'u' }, 's'.repeat(63), 12);
  assert.equal(name.length, 63);
  assert.match(name, /^r{25}-s{25}-[a-z0-9]{8}-12$/);
  assert.match(jobName({ name: 'r'.repeat(253), uid: 'u' }, 'plan', 1), /^r{47}-plan-/);
  assert.match(jobName({ name: 'run', uid: 'u' }, 's'.repeat(63), 1), /^run-s{48}-/);
});

test('every name is a DNS label of at most 63 characters, and the same again', () => {
  fc.assert(
    fc.property(attempt, ({ run, step, attempt }) => {
      const name = jobName(run, step, attempt);
      assert.match(name, LABEL);
      assert.ok(name.length <= 63);
      assert.equal(jobName(run, step, attempt), name);
    }),
  );
});

test('no two attempts share a name', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(attempt, { selector: (one) => JSON.stringify(one), maxLength: 50 }),
      (attempts) => {
        const names = attempts.map(({ run, step, attempt }) => jobName(run, step, attempt));
        assert.equal(new Set(names).size, names.length);
      },
    ),
  );
});
