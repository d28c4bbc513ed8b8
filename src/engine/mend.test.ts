import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import type { StepStatus, WorkflowRunStatus } from '../api/workflow-run.ts';
import { decide } from './decide.ts';
import { compile } from './graph.ts';
import { mendStatus } from './mend.ts';
import { resolvers } from './model-shell.ts';
import { step, succeeded, T0, takeOn, time } from './turns.ts';

const spec = {
  steps: [step('a'), step('many', { forEach: { items: ['x', 'y'] } }), step('b')],
  finally: [step('z')],
};
const compiled = compile(spec, resolvers);
assert.ok(compiled.ok);
const { graph } = compiled;
const mend = (status: WorkflowRunStatus) => mendStatus(graph, status, T0 + 9);

/** A run whose first step is under way. */
function begun() {
  const run = takeOn(spec);
  run.at(0);
  return run.status;
}

/** One whose instances are under way. */
function apart() {
  const run = takeOn(spec);
  run.at(0);
  run.at(1, { a: succeeded() });
  return run.status;
}

const row = (status: WorkflowRunStatus, name: string) => status.steps?.find((one) => one.name === name);
const with1 = (status: WorkflowRunStatus, name: string, change: (row: StepStatus) => StepStatus) => ({
  ...status,
  steps: (status.steps ?? []).map((one) => (one.name === name ? change(one) : one)),
});

suite('the status of a run', () => {
  test('stays the same object where nothing is wrong with it', () => {
    for (const status of [begun(), apart()]) assert.equal(mend(status), status);
  });

  test('gets the rows back that are not there, in their order', () => {
    const { steps: _steps, ...bare } = begun();
    assert.deepEqual(
      mend(bare).steps?.map(({ name, phase }) => `${name} ${phase}`),
      ['a Pending', 'many Pending', 'b Pending', 'z Pending'],
    );
  });

  test('loses rows that belong to no step', () => {
    const status = apart();
    const stranger: StepStatus = { name: 'stranger', type: 'script', phase: 'Running', attempt: 1 };
    const twice = { ...status, steps: [stranger, ...(status.steps ?? []), { ...stranger, name: 'b[0]' }] };
    assert.deepEqual(mend(twice).steps, status.steps);
  });

  test('that says Succeeded, and does not say when, goes on', () => {
    const { startedAt: _startedAt, ...status } = begun();
    const mended = mend({ ...status, phase: 'Succeeded' });
    assert.equal(mended.phase, 'Running');
    assert.equal(mended.startedAt, time(9));
  });
});

suite('the row of a running step', () => {
  test('that lost its Job is begun again under the same name', () => {
    const status = begun();
    const broken = with1(status, 'a', ({ job: _job, ...rest }) => rest);
    const mended = mend(broken);
    assert.equal(row(mended, 'a')?.phase, 'Pending');
    const input = { graph, resolvers, observed: new Map(), now: T0 + 10 };
    const run = {
      name: 'r',
      namespace: 'ns',
      uid: 'uid',
      workflow: 'w',
      params: {},
      trigger: { type: 'Manual' },
    } as const;
    const decision = decide({ ...input, run, status: mended });
    assert.equal(row(decision.status, 'a')?.job?.name, row(status, 'a')?.job?.name);
  });

  test('that lost the number of its attempt, or its type, is begun again', () => {
    const status = begun();
    const nameless = with1(status, 'a', ({ attempt: _attempt, ...rest }) => rest);
    assert.equal(row(mend(nameless), 'a')?.phase, 'Pending');
    assert.equal(row(mend(with1(status, 'a', (one) => ({ ...one, type: 'http' }))), 'a')?.type, 'script');
  });

  test('at a later attempt begins that one again', () => {
    const late = with1(begun(), 'a', ({ job: _job, ...rest }) => ({ ...rest, attempt: 3 }));
    assert.deepEqual(row(mend(late), 'a'), { name: 'a', type: 'script', phase: 'Pending', attempt: 2 });
  });

  test('that waits for its next attempt has no Job, and is left alone', () => {
    const status = with1(begun(), 'a', ({ job: _job, ...rest }) => ({ ...rest, retryAt: time(100) }));
    assert.equal(mend(status), status);
  });

  test('whose instances are gone is taken apart anew', () => {
    const status = apart();
    const broken = { ...status, steps: (status.steps ?? []).filter(({ name }) => !name.includes('[')) };
    assert.equal(row(mend(broken), 'many')?.phase, 'Pending');
  });
});

test('whatever is taken away from a status, what is mended is whole, and mending again changes nothing', () => {
  const fields: (keyof StepStatus)[] = ['attempt', 'job', 'startedAt', 'attemptStartedAt', 'reason'];
  const damage = fc.record({
    apart: fc.boolean(),
    rows: fc.array(fc.nat(6)),
    fields: fc.array(fc.tuple(fc.nat(6), fc.constantFrom(...fields))),
  });
  fc.assert(
    fc.property(damage, ({ apart: isApart, rows, fields: lost }) => {
      const status = isApart ? apart() : begun();
      const steps = (status.steps ?? []).map((one, index) => {
        const gone = new Set<string>(lost.filter(([at]) => at === index).map(([, field]) => field));
        return Object.fromEntries(Object.entries(one).filter(([field]) => !gone.has(field))) as StepStatus;
      });
      const broken = { ...status, steps: steps.filter((_, index) => !rows.includes(index)) };
      const mended = mend(broken);
      assert.equal(mend(mended), mended);
      const known = (mended.steps ?? []).map(({ name }) => name).filter((name) => !name.includes('['));
      assert.deepEqual(known, ['a', 'many', 'b', 'z']);
    }),
  );
});
