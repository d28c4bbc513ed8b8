import * as fc from 'fast-check';
import { compile } from './graph.ts';
import type { Graph, StepKind } from './model.ts';
import type { Plan } from './model-cluster.ts';
import { type Chaos, resolvers } from './model-shell.ts';

// For tests: random workflows, and how each attempt of their steps goes.

/** A step as the generators know it: what it says, and how each of its attempts goes. */
export interface Drawn {
  kind: Exclude<StepKind, 'Inline'>;
  /** Numbers from which the steps that it waits for are chosen; undefined for what the list suggests. */
  waitsFor: number[] | undefined;
  runIf: 'Success' | 'Failure' | 'Always' | undefined;
  when: 'None' | 'True' | 'False' | 'FirstSucceeded' | 'Error';
  badTemplate: boolean;
  retries: number;
  forgiven: boolean;
  /** One after the other for its attempts and instances, over and over. */
  plans: Plan[];
  /** The output `list` of each attempt that succeeds. */
  list: string[] | number | undefined;
  forEach: Each | undefined;
  /** What makes it a condition, and its branches. */
  fork: Fork | undefined;
  /** Of an approval: the steps that follow its rejection, if the workflow says so. */
  onReject?: Drawn[];
}

interface Each {
  /** Items of its own, or the list that the first step that it waits for gave. */
  from: 'Own' | 'First';
  items: string[];
  keyed: boolean;
  maxParallel: number | undefined;
  failFast: boolean;
}

interface Fork {
  decides: 'True' | 'False' | 'FirstSucceeded' | 'Error';
  /** The steps of `then`, and of `else`. */
  yes: Drawn[];
  no: Drawn[];
}

export interface DrawnWorkflow {
  main: Drawn[];
  last: Drawn[];
  timeout: string | undefined;
  /** Whether the list of steps is turned round, so that steps wait for later ones. */
  reversed: boolean;
}

/** A step in its place. */
export interface Placed {
  name: string;
  drawn: Drawn;
  waits: string[];
  /** Whether it names what it waits for. */
  explicit: boolean;
  branch?: { condition: string; side: 'then' | 'else' };
  finally: boolean;
}

const oftenNo = fc.boolean().chain((draw) => (draw ? fc.boolean() : fc.constant(false)));
const rarely = oftenNo.chain((draw) => (draw ? fc.boolean() : fc.constant(false)));
const seldom = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  oftenNo.chain((draw) => (draw ? arbitrary : fc.constant(undefined)));

const MEMBERS: Record<Drawn['kind'], readonly Plan['kind'][]> = {
  Job: ['Succeeds', 'Fails', 'Lost', 'Stuck', 'Blocked', 'Hangs', 'IgnoresStop'],
  Call: ['Succeeds', 'Fails', 'Lost', 'Hangs'],
  Run: ['Succeeds', 'Fails', 'Blocked', 'Hangs'],
  // Is approved, is rejected, or nobody votes.
  Approval: ['Succeeds', 'Fails', 'Hangs'],
};

const planOf = (kinds: Plan['kind'][]) =>
  fc.record({
    kind: fc.constantFrom(...kinds),
    startsAfter: fc.integer({ min: 0, max: 30_000 }),
    runsFor: fc.integer({ min: 0, max: 60_000 }),
    stopsAfter: fc.integer({ min: 0, max: 400_000 }),
  });

const items = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { maxLength: 4 });

const each: fc.Arbitrary<Each> = fc.record({
  from: fc.constantFrom('Own', 'First'),
  items,
  keyed: fc.boolean(),
  maxParallel: fc.constantFrom(undefined, 1, 2),
  failFast: fc.boolean(),
});

const common = (kinds: Plan['kind'][]) =>
  fc
    .record({
      kind: fc.constantFrom<Drawn['kind'][]>('Job', 'Job', 'Job', 'Run', 'Call', 'Approval'),
      waitsFor: fc.option(fc.array(fc.nat(50), { maxLength: 3 }), { nil: undefined, freq: 2 }),
      runIf: fc.constantFrom(undefined, undefined, 'Success', 'Failure', 'Always'),
      when: fc.constantFrom<Drawn['when'][]>(
        ...(['None', 'None', 'None', 'None', 'True', 'False', 'FirstSucceeded', 'Error'] as const),
      ),
      badTemplate: rarely,
      retries: fc.nat(2),
      forgiven: oftenNo,
      plans: fc.array(planOf(kinds), { minLength: 1, maxLength: 4 }),
      list: fc.oneof({ weight: 6, arbitrary: items }, fc.constant(undefined), fc.constant(7)),
    })
    .map((step) => ({ ...step, plans: step.plans.map((plan) => fitting(step.kind, plan)) }))
    .map((step) => (step.kind === 'Approval' ? { ...step, ...PEOPLE } : step));

/** Nothing that people say is tried again, forgiven or a list. */
const PEOPLE = { retries: 0, forgiven: false, list: undefined };

/** What a Job can do and others can not becomes a failure. A call is short: it is made anew after each crash. */
function fitting(kind: Drawn['kind'], plan: Plan): Plan {
  const possible = MEMBERS[kind].includes(plan.kind) ? plan : { ...plan, kind: 'Fails' as const };
  return kind === 'Call' ? { ...possible, startsAfter: 0, runsFor: plan.runsFor % 1000 } : possible;
}

const task = (kinds: Plan['kind'][]): fc.Arbitrary<Drawn> =>
  fc.tuple(common(kinds), seldom(each)).map(([step, forEach]) => ({
    ...step,
    forEach: step.kind === 'Approval' ? undefined : forEach,
    fork: undefined,
  }));

/** In `finally` nobody is asked. */
const lastTask = (kinds: Plan['kind'][]): fc.Arbitrary<Drawn> =>
  task(kinds).filter(({ kind }) => kind !== 'Approval');

const drawn = (kinds: Plan['kind'][], depth: number): fc.Arbitrary<Drawn> => {
  const branch = fc.array(
    fc.constant(0).chain(() => drawn(kinds, depth - 1)),
    { maxLength: 2 },
  );
  const fork = fc.record({
    decides: fc.constantFrom('True', 'False', 'True', 'False', 'FirstSucceeded', 'Error'),
    yes: branch,
    no: branch,
  });
  const condition = fc
    .tuple(common(kinds), fork)
    .map(([step, fork]): Drawn => ({ ...step, kind: 'Job', forEach: undefined, fork, badTemplate: false }));
  const approval = fc.tuple(common(kinds), branch).map(([{ plans, ...step }, onReject]): Drawn => {
    const fitted = plans.map((plan) => fitting('Approval', plan));
    return {
      ...step,
      ...PEOPLE,
      kind: 'Approval',
      plans: fitted,
      forEach: undefined,
      fork: undefined,
      onReject,
    };
  });
  return depth === 0
    ? task(kinds)
    : fc.oneof({ weight: 6, arbitrary: task(kinds) }, { weight: 2, arbitrary: condition }, approval);
};

/** Workflows whose attempts go in one of these ways. */
export const drawnWorkflow = (kinds: Plan['kind'][]): fc.Arbitrary<DrawnWorkflow> =>
  fc.record({
    main: fc.array(drawn(kinds, 2), { minLength: 1, maxLength: 6 }),
    last: fc.array(lastTask(kinds), { maxLength: 3 }),
    timeout: fc.option(fc.constantFrom('20s', '1m', '3m', '10m'), { nil: undefined }),
    reversed: fc.boolean(),
  });

export const chaos: fc.Arbitrary<Chaos[]> = fc.array(
  fc.record({
    crash: fc.constantFrom('None', 'None', 'BeforeWrite', 'BeforeEffects', 'AmidEffects'),
    lag: fc.constantFrom(0, 0, 700, 4000),
  }),
  { maxLength: 40 },
);

export const ALL: Plan['kind'][] = [
  ...(['Succeeds', 'Succeeds', 'Succeeds'] as const),
  ...(['Fails', 'Lost', 'Stuck', 'Blocked', 'Hangs', 'IgnoresStop'] as const),
];

/** All steps in the order of the list: a condition, then its branches; `finally` last. */
export function placesOf({ main, last }: DrawnWorkflow): Placed[] {
  const placed: Placed[] = [];

  /** Puts a list in place of which the first step waits for some, and gives what its last step ends with. */
  function putList(list: Drawn[], first: string[], branch?: Placed['branch']): string[] {
    return list.reduce((before, step) => putStep(step, before, branch), first);
  }

  function putStep(drawn: Drawn, before: string[], branch: Placed['branch']): string[] {
    const name = `main-${placed.length}`;
    const { waitsFor, fork } = drawn;
    const waits = waitsFor ? chosen(waitsFor, branch) : before;
    const step = { name, drawn, waits, explicit: waitsFor !== undefined, finally: false };
    placed.push(branch ? { ...step, branch } : step);
    // What comes behind an approval has nothing to do with what follows its rejection.
    putList(drawn.onReject ?? [], [name], { condition: name, side: 'else' });
    if (!fork) return [name];
    const yes = putList(fork.yes, [name], { condition: name, side: 'then' });
    const no = putList(fork.no, [name], { condition: name, side: 'else' });
    return [...new Set([...yes, ...no])];
  }

  /** What a step names; in a branch its condition, or a step of the branch before it, is among that. */
  function chosen(numbers: number[], branch: Placed['branch']): string[] {
    const names = placed.map(({ name }) => name);
    const pick = (from: string[]) => (at: number) => from.slice(at % from.length).slice(0, 1);
    if (!branch) return [...new Set(numbers.flatMap(pick(names)))];
    const [first = 0, ...rest] = numbers;
    const within = placed.filter((other) => isWithin(other, branch)).map(({ name }) => name);
    return [...new Set([...pick([branch.condition, ...within])(first), ...rest.flatMap(pick(names))])];
  }

  const isWithin = (step: Placed, branch: { condition: string; side: string }): boolean => {
    const { branch: own } = step;
    if (!own) return false;
    if (own.condition === branch.condition) return own.side === branch.side;
    const condition = placed.find(({ name }) => name === own.condition);
    return condition !== undefined && isWithin(condition, branch);
  };

  putList(main, []);
  return [...placed, ...last.map(placeLast)];
}

function placeLast(drawn: Drawn, index: number): Placed {
  const waits = index === 0 ? [] : [`last-${index - 1}`];
  return { name: `last-${index}`, drawn, waits, explicit: false, finally: true };
}

export function graphOf(workflow: DrawnWorkflow): Graph {
  const result = compile(specOf(workflow), resolvers);
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.graph;
}

function specOf(workflow: DrawnWorkflow): object {
  const { timeout, reversed } = workflow;
  const places = placesOf(workflow);
  const steps = places
    .filter((step) => !step.finally)
    .map((step) => ({
      ...specOfStep(step, places),
      ...(step.explicit || reversed ? { dependsOn: step.waits } : {}),
      ...(step.drawn.runIf ? { runIf: step.drawn.runIf } : {}),
    }));
  return {
    params: [{ name: 'absent' }],
    steps: reversed ? steps.reverse() : steps,
    finally: places.filter((step) => step.finally).map((step) => specOfStep(step, places)),
    podDefaults: { pendingTimeout: '1m' },
    ...(timeout ? { timeout } : {}),
  };
}

function specOfStep(step: Placed, places: Placed[]): object {
  const { name, drawn } = step;
  // The first step of the workflow is before all of `finally`.
  const [first] = step.finally ? ['main-0'] : step.waits;
  return {
    name,
    ...(drawn.kind === 'Approval' ? {} : conductOf(drawn)),
    ...(drawn.fork ? conditionOf(drawn.fork, name, first, places) : taskOf(step, places)),
    ...forEachOf(drawn, first),
    ...whenOf(drawn, first),
  };
}

const conductOf = ({ retries, forgiven }: Drawn): object => ({
  timeout: '2m',
  retry: { limit: retries, backoff: { initial: '1s', factor: 1 } },
  continueOnError: forgiven,
});

function conditionOf({ decides }: Fork, name: string, first: string | undefined, places: Placed[]): object {
  const onSide = (side: string) =>
    places
      .filter(({ branch }) => branch?.condition === name && branch.side === side)
      .map((step) => step.name);
  const source = { True: 'true', False: 'false', Error: 'params.absent', FirstSucceeded: '' }[decides];
  const branches = ['then', 'else'].map((side) => [side, onSide(side)]);
  return { condition: { if: source || succeeded(first), ...Object.fromEntries(branches) } };
}

const succeeded = (first: string | undefined) =>
  first === undefined ? 'true' : `steps["${first}"].phase == "Succeeded"`;

function taskOf({ name, drawn, finally: isFinally }: Placed, places: Placed[]): object {
  const phase = isFinally ? 'run.phase' : '"none"';
  const item = drawn.forEach ? 'string(item) + " " + string(index)' : '"none"';
  // What it says beside that is of no matter, as long as it is there to be seen.
  const seen = `\${{ ${phase} }}/\${{ ${item} }}${drawn.badTemplate ? '/${{ params.absent }}' : ''}`;
  switch (drawn.kind) {
    case 'Job':
      return { script: { bash: 'true', env: { SEEN: seen } } };
    case 'Call':
      return { http: { url: `https://example.com/${seen}` } };
    case 'Run':
      return { workflow: { name: 'other', params: { seen } } };
    case 'Approval':
      return {
        approval: { approvers: ['team:drawn'], timeout: '2m', message: seen, ...onRejectOf(name, places) },
      };
    default:
      return drawn.kind satisfies never;
  }
}

function onRejectOf(name: string, places: Placed[]): object {
  const onReject = places.filter(({ branch }) => branch?.condition === name).map((place) => place.name);
  return onReject.length > 0 ? { onReject } : {};
}

function forEachOf({ forEach }: Drawn, first: string | undefined): object {
  if (!forEach) return {};
  const { from, items, keyed, maxParallel, failFast } = forEach;
  // dyn() keeps from being refused what is a mistake only of a step that runs for each item.
  const list = first === undefined ? '[]' : `dyn(steps["${first}"].outputs).list`;
  return {
    forEach: {
      ...(from === 'Own' ? { items } : { expression: list }),
      ...(keyed ? { key: '"k-" + item' } : {}),
      ...(maxParallel === undefined ? {} : { maxParallel }),
      failFast,
    },
  };
}

function whenOf({ when }: Drawn, first: string | undefined): object {
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
      return { when: succeeded(first) };
    default:
      return when satisfies never;
  }
}
