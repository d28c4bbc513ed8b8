import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parseDuration } from '../api/common.ts';
import { type StepStatus, workflowRunStatus } from '../api/workflow-run.ts';
import { compile } from './graph.ts';
import type { Graph } from './model.ts';
import { type Chaos, executeRun, type Plan, resolvers, type Trace } from './model-shell.ts';

const RUNS = Number(process.env['PROPERTY_RUNS'] ?? 400);

/** A step as the generators know it: what it says, and how each of its attempts goes. */
interface Drawn {
  /** Places, before its own, of the steps that it waits for; undefined for the step before. */
  waitsFor: number[] | undefined;
  runIf: 'Success' | 'Failure' | 'Always' | undefined;
  when: 'None' | 'True' | 'False' | 'FirstSucceeded' | 'Error';
  badTemplate: boolean;
  retries: number;
  forgiven: boolean;
  /** One for each attempt, the last for all that follow. */
  plans: Plan[];
}

const oftenNo = fc.boolean().chain((draw) => (draw ? fc.boolean() : fc.constant(false)));

const planOf = (kinds: Plan['kind'][]) =>
  fc.record({
    kind: fc.constantFrom(...kinds),
    startsAfter: fc.integer({ min: 0, max: 30_000 }),
    runsFor: fc.integer({ min: 0, max: 60_000 }),
  });

const drawnStep = (kinds: Plan['kind'][], place: number): fc.Arbitrary<Drawn> =>
  fc.record({
    waitsFor: fc.option(fc.uniqueArray(fc.nat(Math.max(0, place - 1)), { maxLength: Math.min(3, place) }), {
      nil: undefined,
    }),
    runIf: fc.constantFrom(undefined, 'Success', 'Failure', 'Always'),
    when: fc.constantFrom<Drawn['when'][]>(
      'None',
      'None',
      'None',
      'True',
      'False',
      'FirstSucceeded',
      'Error',
    ),
    badTemplate: oftenNo.chain((draw) => (draw ? fc.boolean() : fc.constant(false))),
    retries: fc.nat(2),
    forgiven: oftenNo,
    plans: fc.array(planOf(kinds), { minLength: 1, maxLength: 4 }),
  });

const drawnSteps = (kinds: Plan['kind'][], min: number, max: number) =>
  fc.integer({ min, max }).chain((count) => {
    const steps = Array.from({ length: count }, (_, place) => drawnStep(kinds, place));
    return fc.tuple(...steps);
  });

interface DrawnWorkflow {
  main: Drawn[];
  last: Drawn[];
  timeout: string | undefined;
  /** Whether the list of steps is turned round, so that steps wait for later ones. */
  reversed: boolean;
}

const drawnWorkflow = (kinds: Plan['kind'][]): fc.Arbitrary<DrawnWorkflow> =>
  fc.record({
    main: drawnSteps(kinds, 1, 8),
    last: drawnSteps(kinds, 0, 3),
    timeout: fc.option(fc.constantFrom('20s', '1m', '3m', '10m'), { nil: undefined }),
    reversed: fc.boolean(),
  });

const chaos: fc.Arbitrary<Chaos[]> = fc.array(
  fc.record({
    crash: fc.constantFrom('None', 'None', 'BeforeWrite', 'BeforeEffects', 'AmidEffects'),
    lag: fc.constantFrom(0, 0, 700, 4000),
  }),
  { maxLength: 40 },
);

const ALL: Plan['kind'][] = [
  'Succeeds',
  'Succeeds',
  'Fails',
  'Lost',
  'Stuck',
  'Blocked',
  'Hangs',
  'IgnoresStop',
];

const mainName = (place: number) => `main-${place}`;
const lastName = (place: number) => `last-${place}`;

/** Places that a step waits for, once "the step before" is spelled out. */
const waitsOf = ({ waitsFor }: Drawn, place: number): number[] =>
  waitsFor ?? (place === 0 ? [] : [place - 1]);

function specOf({ main, last, timeout, reversed }: DrawnWorkflow): object {
  const steps = main.map((step, place) => ({
    ...commonOf(step, mainName(place), mainName(waitsOf(step, place)[0] ?? -1)),
    ...(step.waitsFor || reversed ? { dependsOn: waitsOf(step, place).map(mainName) } : {}),
    ...(step.runIf ? { runIf: step.runIf } : {}),
  }));
  return {
    steps: reversed ? steps.reverse() : steps,
    finally: last.map((step, place) => commonOf(step, lastName(place), mainName(0))),
    podDefaults: { pendingTimeout: '1m' },
    ...(timeout ? { timeout } : {}),
  };
}

function commonOf(step: Drawn, name: string, first: string): object {
  const phase = name.startsWith('last') ? { PHASE: '${{ run.phase }}' } : {};
  return {
    name,
    timeout: '2m',
    retry: { limit: step.retries, backoff: { initial: '1s', factor: 1 } },
    continueOnError: step.forgiven,
    script: { bash: 'true', env: { ...phase, ...(step.badTemplate ? { BAD: '${{ params.absent }}' } : {}) } },
    ...whenOf(step, first),
  };
}

function whenOf({ when }: Drawn, first: string): object {
  switch (when) {
    case 'None':
      return {};
    case 'True':
      return { when: 'run.name == "run"' };
    case 'False':
      return { when: 'run.name == "other"' };
    case 'Error':
      return { when: 'params.absent == "x"' };
    case 'FirstSucceeded':
      return first === mainName(-1) ? {} : { when: `steps["${first}"].phase == "Succeeded"` };
    default:
      return when satisfies never;
  }
}

function compiled(workflow: DrawnWorkflow): Graph {
  const result = compile({ params: [{ name: 'absent' }], ...specOf(workflow) }, resolvers);
  if (!result.ok) assert.fail(JSON.stringify(result.problems));
  return result.graph;
}

function execute(workflow: DrawnWorkflow, chaos: Chaos[] = []): Trace {
  const drawn = drawnByName(workflow);
  const plan = (name: string, attempt: number): Plan => {
    const plans = drawn.get(name)?.plans ?? [];
    return plans[Math.min(attempt, plans.length) - 1] ?? { kind: 'Succeeds', startsAfter: 0, runsFor: 0 };
  };
  return executeRun({ graph: compiled(workflow), plan, chaos });
}

function drawnByName({ main, last }: DrawnWorkflow): Map<string, Drawn> {
  return new Map([
    ...main.map((step, place) => [mainName(place), step] as const),
    ...last.map((step, place) => [lastName(place), step] as const),
  ]);
}

/** How a step ends that is let in, as its plans have it. */
function expectedEnd(step: Drawn): { phase: StepStatus['phase']; attempt: number } {
  let free = 0;
  for (let attempt = 1; ; attempt += 1) {
    const kind = step.plans[Math.min(attempt, step.plans.length) - 1]?.kind;
    if (kind === 'Succeeds') return { phase: 'Succeeded', attempt };
    // What may still be at work is not tried again.
    if (kind === 'IgnoresStop') return { phase: 'Failed', attempt };
    if (kind === 'Lost' && free < 5) free += 1;
    else if (attempt - free > step.retries) return { phase: 'Failed', attempt };
  }
}

/** All that comes before each main step. */
function ancestorsIn({ main }: DrawnWorkflow): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const [place, step] of main.entries()) {
    const parents = waitsOf(step, place).map(mainName);
    found.set(mainName(place), new Set(parents.flatMap((name) => [name, ...(found.get(name) ?? [])])));
  }
  return found;
}

/** Judges the outcome of a run by the semantics, without asking the engine. */
function checkOutcome(workflow: DrawnWorkflow, { status, started, writes }: Trace): void {
  const drawn = drawnByName(workflow);
  const steps = new Map((status.steps ?? []).map((step) => [step.name, step]));
  const failed = (name: string) => steps.get(name)?.phase === 'Failed' && !drawn.get(name)?.forgiven;
  const ancestors = ancestorsIn(workflow);
  const timedOut = status.timedOutAt !== undefined;

  assert.equal(steps.size, drawn.size);
  for (const written of writes) workflowRunStatus.parse(written);
  for (const [place, step] of workflow.main.entries()) {
    const name = mainName(place);
    const blamed = [...(ancestors.get(name) ?? [])].some(failed);
    const first = waitsOf(step, place)[0];
    const firstPhase = first === undefined ? undefined : steps.get(mainName(first))?.phase;
    checkStep(step, steps.get(name), {
      blamed,
      firstPhase,
      timedOut,
      anyFailed: [...steps.keys()].some(failed),
    });
  }
  for (const [place, step] of workflow.last.entries()) {
    const firstPhase = steps.get(mainName(0))?.phase;
    checkEntered(step, steps.get(lastName(place)), { firstPhase, timedOut: false });
  }
  const outcome = timedOut ? 'TimedOut' : [...steps.keys()].some(failed) ? 'Failed' : 'Succeeded';
  assert.equal(status.phase, outcome);
  assert.equal(status.progress, `${steps.size}/${steps.size}`);
  assert.equal(status.conditions?.[0]?.status, outcome === 'Succeeded' ? 'True' : 'False');
  checkTimeout(workflow, status.startedAt ?? '', [...steps.values()], timedOut);
  for (const { step, env, written } of started)
    if (step.startsWith('last')) checkSeenPhase(drawn, env, written);
}

interface Circumstances {
  /** Whether a step before it failed. */
  blamed: boolean;
  /** Whether any step failed. */
  anyFailed: boolean;
  /** How the first step that it waits for ended. */
  firstPhase: StepStatus['phase'] | undefined;
  timedOut: boolean;
}

function checkStep(drawn: Drawn, step: StepStatus | undefined, at: Circumstances): void {
  const runIf = drawn.runIf ?? 'Success';
  switch (step?.phase === 'Skipped' ? (step.reason ?? '') : 'Entered') {
    case 'UpstreamFailed':
      return assert.ok(runIf === 'Success' && at.blamed);
    case 'RunFailing':
      return assert.ok(runIf === 'Success' && !at.blamed && at.anyFailed);
    case 'NothingFailed':
      return assert.ok(runIf === 'Failure' && !at.blamed);
    case 'RunTimedOut':
      return assert.ok(at.timedOut);
    default:
      assert.ok(runIf === 'Always' || (runIf === 'Failure') === at.blamed, `${step?.name} must not run`);
      return checkEntered(drawn, step, at);
  }
}

/** Judges a step that its `runIf` lets in. */
function checkEntered(
  drawn: Drawn,
  step: StepStatus | undefined,
  { firstPhase, timedOut }: Pick<Circumstances, 'firstPhase' | 'timedOut'>,
): void {
  const isFalse =
    drawn.when === 'False' ||
    (drawn.when === 'FirstSucceeded' && firstPhase !== undefined && firstPhase !== 'Succeeded');
  if (isFalse) return assert.deepEqual([step?.phase, step?.reason], ['Skipped', 'WhenFalse']);
  if (drawn.when === 'Error' || drawn.badTemplate) {
    assert.deepEqual([step?.phase, step?.reason, step?.attempts], ['Failed', 'ExpressionError', undefined]);
    assert.match(step?.message ?? '', /params\.absent is not there/);
    return;
  }
  if (timedOut && step?.reason === 'RunTimedOut') return;
  const expected = expectedEnd(drawn);
  assert.deepEqual({ phase: step?.phase, attempt: step?.attempt }, expected, `${step?.name}`);
  assert.equal(step?.attempts?.length ?? 0, expected.attempt - 1);
}

/** A run times out when, and only when, a main step has not ended by then. */
function checkTimeout(
  { timeout }: DrawnWorkflow,
  startedAt: string,
  steps: StepStatus[],
  timedOut: boolean,
): void {
  const ms = timeout === undefined ? undefined : parseDuration(timeout);
  const ends = steps
    .filter(({ name }) => name.startsWith('main'))
    .map((step) => Date.parse(step.finishedAt ?? ''));
  const latest = Math.max(...ends) - Date.parse(startedAt);
  assert.equal(timedOut && ms === undefined, false);
  // Ends are known to the second, and shown at its end.
  if (ms !== undefined && latest > ms + 1000) assert.ok(timedOut);
  // What is seen lies up to 4 s behind, and stopping takes until after the timeout.
  if (ms !== undefined && latest < ms - 5000) assert.ok(!timedOut);
}

/** A step of `finally` sees the phase that the run would have if nothing else failed. */
function checkSeenPhase(
  drawn: Map<string, Drawn>,
  env: Record<string, string>,
  written: Trace['status'],
): void {
  const failures = written.steps?.filter(
    ({ name, phase }) => phase === 'Failed' && !drawn.get(name)?.forgiven,
  );
  const expected = written.timedOutAt ? 'TimedOut' : failures?.length ? 'Failed' : 'Succeeded';
  assert.equal(env['PHASE'], expected);
}

test('every run ends as the semantics have it, whatever happens to the shell', () => {
  fc.assert(
    fc.property(drawnWorkflow(ALL), chaos, (workflow, chaos) =>
      checkOutcome(workflow, execute(workflow, chaos)),
    ),
    { numRuns: RUNS, examples: [] },
  );
});

test('crashes and late sight change nothing about what runs in a pipeline', () => {
  const pipeline = drawnWorkflow(['Succeeds', 'Succeeds', 'Fails', 'Lost', 'Stuck']).map((workflow) => ({
    ...workflow,
    timeout: undefined,
    main: workflow.main.map((step) => ({ ...step, waitsFor: undefined })),
  }));
  const outcomeOf = ({ status }: Trace) =>
    status.steps?.map(({ name, phase, reason, attempt }) => ({ name, phase, reason, attempt }));
  fc.assert(
    fc.property(pipeline, chaos, (workflow, chaos) => {
      assert.deepEqual(outcomeOf(execute(workflow, chaos)), outcomeOf(execute(workflow)));
    }),
    { numRuns: RUNS },
  );
});

test('without trouble, the status is written at most twice for each attempt', () => {
  fc.assert(
    fc.property(drawnWorkflow(['Succeeds', 'Succeeds', 'Fails', 'Lost']), (workflow) => {
      const { status, writes, started } = execute({ ...workflow, timeout: undefined });
      // The first is that of the accepted run; a run in which nothing starts is written once more.
      assert.ok(
        writes.length <= 1 + Math.max(1, 2 * started.length),
        `${writes.length} for ${started.length}`,
      );
      assert.equal(status.finishedAt !== undefined, true);
    }),
    { numRuns: RUNS },
  );
});

test('a pipeline of n steps that all succeed is written n + 1 times', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), (count) => {
      const step: Drawn = {
        waitsFor: undefined,
        runIf: undefined,
        when: 'None',
        badTemplate: false,
        retries: 0,
        forgiven: false,
        plans: [{ kind: 'Succeeds', startsAfter: 300, runsFor: 200 }],
      };
      const main = Array.from({ length: count }, () => step);
      const { writes } = execute({ main, last: [], timeout: undefined, reversed: false });
      // With that of the accepted run, which the shell writes together with the first.
      assert.equal(writes.length, count + 2);
    }),
    { numRuns: 20 },
  );
});
