import type { Gate } from '../drawn.ts';
import type { Random } from '../random.ts';
import type { Place, StepKind } from './kind.ts';

/** A condition, whose branches are drawn after it. */
export const condition: StepKind = {
  alsoIn: [],
  weight: 3,
  draw: (random, place) => ({
    task: {},
    // What it decides is worked out from the run.
    expected: { phase: 'Succeeded', reason: 'Completed', attempts: 0 },
    condition: { decides: drawDecision(random, place), sizes: [random.int(0, 2), random.int(0, 2)] },
  }),
};

function drawDecision(random: Random, { before }: Place): Gate {
  if (before.length > 0 && random.chance(0.5)) return { kind: 'Succeeded', step: random.pick(before) };
  return { kind: random.pick(['True', 'False'] as const) };
}
