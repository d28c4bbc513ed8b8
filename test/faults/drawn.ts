import type { Scalar } from '../../src/api/common.ts';
import type { Step } from '../../src/api/step.ts';
import type { Spec } from '../kit/kit.ts';
import type { DrawnApproval } from './drawn-approval.ts';
import type { PersonId } from './people.ts';

/** How a row of the status ends once its step is let in, by what the step was drawn to do. */
export interface Expected {
  phase: 'Succeeded' | 'Failed' | 'Skipped';
  reason: string;
  /** How many attempts it takes. */
  attempts: number;
  /** Reason of the attempts before the last. */
  earlier?: string;
  outputs?: Readonly<Record<string, Scalar>>;
  /** Whether it fails instead, as Interrupted, when the operator ends while it is under way. */
  interruptible?: true;
}

/** What a step with `forEach` is taken apart into. */
export interface Instances {
  keys: readonly string[];
  /** How each ends, in the order of the keys. */
  expected: readonly Expected[];
  failFast: boolean;
}

/** What somebody does to the objects of a step while it runs. */
export type Accident = 'PodDeleted' | 'JobDeleted';

/** The `when` of a step, or the `if` of a condition. */
export type Gate =
  | { kind: 'None' | 'True' | 'False' | 'Error' }
  /** True if that step succeeded. */
  | { kind: 'Succeeded'; step: string };

export interface Branch {
  condition: string;
  side: 'then' | 'else';
}

/** One step: what it says, and what becomes of it. */
export interface DrawnStep {
  name: string;
  /** Whether it belongs to `finally`. */
  isFinal: boolean;
  /** What it waits for, also where the workflow leaves it to the order of the list. */
  waitsFor: readonly string[];
  runIf: 'Success' | 'Failure' | 'Always';
  /** `continueOnError` */
  forgiven: boolean;
  gate: Gate;
  /** The step whose output `value` it gets in the variable `SEEN`, or else 'none'. */
  reads: string | undefined;
  expected: Expected;
  instances?: Instances;
  accident?: Accident;
  /** Of an approval: what it asks, and what people do about it. How it ends follows from their votes. */
  approval?: DrawnApproval;
  /** The branch of a condition that it is in; `else` is also what follows the rejection of an approval. */
  branch?: Branch;
  /** Of a condition: what it decides by. */
  decides?: Gate;
  /** Of an http step: whether a request may come twice with the same key. */
  repeats?: boolean;
  spec: Step;
}

export type DrawnConcurrency =
  | { policy: 'Queue' | 'Forbid' | 'Replace'; limit?: never }
  | { policy: 'Allow'; limit: number };

export interface DrawnWorkflow {
  name: string;
  /** All steps in the order of the list, those of `finally` last. */
  steps: readonly DrawnStep[];
  /** What ends a run of which one step does not end: its own timeout, or somebody who cancels it. */
  endedBy?: 'Timeout' | 'Cancel';
  /** How somebody continues a run of it, once, when it has ended: from what failed, or from a step. */
  continued?: string;
  /** Which runs of it may be active at a time: one, unless it says how many. Absent: all. */
  concurrency?: DrawnConcurrency;
  /** Who starts its runs. */
  startedBy: PersonId;
  /** Workflows that its steps run. */
  children: readonly DrawnWorkflow[];
  spec: Spec;
}

/** How many runs of it may be active at a time. */
export const mostActive = ({ concurrency }: DrawnWorkflow): number =>
  concurrency ? (concurrency.limit ?? 1) : Number.POSITIVE_INFINITY;

/** All steps before one, in any number of hops. */
export function ancestors(steps: readonly Pick<DrawnStep, 'name' | 'waitsFor'>[], name: string): Set<string> {
  const byName = new Map(steps.map((step) => [step.name, step]));
  const found = new Set<string>();
  const open = [...(byName.get(name)?.waitsFor ?? [])];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (found.has(next)) continue;
    found.add(next);
    open.push(...(byName.get(next)?.waitsFor ?? []));
  }
  return found;
}

/** Steps of the main graph. */
export const mainSteps = (steps: readonly DrawnStep[]) => steps.filter(({ isFinal }) => !isFinal);

/** What all workflows have in common. Times that nothing is drawn to exceed are longer than clocks are ever stepped. */
export const sharedSpec = {
  params: [{ name: 'absent', type: 'string' }],
  podDefaults: { pendingTimeout: '2h' },
  retention: { succeeded: 10_000, failed: 10_000 },
} satisfies Partial<Spec>;
