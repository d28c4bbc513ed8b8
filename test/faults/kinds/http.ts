import type { DrawnTask, StepKind } from './kind.ts';
import { retry } from './script.ts';

/** Parameter that says where the receiver is. */
export const RECEIVER = 'receiver';

/** Calls the receiver, which fails the first attempts if it is drawn so. */
export const http: StepKind = {
  alsoIn: ['Branch', 'Finally'],
  weight: 3,
  draw(random, { name }) {
    const value = `${name}-${random.int(1, 999)}`;
    const repeats = random.chance(0.5);
    // One that must not be repeated is not tried again either: each of its attempts may be interrupted.
    const failures = repeats ? random.int(0, 1) : 0;
    const statuses = [...Array.from({ length: failures }, () => 500), random.chance(0.85) ? 200 : 404];
    const isGood = statuses.at(-1) === 200;
    const query = new URLSearchParams({
      status: statuses.join(','),
      delay: String(random.int(0, 1500)),
      value,
    });
    return {
      task: {
        http: {
          url: `\${{ params.${RECEIVER} }}/\${{ run.name }}/${name}?${query.toString()}`,
          method: repeats ? 'PUT' : 'POST',
          outputs: { value: 'response.json.value' },
        },
        ...retry(failures),
      },
      expected: {
        ...(isGood
          ? { phase: 'Succeeded', reason: 'Completed', outputs: { value } }
          : { phase: 'Failed', reason: 'UnexpectedStatus' }),
        attempts: failures + 1,
        earlier: 'UnexpectedStatus',
        ...(repeats ? {} : { interruptible: true }),
      },
      repeats,
    } satisfies DrawnTask;
  },
};
