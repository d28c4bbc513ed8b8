import type { Step } from '../../../src/api/step.ts';
import { OUTCOMES_VARIABLE } from '../../cluster/simulated-pod.ts';
import type { Expected } from '../drawn.ts';
import type { DrawnTask, StepKind } from './kind.ts';
import { failing, working } from './script.ts';

/** A step with `forEach`, of which one instance may fail. */
export const loop: StepKind = {
  alsoIn: ['Branch', 'Finally'],
  weight: 3,
  draw(random, place) {
    const keys = Array.from({ length: random.int(0, 4) }, (_, index) => `i${index}`);
    const bad = random.chance(0.3) ? random.int(0, 3) : -1;
    const drawn = keys.map((_, index) => (index === bad ? failing(random) : working(random, place)));
    const failFast = random.chance(0.5);
    const outcomes = drawn.map(({ outcome }) => JSON.stringify([outcome]));
    const task: Partial<Step> = {
      forEach: {
        ...(random.chance(0.5) ? { items: keys } : { expression: JSON.stringify(keys) }),
        ...(random.chance(0.5) ? { maxParallel: random.int(1, 2) } : {}),
        ...(failFast ? {} : { failFast }),
      },
      script: {
        bash: 'true',
        env: { [OUTCOMES_VARIABLE]: `\${{ [${outcomes.map(quoted).join(', ')}][index] }}` },
      },
    };
    const expected = drawn.map((one) => one.expected);
    return {
      task,
      expected: expectedOf(expected),
      instances: { keys, expected, failFast },
    } satisfies DrawnTask;
  },
};

/** Text of JSON as a literal of CEL. */
const quoted = (json: string) => `'${json}'`;

function expectedOf(instances: readonly Expected[]): Expected {
  if (instances.length === 0) return { phase: 'Skipped', reason: 'NoItems', attempts: 0 };
  if (instances.some(({ phase }) => phase === 'Failed')) {
    return { phase: 'Failed', reason: 'InstancesFailed', attempts: 0 };
  }
  return { phase: 'Succeeded', reason: 'Completed', attempts: 0 };
}
