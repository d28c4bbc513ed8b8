import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { checkContinued, checkOutcome, planOf } from './drawn-outcome.ts';
import {
  ALL,
  chaos,
  type Drawn,
  type DrawnWorkflow,
  drawnWorkflow,
  graphOf,
  placesOf,
} from './drawn-workflow.ts';
import { executeRun, type ModelOptions, type Trace } from './model-shell.ts';

const RUNS = Number(process.env['PROPERTY_RUNS'] ?? 400);

function execute(workflow: DrawnWorkflow, more: Omit<ModelOptions, 'graph' | 'plan'> = {}): Trace {
  const drawn = new Map(placesOf(workflow).map((place) => [place.name, place.drawn]));
  const plan = (row: string, attempt: number) => {
    const step = drawn.get(row.replace(/\[.*$/, ''));
    assert.ok(step);
    return planOf(step, row, attempt);
  };
  return executeRun({ graph: graphOf(workflow), plan, ...more });
}

test('every step waits for what the list suggests or for what it names', () => {
  fc.assert(
    fc.property(drawnWorkflow(['Succeeds']), (workflow) => {
      const waits = new Map(placesOf(workflow).map(({ name, waits }) => [name, waits.toSorted()]));
      for (const { name, waitsFor } of graphOf(workflow).nodes) {
        assert.deepEqual(waitsFor.toSorted(), waits.get(name), name);
      }
    }),
    { numRuns: RUNS },
  );
});

test('every run ends as the semantics have it, whatever happens to the shell', () => {
  fc.assert(
    fc.property(drawnWorkflow(ALL), chaos, (workflow, chaos) =>
      checkOutcome(workflow, execute(workflow, { chaos })),
    ),
    { numRuns: RUNS },
  );
});

/** When a run is cancelled, in milliseconds since its start, at most twice. */
const cancels = fc.array(fc.nat(300_000), { maxLength: 2 });

test('every run that is cancelled or continued ends as the semantics have it', () => {
  fc.assert(
    fc.property(
      drawnWorkflow(ALL),
      chaos,
      cancels,
      fc.option(fc.nat(20), { nil: undefined }),
      (workflow, chaos, cancels, at) => {
        const main = placesOf(workflow).filter((place) => !place.finally);
        const step = at === undefined ? undefined : main[at % main.length]?.name;
        const trace = execute(workflow, { chaos, cancels, retry: step === undefined ? 'failed' : { step } });
        checkOutcome(workflow, trace);
        checkContinued(workflow, trace, step);
      },
    ),
    { numRuns: RUNS },
  );
});

/** Without what depends on the time: steps beside each other, and instances that are not begun after a failure. */
const pipeline = drawnWorkflow(['Succeeds', 'Succeeds', 'Fails', 'Lost', 'Stuck']).map((workflow) => ({
  ...workflow,
  timeout: undefined,
  main: workflow.main.map(inLine),
  last: workflow.last.map(inLine),
}));

function inLine({ forEach, fork, onReject, ...step }: Drawn): Drawn {
  return {
    ...step,
    waitsFor: undefined,
    forEach: forEach && { ...forEach, failFast: false },
    ...(onReject ? { onReject: onReject.map(inLine) } : {}),
    fork: fork && { ...fork, yes: fork.yes.map(inLine), no: fork.no.map(inLine) },
  };
}

test('crashes and late sight change nothing about what runs in a pipeline', () => {
  const outcomeOf = ({ status }: Trace) =>
    status.steps?.map(({ name, phase, reason, attempt }) => ({ name, phase, reason, attempt }));
  fc.assert(
    fc.property(pipeline, chaos, (workflow, chaos) => {
      assert.deepEqual(outcomeOf(execute(workflow, { chaos })), outcomeOf(execute(workflow)));
    }),
    { numRuns: RUNS },
  );
});

test('without trouble, the status is written at most twice for each attempt', () => {
  fc.assert(
    fc.property(drawnWorkflow(['Succeeds', 'Succeeds', 'Fails', 'Lost']), (workflow) => {
      const { status, writes, started } = execute({ ...workflow, timeout: undefined });
      // The first is that of the accepted run; a run in which nothing starts is written once more.
      const asked = (status.steps ?? []).filter(
        ({ type, attempt }) => type === 'approval' && attempt !== undefined,
      );
      const attempts = started.length + asked.length;
      assert.ok(writes.length <= 1 + Math.max(1, 2 * attempts), `${writes.length} for ${attempts}`);
      assert.equal(status.finishedAt !== undefined, true);
    }),
    { numRuns: RUNS },
  );
});

test('a pipeline of n steps that all succeed is written n + 1 times', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), (count) => {
      const step: Drawn = {
        kind: 'Job',
        waitsFor: undefined,
        runIf: undefined,
        when: 'None',
        badTemplate: false,
        retries: 0,
        forgiven: false,
        plans: [{ kind: 'Succeeds', startsAfter: 300, runsFor: 200 }],
        list: undefined,
        forEach: undefined,
        fork: undefined,
      };
      const main = Array.from({ length: count }, () => step);
      const { writes } = execute({ main, last: [], timeout: undefined, reversed: false });
      // With that of the accepted run, which the shell writes together with the first.
      assert.equal(writes.length, count + 2);
    }),
    { numRuns: 20 },
  );
});
