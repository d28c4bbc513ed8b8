import type { FinallyStep, Step } from '../../src/api/step.ts';
import {
  ancestors,
  type Branch,
  type DrawnConcurrency,
  type DrawnStep,
  type DrawnWorkflow,
  type Gate,
  mainSteps,
  sharedSpec,
} from './drawn.ts';
import { kinds } from './kinds/index.ts';
import type { DrawnTask, StepKind } from './kinds/kind.ts';
import { hangs } from './kinds/script.ts';
import { EVERYBODY, type PersonId } from './people.ts';
import type { Random } from './random.ts';

/** Ends a run of which one step does not end. */
const TIMEOUT = '4s';
/** How many of the workflows that could have their runs continued. */
const CONTINUED = 0.5;
const SIDES = ['then', 'else'] as const;

/** A workflow in the making. */
interface Draft {
  name: string;
  random: Random;
  starter: PersonId;
  steps: DrawnStep[];
  children: DrawnWorkflow[];
  /** What a step waits for that leaves it to the order of the list. */
  ends: readonly string[];
}

/** Where the next step goes. */
interface Slot {
  kind: StepKind;
  isFinal: boolean;
  branch?: Branch;
}

/** Draws a workflow. The same random source gives the same one. */
export function drawWorkflow(random: Random, name: string): DrawnWorkflow {
  const starter = random.pick(EVERYBODY);
  const draft: Draft = { name, random, starter, steps: [], children: [], ends: [] };
  const endedBy = random.chance(0.16) ? random.pick(['Timeout', 'Cancel'] as const) : undefined;
  const count = random.int(1, 6);
  const hanging = endedBy ? random.int(0, count - 1) : -1;
  for (let index = 0; index < count; index++) {
    addStep(draft, { kind: index === hanging ? hangs : random.weighted(kinds), isFinal: false });
  }
  draft.ends = [];
  for (let left = random.int(0, 2); left > 0; left--) {
    addStep(draft, {
      kind: random.weighted(kinds.filter(({ alsoIn }) => alsoIn.includes('Finally'))),
      isFinal: true,
    });
  }
  const concurrency = drawConcurrency(random);
  const { steps, children } = draft;
  const drawn = {
    name,
    steps,
    children,
    startedBy: starter,
    ...(concurrency ? { concurrency } : {}),
    ...(endedBy ? { endedBy } : {}),
    ...(endedBy || concurrency || !random.chance(CONTINUED)
      ? {}
      : { continued: drawContinued(random, steps) }),
  };
  return { ...drawn, spec: specOf(drawn) };
}

function specOf({ steps, concurrency, endedBy }: Omit<DrawnWorkflow, 'spec'>): DrawnWorkflow['spec'] {
  const last = steps.filter(({ isFinal }) => isFinal).map(({ spec }): FinallyStep => spec);
  return {
    ...sharedSpec,
    steps: mainSteps(steps).map(({ spec }) => spec),
    ...(last.length > 0 ? { finally: last } : {}),
    ...(endedBy === 'Timeout' ? { timeout: TIMEOUT } : {}),
    ...(concurrency ? { concurrency } : {}),
  };
}

/** From what failed, or from any step. */
function drawContinued(random: Random, steps: readonly DrawnStep[]): string {
  return random.chance(0.5) ? 'failed' : random.pick(mainSteps(steps)).name;
}

function drawConcurrency(random: Random): DrawnConcurrency | undefined {
  const { policy } = random.weighted([
    { weight: 8, policy: 'None' },
    { weight: 1, policy: 'Queue' },
    { weight: 1, policy: 'Forbid' },
    { weight: 1, policy: 'Replace' },
    { weight: 1, policy: 'Allow' },
  ] as const);
  switch (policy) {
    case 'None':
      return undefined;
    case 'Allow':
      return { policy, limit: random.int(1, 2) };
    default:
      return { policy };
  }
}

/** Adds one step, and after a condition those of its branches. */
function addStep(draft: Draft, slot: Slot): void {
  const { random, steps } = draft;
  const name = `${slot.isFinal ? 'f' : 's'}${steps.length}`;
  const order = slot.isFinal || slot.branch ? implied(draft) : drawOrder(draft);
  const before = [...ancestors([...steps, { name, waitsFor: order.waitsFor }], name)];
  const readable = steps.filter((other) => isReadable(other, slot, before)).map((other) => other.name);
  const drawn = slot.kind.draw(random, { name, workflow: draft.name, starter: draft.starter, before });
  const { condition, followUp = 0, children = [], task: _task, ...rest } = drawn;
  const step = {
    ...rest,
    name,
    isFinal: slot.isFinal,
    waitsFor: order.waitsFor,
    runIf: slot.isFinal ? 'Always' : drawRunIf(random),
    // Whether it goes on without an approval, `onReject` says.
    forgiven: random.chance(0.4) && !drawn.approval,
    gate: drawGate(random, before),
    reads: readable.length > 0 && random.chance(0.5) ? random.pick(readable) : undefined,
    ...(slot.branch ? { branch: slot.branch } : {}),
    ...(condition ? { decides: condition.decides } : {}),
  } as const;
  const placed: DrawnStep = { ...step, spec: { ...specOfStep(step, drawn), ...order.spelled } };
  steps.push(placed);
  draft.children.push(...children);
  draft.ends = [name];
  if (condition) addBranches(draft, placed, condition);
  if (followUp > 0) addFollowUp(draft, placed, followUp);
}

/** The outputs of a loop are a list, and have no member `value` to ask for; those of an approval are its fields. */
const isReadable = (
  { name, instances, approval }: DrawnStep,
  slot: Slot,
  before: readonly string[],
): boolean => !instances && approval?.fields.length !== 0 && (slot.isFinal || before.includes(name));

/** Each branch is a small pipeline behind the condition; what comes next waits for the end of both. */
function addBranches(
  draft: Draft,
  { name, spec }: DrawnStep,
  { decides, sizes }: NonNullable<DrawnTask['condition']>,
): void {
  const inBranch = kinds.filter(({ alsoIn }) => alsoIn.includes('Branch'));
  const ends: string[] = [];
  const sides = SIDES.map((side, index): [string, string[]] => {
    draft.ends = [name];
    const steps: string[] = [];
    for (let left = sizes[index] ?? 0; left > 0; left--) {
      const kind = draft.random.weighted(inBranch);
      addStep(draft, { kind, isFinal: false, branch: { condition: name, side } });
      steps.push(...draft.ends);
    }
    ends.push(...draft.ends);
    return [side, steps];
  });
  spec.condition = { if: expressionOf(decides), ...Object.fromEntries(sides) };
  draft.ends = [...new Set(ends)];
}

/** What follows a rejection is a small pipeline of its own; what comes next waits for the approval alone. */
function addFollowUp(draft: Draft, { name, spec }: DrawnStep, size: number): void {
  const inBranch = kinds.filter(({ alsoIn }) => alsoIn.includes('Branch'));
  const onReject: string[] = [];
  for (let left = size; left > 0; left--) {
    const kind = draft.random.weighted(inBranch);
    addStep(draft, { kind, isFinal: false, branch: { condition: name, side: 'else' } });
    onReject.push(...draft.ends);
  }
  if (spec.approval) spec.approval = { ...spec.approval, onReject };
  draft.ends = [name];
}

interface Order {
  waitsFor: readonly string[];
  /** How the workflow says so, unless it leaves it to the order of the list. */
  spelled: Pick<Step, 'dependsOn'>;
}

const implied = ({ ends }: Draft): Order => ({ waitsFor: ends, spelled: {} });

function drawOrder(draft: Draft): Order {
  const { random, steps } = draft;
  if (steps.length === 0 || random.chance(0.4)) return implied(draft);
  const names = steps.map(({ name }) => name);
  const count = Math.min(names.length, random.int(0, 3));
  const waitsFor = [...new Set(Array.from({ length: count }, () => random.pick(names)))];
  return { waitsFor, spelled: { dependsOn: waitsFor } };
}

const drawRunIf = (random: Random): DrawnStep['runIf'] =>
  random.weighted([
    { weight: 8, runIf: 'Success' },
    { weight: 1, runIf: 'Failure' },
    { weight: 1, runIf: 'Always' },
  ] as const).runIf;

function drawGate(random: Random, before: readonly string[]): Gate {
  const { kind } = random.weighted([
    { weight: 20, kind: 'None' },
    { weight: 2, kind: 'True' },
    { weight: 2, kind: 'False' },
    { weight: 1, kind: 'Error' },
    { weight: 2, kind: 'Succeeded' },
  ] as const);
  if (kind !== 'Succeeded') return { kind };
  return before.length === 0 ? { kind: 'None' } : { kind, step: random.pick(before) };
}

function expressionOf(gate: Gate): string {
  switch (gate.kind) {
    case 'None':
    case 'True':
      return 'run.name != ""';
    case 'False':
      return 'run.name == ""';
    case 'Error':
      return 'params.absent == "x"';
    case 'Succeeded':
      return `steps["${gate.step}"].phase == "Succeeded"`;
    default:
      return gate satisfies never;
  }
}

function specOfStep(step: Omit<DrawnStep, 'spec'>, { task }: DrawnTask): Step {
  const { name, isFinal, runIf, forgiven, gate, reads } = step;
  // Of a step that gives no value it is known that it gives none, which would be refused.
  const output = `dyn(steps["${reads}"].outputs).value`;
  const env = {
    ...task.script?.env,
    ...(reads === undefined ? {} : { SEEN: `\${{ has(${output}) ? ${output} : "none" }}` }),
    ...(isFinal ? { PHASE: '${{ run.phase }}' } : {}),
  };
  return {
    name,
    ...task,
    ...(task.script ? { script: { ...task.script, env } } : {}),
    ...(runIf === 'Success' || isFinal ? {} : { runIf }),
    ...(forgiven ? { continueOnError: true } : {}),
    ...(gate.kind === 'None' ? {} : { when: expressionOf(gate) }),
  };
}
