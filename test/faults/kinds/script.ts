import type { Step } from '../../../src/api/step.ts';
import { type Outcome, OUTCOMES_VARIABLE } from '../../cluster/simulated-pod.ts';
import type { Expected } from '../drawn.ts';
import type { Random } from '../random.ts';
import type { Place, StepKind } from './kind.ts';

/** Longer than any campaign. */
const FOR_EVER = { duration: 3600 };

const anywhere = { alsoIn: ['Branch', 'Finally'] } as const;

/** A script whose simulated pods end so, one outcome for each attempt. */
const script = (outcomes: readonly Partial<Outcome>[], more: Partial<Step> = {}): Partial<Step> => ({
  script: { bash: 'true', env: { [OUTCOMES_VARIABLE]: JSON.stringify(outcomes) } },
  ...more,
});

/** Retries follow soon, so that a campaign ends. */
export const retry = (limit: number): Partial<Step> => ({
  retry: { limit, backoff: { initial: '200ms', factor: 1 } },
});

const duration = (random: Random) => random.int(5, 80) / 100;

interface Behaviour {
  outcome: Partial<Outcome>;
  expected: Expected;
}

export function working(random: Random, { name }: Pick<Place, 'name'>): Behaviour {
  const value = `${name}-${random.int(1, 999)}`;
  return {
    outcome: { duration: duration(random), message: `value=${value}` },
    expected: { phase: 'Succeeded', reason: 'Completed', attempts: 1, outputs: { value } },
  };
}

export function failing(random: Random): Behaviour {
  return {
    outcome: { duration: duration(random), exitCode: random.int(1, 9) },
    expected: { phase: 'Failed', reason: 'ExitCode', attempts: 1 },
  };
}

export const works: StepKind = {
  ...anywhere,
  weight: 12,
  draw(random, place) {
    const { outcome, expected } = working(random, place);
    return { task: script([outcome]), expected };
  },
};

export const fails: StepKind = {
  ...anywhere,
  weight: 1,
  draw(random) {
    const limit = random.int(0, 1);
    const { outcome, expected } = failing(random);
    return {
      task: script([outcome], retry(limit)),
      expected: { ...expected, attempts: limit + 1, earlier: 'ExitCode' },
    };
  },
};

export const recovers: StepKind = {
  ...anywhere,
  weight: 3,
  draw(random, place) {
    const failures = random.int(1, 2);
    const { outcome, expected } = working(random, place);
    const before = Array.from({ length: failures }, () => failing(random).outcome);
    return {
      task: script([...before, outcome], retry(failures + random.int(0, 1))),
      expected: { ...expected, attempts: failures + 1, earlier: 'ExitCode' },
    };
  },
};

/** Turned away by the node before it starts: tried again without counting. */
export const evicted: StepKind = {
  ...anywhere,
  weight: 1,
  draw(random, place) {
    const evictions = random.int(1, 2);
    const { outcome, expected } = working(random, place);
    const before = Array.from({ length: evictions }, () => ({ evicted: true }));
    return {
      task: script([...before, outcome], retry(0)),
      expected: { ...expected, attempts: evictions + 1, earlier: 'Evicted' },
    };
  },
};

export const overruns: StepKind = {
  ...anywhere,
  weight: 1,
  draw: () => ({
    task: script([FOR_EVER], { timeout: '1s' }),
    expected: { phase: 'Failed', reason: 'DeadlineExceeded', attempts: 1 },
  }),
};

/** Somebody deletes its pod or Job while it runs. */
export const deleted: StepKind = {
  ...anywhere,
  weight: 2,
  draw: (random) => ({
    task: script([FOR_EVER]),
    expected: { phase: 'Failed', reason: 'Lost', attempts: 1 },
    accident: random.pick(['PodDeleted', 'JobDeleted']),
  }),
};

/** It names a parameter that the run does not give. */
export const misspelt: StepKind = {
  ...anywhere,
  weight: 1,
  draw: () => ({
    task: { script: { bash: 'true', env: { BAD: '${{ params.absent }}' } } },
    expected: { phase: 'Failed', reason: 'ExpressionError', attempts: 1 },
  }),
};

/** Goes on until the run is ended. Every workflow that is ended so has one; it is not drawn like the others. */
export const hangs: StepKind = {
  alsoIn: [],
  weight: 0,
  draw: () => ({
    task: script([FOR_EVER]),
    expected: { phase: 'Failed', reason: 'RunTimedOut', attempts: 1 },
  }),
};
