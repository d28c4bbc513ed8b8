import type { Step } from '../../../src/api/step.ts';
import type { Accident, DrawnWorkflow, Expected, Gate, Instances } from '../drawn.ts';
import type { DrawnApproval } from '../drawn-approval.ts';
import type { PersonId } from '../people.ts';
import type { Random } from '../random.ts';

/** What a kind adds to the name, order and conditions that all steps have. */
export interface DrawnTask {
  task: Partial<Step>;
  /** How its row ends. */
  expected: Expected;
  instances?: Instances;
  accident?: Accident;
  /** Of a condition: what it decides by, and how many steps to draw for `then` and for `else`. */
  condition?: { decides: Gate; sizes: readonly [number, number] };
  /** Of an approval: what people do about it. */
  approval?: DrawnApproval;
  /** Of an approval: how many steps to draw for what follows a rejection. */
  followUp?: number;
  /** Of an http step: whether a request may come twice with the same key. */
  repeats?: boolean;
  /** Workflows that it runs. */
  children?: readonly DrawnWorkflow[];
}

/** Where a step is drawn. */
export interface Place {
  /** Of the step; no two steps of a campaign that are of one workflow share one. */
  name: string;
  workflow: string;
  /** Who starts the runs. */
  starter: PersonId;
  /** Names of the steps that have ended before it begins. */
  before: readonly string[];
}

/** One sort of thing that a step can do. */
export interface StepKind {
  /** How often it is drawn, against the others. */
  weight: number;
  /** Where it may stand besides the main list. */
  alsoIn: readonly ('Branch' | 'Finally')[];
  draw(random: Random, place: Place): DrawnTask;
}
