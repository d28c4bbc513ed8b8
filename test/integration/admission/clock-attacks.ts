import type { Attack } from './attack.ts';
import type { Scene } from './scene.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

// The clock of the API server is right, by definition. Those of the operator are not.

/** Does something while the clocks of the replicas are wrong by so many milliseconds, and puts them right again. */
async function whileWrong<T>(
  scene: Scene,
  clocks: { leader: number; other: number },
  work: () => Promise<T>,
): Promise<T> {
  await scene.setClocks(clocks);
  try {
    return await work();
  } finally {
    await scene.setClocks({ leader: 0, other: 0 });
  }
}

const both = (aheadMs: number) => ({ leader: aheadMs, other: aheadMs });

/** What becomes of a run on which jane votes. */
async function votedOn(scene: Scene, run: string): Promise<string> {
  const said = await scene.annotates('jane', run, 'approve=approval');
  await scene.is(run, ({ status }) => status?.finishedAt !== undefined);
  return `${said}; ${await scene.stands(run)}`;
}

const wholeLife = (words: string, aheadMs: number): Attack => ({
  title: `the clocks of both replicas are ${words}: a run is started, and an approver approves it`,
  attempt: (scene) =>
    whileWrong(scene, both(aheadMs), async () => votedOn(scene, await scene.waiting('gate'))),
});

const heardBy = (words: string, aheadMs: number): Attack => ({
  title: `the clock of the replica that does not lead is ${words}: it hears of a run, and of the vote on it`,
  attempt: (scene) =>
    whileWrong(scene, { leader: 0, other: aheadMs }, () =>
      scene.through('other', async () => votedOn(scene, await scene.waiting('gate'))),
    ),
});

export const CLOCK_ATTACKS: Attack[] = [
  wholeLife('five minutes ahead', 5 * MINUTE_MS),
  wholeLife('five minutes behind', -5 * MINUTE_MS),
  wholeLife('three hours ahead', 3 * HOUR_MS),
  wholeLife('three hours behind', -3 * HOUR_MS),
  heardBy('three hours ahead', 3 * HOUR_MS),
  heardBy('three hours behind', -3 * HOUR_MS),
  {
    title: 'the clocks are three hours ahead, and whoever started a run approves it',
    attempt: (scene) =>
      whileWrong(scene, both(3 * HOUR_MS), async () => {
        const run = await scene.waiting('mine');
        return `${await scene.annotates('ada', run, 'approve=approval')}; ${await scene.stands(run)}`;
      }),
  },
  {
    title: 'the clocks are set three hours back while a step waits, and somebody votes when its time is over',
    async attempt(scene) {
      const run = await scene.waiting('brief');
      return whileWrong(scene, both(-3 * HOUR_MS), async () => {
        const { status } = await scene.is(run, (now) => now.status?.finishedAt !== undefined);
        const said = await scene.annotates('jane', run, 'approve=approval');
        return `the step is ${status?.steps?.[0]?.reason}; ${said}; ${await scene.stands(run)}`;
      });
    },
  },
  {
    title: 'the clocks are set three hours ahead while a step waits, and somebody votes in time',
    async attempt(scene) {
      const run = await scene.waiting('gate');
      return whileWrong(scene, both(3 * HOUR_MS), () => votedOn(scene, run));
    },
  },
  {
    title: 'an approver approves by a replica that is three hours ahead, and rejects by one that is right',
    async attempt(scene) {
      const run = await scene.waiting('pair');
      return whileWrong(scene, { leader: 0, other: 3 * HOUR_MS }, async () => {
        await scene.through('other', () => scene.annotates('jane', run, 'approve=approval'));
        const said = await scene.through('leader', () => scene.annotates('jane', run, 'reject=approval'));
        const { status } = await scene.is(run, (now) => now.status?.finishedAt !== undefined);
        return `${said}; the step is ${status?.steps?.[0]?.reason}`;
      });
    },
  },
];
