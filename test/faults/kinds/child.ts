import { type DrawnStep, type DrawnWorkflow, sharedSpec } from '../drawn.ts';
import type { Random } from '../random.ts';
import type { Place, StepKind } from './kind.ts';
import { fails, works } from './script.ts';

const SUCCEEDS = 0.75;

/** Runs another workflow, of one step. */
export const child: StepKind = {
  alsoIn: ['Branch', 'Finally'],
  weight: 2,
  draw(random, place) {
    const workflow = drawChild(random, place);
    const [step] = workflow.steps;
    const { phase = 'Failed', outputs } = step?.expected ?? {};
    return {
      task: { workflow: { name: workflow.name } },
      expected:
        phase === 'Succeeded'
          ? { phase, reason: 'Completed', attempts: 1, ...(outputs ? { outputs } : {}) }
          : { phase: 'Failed', reason: 'ChildFailed', attempts: 1 },
      children: [workflow],
    };
  },
};

function drawChild(random: Random, place: Place): DrawnWorkflow {
  const name = `${place.workflow}-${place.name}`;
  const kind = random.chance(SUCCEEDS) ? works : fails;
  const { task, expected } = kind.draw(random, { ...place, name: 'only' });
  const step: DrawnStep = {
    name: 'only',
    isFinal: false,
    waitsFor: [],
    runIf: 'Success',
    forgiven: false,
    gate: { kind: 'None' },
    reads: undefined,
    expected,
    spec: { name: 'only', ...task },
  };
  const outputs = expected.phase === 'Succeeded' ? { outputs: { value: 'steps.only.outputs.value' } } : {};
  return {
    name,
    steps: [step],
    startedBy: place.starter,
    children: [],
    spec: { ...sharedSpec, steps: [step.spec], ...outputs },
  };
}
