import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { after, before, suite, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ObjectMeta } from 'kubernetes-types/meta/v1.d.ts';
import { createHands, type Hands } from '../../kit/hands.ts';
import { inNamespace } from '../../kit/kit.ts';
import { type OperatorProcess, startOperator } from '../../kit/operator-process.ts';
import { bootControlPlane, type Site } from './setup.ts';

const KILLS = 8;
/** All that there is to be done about an annotation is mostly done in this time. */
const WORK_MS = 40;

/** The operator is killed at any moment of its work on an annotation, and started again. */
suite('an annotation is acted on once, however often the operator is killed', () => {
  let site: Site;
  let operator: OperatorProcess;
  let hands: Hands;

  const restart = async () => {
    operator = startOperator(site.cluster, ['--identity=once']);
    await operator.ready;
  };
  const isFree = ({ annotations = {} }: ObjectMeta) =>
    !Object.keys(annotations).some((name) => name.startsWith('signalbox.dev/'));

  /** Annotates so often, and each time kills the operator in its work on that, and starts it again. */
  async function killAmid(
    t: TestContext,
    annotate: () => Promise<unknown>,
    answered: () => Promise<unknown>,
  ) {
    const waits: number[] = [];
    for (let kill = 0; kill < KILLS; kill += 1) {
      await annotate();
      const wait = randomInt(WORK_MS);
      waits.push(wait);
      await sleep(wait);
      await operator.stop('SIGKILL');
      await restart();
      await answered();
    }
    t.diagnostic(`killed after ${waits.join(', ')} ms of work`);
  }

  before(async () => {
    site = await bootControlPlane('once');
    const { namespace } = await inNamespace(site.cluster, 'once');
    hands = await createHands(site.cluster, namespace);
    await hands.apply('w', { steps: [{ name: 'build', script: { bash: 'true' } }] });
    await restart();
  });
  after(async () => {
    await operator.stop();
    await hands[Symbol.asyncDispose]();
    await site[Symbol.asyncDispose]();
  });

  test('run=now: each gives one run', async (t) => {
    await killAmid(
      t,
      () => hands.annotateWorkflow('w', { run: 'now' }),
      () =>
        hands.workflowIs('w', ({ metadata, status }) => isFree(metadata) && status?.manualRun === undefined),
    );
    assert.equal((await hands.runsOf('w')).length, KILLS);
  });

  test('retry=failed: each gives one round', async (t) => {
    const name = await hands.start('w');
    await hands.endPod(name, 'build', 1);
    await hands.runIs(name, ({ status }) => status?.phase === 'Failed');
    let round = 0;
    await killAmid(
      t,
      () => hands.annotateRun(name, { retry: 'failed' }),
      async () => {
        round += 1;
        await hands.runIs(name, ({ metadata, status }) => isFree(metadata) && status?.handled === undefined);
        await hands.endPod(name, 'build', 1);
        const { status } = await hands.runIs(name, ({ status }) => status?.phase === 'Failed');
        assert.equal(status?.round, round);
      },
    );
    assert.equal(round, KILLS);
  });

  test('cancel=true: the run is cancelled, and not ended at once', async (t) => {
    await hands.apply('w', {
      steps: [{ name: 'build', script: { bash: 'true' } }],
      finally: [{ name: 'tidy', script: { bash: 'true' } }],
    });
    let name = '';
    await killAmid(
      t,
      async () => {
        name = await hands.start('w');
        await hands.runIs(name, ({ status }) => status?.phase === 'Running');
        await hands.annotateRun(name, { cancel: 'true' });
      },
      async () => {
        const run = await hands.runIs(
          name,
          ({ metadata, status }) => isFree(metadata) && status?.handled === undefined,
        );
        assert.equal(run.status?.cancellation?.terminatedAt, undefined);
        await hands.endPod(name, 'tidy');
        await hands.runIs(name, ({ status }) => status?.phase === 'Cancelled');
      },
    );
  });
});
