import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { ControllerRevision } from 'kubernetes-types/apps/v1.d.ts';
import type { WorkflowRun } from '../../../src/api/resources.ts';
import { createHands, type Hands } from '../../kit/hands.ts';
import { inNamespace, type Kit } from '../../kit/kit.ts';
import { type OperatorProcess, startOperator } from '../../kit/operator-process.ts';
import { createKeysFolder, createVoting, type KeysFolder } from '../../kit/voting.ts';
import { bootControlPlane, type Site } from './setup.ts';

const jane = { username: 'jane@example.com', groups: ['platform'] };
const mallory = { username: 'mallory', groups: ['sales'] };
const author = { username: 'adam', groups: ['developers'] };

const gate = (approvers: string[]) => ({ name: 'approval', approval: { approvers } });
const script = (name: string) => ({ name, script: { bash: 'true' } });
const guarded = { steps: [gate(['group:platform']), script('apply')] };

/** Somebody who may write ControllerRevisions, or the status of runs, wants a run to ask somebody else, or nobody. */
suite('the frozen workflow of a run', () => {
  let site: Site;
  let keys: KeysFolder;
  let operator: OperatorProcess;
  let kit: Kit;
  let hands: Hands;
  let voting: ReturnType<typeof createVoting>;

  const start = async () => {
    const flags = ['--identity=revisions', `--keys-dir=${keys.folder}`, '--runner-api-port=0'];
    operator = startOperator(site.cluster, flags);
    await operator.ready;
  };
  const restart = async (meanwhile: () => Promise<unknown>) => {
    await operator.stop('SIGKILL');
    await meanwhile();
    await start();
  };
  const ends = (name: string) => hands.runIs(name, ({ status }) => status?.finishedAt !== undefined);
  const revisionOf = (run: WorkflowRun) => run.status?.revision ?? '';

  before(async () => {
    site = await bootControlPlane('revisions');
    keys = await createKeysFolder();
    kit = await inNamespace(site.cluster, 'revisions');
    hands = await createHands(site.cluster, kit.namespace);
    voting = createVoting(hands, keys, kit.namespace);
    await start();
  });
  after(async () => {
    await operator.stop();
    await hands[Symbol.asyncDispose]();
    await keys[Symbol.asyncDispose]();
    await site[Symbol.asyncDispose]();
  });

  /** A run that waits for the approval of the platform. */
  async function waiting(workflow: string): Promise<WorkflowRun> {
    await hands.apply(workflow, guarded);
    const name = await voting.start(workflow, author);
    return hands.runIs(name, ({ status }) => status?.phase === 'AwaitingApproval');
  }

  const specIn = async (name: string) => {
    const { data } = await kit.get<ControllerRevision>('controllerrevision', name);
    return (data as { spec: object }).spec;
  };

  const put = (name: string, spec: object) =>
    kit.apply({
      apiVersion: 'apps/v1',
      kind: 'ControllerRevision',
      metadata: { name },
      revision: 1,
      data: { spec },
    });

  const pointTo = (name: string, status: object) =>
    kit.kubectl([
      'patch',
      'workflowrun',
      name,
      '--subresource=status',
      '--type=merge',
      '-p',
      JSON.stringify({ status }),
    ]);

  /** The run has failed, and nothing behind the approval was begun. */
  async function assertRefused(name: string, message: RegExp): Promise<void> {
    const { status } = await ends(name);
    assert.equal(status?.phase, 'Failed');
    assert.equal(status?.reason, 'RevisionInvalid');
    assert.match(status?.message ?? '', message);
    const labelSelector = `signalbox.dev/run=${name}`;
    assert.deepEqual((await hands.pods.list({ namespace: kit.namespace, labelSelector })).items, []);
  }

  test('can not be changed where it lies', async () => {
    const run = await waiting('still');
    const patch = JSON.stringify({ data: { spec: { steps: [script('apply')] } } });
    const args = ['patch', 'controllerrevision', revisionOf(run), '--type=merge', '-p', patch];
    await assert.rejects(kit.kubectl(args), /field is immutable/);
  });

  test('is not executed when another one was put in its place, also after a restart', async () => {
    const run = await waiting('replaced');
    const name = run.metadata.name ?? '';
    const revision = revisionOf(run);
    const spec = await specIn(revision);
    await restart(async () => {
      await kit.kubectl(['delete', 'controllerrevision', revision]);
      await put(revision, { ...spec, steps: [gate(['user:mallory']), script('apply')] });
    });
    // Who signs votes reads what the status shows.
    await voting.vote(name, mallory, { approve: 'approval' });
    await assertRefused(name, /does not hold the workflow that its name stands for/);
  });

  test('is not exchanged for an older one of the same workflow by whoever may write the status', async () => {
    await hands.apply('older', { steps: [script('apply')] });
    const open = await hands.start('older');
    const weak = await hands.runIs(open, ({ status }) => status?.revision !== undefined);
    const run = await waiting('older');
    await pointTo(run.metadata.name ?? '', { revision: revisionOf(weak) });
    await assertRefused(run.metadata.name ?? '', /does not prove that the run was accepted with/);
  });

  test('is not exchanged together with the seal of another run', async () => {
    await hands.apply('sealed', { steps: [script('apply')] });
    const open = await hands.start('sealed');
    const weak = await hands.runIs(open, ({ status }) => status?.revisionSeal !== undefined);
    const run = await waiting('sealed');
    const { revision, revisionSeal } = weak.status ?? {};
    await pointTo(run.metadata.name ?? '', { revision, revisionSeal });
    await assertRefused(run.metadata.name ?? '', /does not prove/);
  });

  test('of another workflow is not executed', async () => {
    await hands.apply('free', { steps: [script('apply')] });
    const open = await hands.start('free');
    const weak = await hands.runIs(open, ({ status }) => status?.revision !== undefined);
    const run = await waiting('bound');
    await pointTo(run.metadata.name ?? '', { revision: revisionOf(weak) });
    await assertRefused(run.metadata.name ?? '', /is not one of the workflow of this run/);
  });

  test('without its seal the run does not go on', async () => {
    const run = await waiting('bare');
    await pointTo(run.metadata.name ?? '', { revisionSeal: null });
    await assertRefused(run.metadata.name ?? '', /does not prove/);
  });

  test('is known again after a restart, and the vote of who was asked counts', async () => {
    const run = await waiting('kept');
    const name = run.metadata.name ?? '';
    await restart(async () => undefined);
    assert.equal(await voting.vote(name, jane, { approve: 'approval' }), undefined);
    await hands.endPod(name, 'apply');
    assert.equal((await ends(name)).status?.phase, 'Succeeded');
  });
});
