import { waitFor } from '../../cluster/wait.ts';
import { type Attack, annotations, forged, patching, patchOf, signedFor } from './attack.ts';
import { runOf, type Scene } from './scene.ts';
import { WEBHOOKS } from './setup.ts';

const LIMIT_MS = 30_000;
/** The replica that asks its callers for a certificate. */
const GUARDED = 1;

/** Does something while the webhooks are not there. */
async function withoutWebhooks<T>(
  scene: Scene,
  work: () => Promise<T>,
  kinds?: readonly string[],
): Promise<T> {
  const { site } = scene;
  await site.webhooks('delete', kinds);
  try {
    return await work();
  } finally {
    await site.webhooks('apply');
    await judged(scene);
  }
}

/** Waits until the API server asks the operator again, and trusts it. */
const judged = (scene: Scene) =>
  waitFor('the webhooks', LIMIT_MS, async () => {
    const args = ['annotate', 'workflowrun', await scene.shared(), 'signalbox.dev/reject=approval'];
    const said = await scene.does('otto', [...args, '--dry-run=server']);
    if (!said.includes('may not decide')) throw new Error(said);
    return true;
  });

/** Writes as the administrator of the cluster: the API server goes by a webhook or policy for a moment after it is gone. */
const forces = (scene: Scene, args: readonly string[], input?: object) =>
  waitFor('the write', LIMIT_MS, async () => {
    const said = await scene.does('root', args, input);
    if (!said.startsWith('yes')) throw new Error(said);
    return said;
  });

/** Past the webhooks, which takes an administrator of the cluster. */
export const BYPASS_ATTACKS: Attack[] = [
  {
    title: 'the webhooks are removed, and somebody votes who is not asked',
    async attempt(scene) {
      const run = await scene.waiting('gate');
      const vote = () => scene.annotates('otto', run, 'approve=approval');
      return `${await withoutWebhooks(scene, vote, WEBHOOKS)}; ${await scene.stands(run)}`;
    },
  },
  {
    title: 'the webhooks are removed, and a vote is written for somebody else',
    attempt: (scene) =>
      withoutWebhooks(
        scene,
        () => patching('otto', annotations({ 'vote-0123456789abcdef': forged('jane@example.com') }))(scene),
        WEBHOOKS,
      ),
  },
  {
    title:
      'the webhooks are removed, and a vote is written that the operator signed for somebody who called it as if they were the API server',
    async attempt(scene) {
      const run = await scene.waiting('gate');
      const { name, value } = await signedFor(scene, run);
      const vote = annotations({ [name.replace('signalbox.dev/', '')]: value });
      const said = await withoutWebhooks(scene, () => scene.does('otto', patchOf(run, vote)), WEBHOOKS);
      return `${said}; ${await scene.stands(run)}`;
    },
  },
  {
    title:
      'somebody calls the operator as if they were the API server, where that has a certificate to show (admission.clientCaSecret)',
    async attempt(scene) {
      const run = await scene.waiting('gate');
      const answer = await signedFor(scene, run, GUARDED).then(
        () => 'the vote is signed',
        () => 'no answer',
      );
      return `${answer}; ${await scene.stands(run)}`;
    },
  },
  {
    title: 'webhooks and policy are removed, and a vote without a signature is written',
    async attempt(scene) {
      const run = await scene.waiting('gate');
      const vote = annotations({ 'vote-0123456789abcdef': forged('jane@example.com') });
      await withoutWebhooks(scene, () => forces(scene, patchOf(run, vote)));
      return scene.ignored(run);
    },
  },
  {
    title: 'webhooks and policy are removed, and a vote is replayed on another run',
    async attempt(scene) {
      const [one, other] = [await scene.waiting('pair'), await scene.waiting('gate')];
      await scene.annotates('jane', one, 'approve=approval');
      const { name, value } = await scene.voteOn(one);
      const vote = annotations({ [name.replace('signalbox.dev/', '')]: value });
      await withoutWebhooks(scene, () => forces(scene, patchOf(other, vote)));
      return scene.ignored(other);
    },
  },
  {
    title:
      'the run is deleted, and made again under its name, and the vote is written on it, without webhooks and policy',
    async attempt(scene) {
      const run = await scene.waiting('pair');
      await scene.annotates('jane', run, 'approve=approval');
      const { name, value } = await scene.voteOn(run);
      await scene.does('root', ['delete', 'workflowrun', run]);
      const again = { ...runOf('gate'), metadata: { name: run } };
      const vote = annotations({ [name.replace('signalbox.dev/', '')]: value });
      await withoutWebhooks(scene, async () => {
        await forces(scene, ['create', '-f', '-'], again);
        await scene.is(run, ({ status: now }) => now?.phase === 'AwaitingApproval');
        return forces(scene, patchOf(run, vote));
      });
      return scene.ignored(run);
    },
  },
];
