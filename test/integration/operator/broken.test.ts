import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { StepStatus } from '../../../src/api/workflow-run.ts';
import { waitFor } from '../../cluster/wait.ts';
import { createHands, type Hands } from '../../kit/hands.ts';
import { inNamespace, type Kit } from '../../kit/kit.ts';
import { type OperatorProcess, startOperator } from '../../kit/operator-process.ts';
import { bootControlPlane, type Site } from './setup.ts';

const LIMIT_MS = 60_000;
const script = (name: string) => ({ name, script: { bash: 'true' } });

/** What people break, with the operator looking on: each of these is one run among others. */
suite('a run that was changed by hand', () => {
  let site: Site;
  let operator: OperatorProcess;
  let kit: Kit;
  let hands: Hands;

  before(async () => {
    site = await bootControlPlane('broken');
    operator = startOperator(site.cluster, ['--identity=broken']);
    await operator.ready;
    kit = await inNamespace(site.cluster, 'broken');
    hands = await createHands(site.cluster, kit.namespace);
    await hands.apply('w', { steps: [script('build'), script('deploy')] });
  });
  after(async () => {
    await operator.stop();
    await hands[Symbol.asyncDispose]();
    await site[Symbol.asyncDispose]();
  });

  /** A run whose first step has a pod. */
  async function running(): Promise<string> {
    const name = await hands.start('w');
    await hands.runIs(name, ({ status }) => status?.steps?.[0]?.job?.name !== undefined);
    await waitFor(`a pod of ${name}`, LIMIT_MS, async () => (await podsOf(name)).length === 1 || undefined);
    return name;
  }

  const podsOf = async (name: string) => {
    const labelSelector = `signalbox.dev/run=${name}`;
    const { items } = await hands.pods.list({ namespace: kit.namespace, labelSelector });
    return items.map(({ metadata }) => metadata?.name ?? '');
  };

  /** Writes into a status, whatever version it has. */
  const write = (name: string, status: object) =>
    kit.kubectl([
      'patch',
      'wfr',
      name,
      '--subresource=status',
      '--type=merge',
      '-p',
      JSON.stringify({ status }),
    ]);

  const rowsOf = async (name: string, change: (row: StepStatus) => object) =>
    ((await hands.run(name)).status?.steps ?? []).map(change);

  /** It ends as any other, and each of its steps had one pod. */
  async function assertHeals(name: string): Promise<void> {
    const [pod] = await podsOf(name);
    await hands.endPod(name, 'build');
    await hands.endPod(name, 'deploy');
    const { status } = await hands.runIs(name, ({ status }) => status?.finishedAt !== undefined);
    assert.equal(status?.phase, 'Succeeded', JSON.stringify(status));
    assert.equal(status.steps?.length, 2);
    const pods = await podsOf(name);
    assert.equal(pods.length, 2);
    assert.ok(pods.includes(pod ?? ''));
  }

  async function assertFails(name: string, reason: string, message: RegExp): Promise<void> {
    const { status } = await hands.runIs(name, ({ status }) => status?.reason === reason);
    assert.equal(status?.phase, 'Failed');
    assert.match(status.message ?? '', message);
    await waitFor('its pods to go', LIMIT_MS, async () => (await podsOf(name)).length === 0 || undefined);
    await waitFor('an Event', LIMIT_MS, async () => {
      const told = await hands.told((await hands.run(name)).metadata.uid ?? '');
      return told.find(({ text }) => text.startsWith(`Warning ${reason}: `));
    });
  }

  suite('heals', () => {
    test('when the rows of its steps are gone', async () => {
      const name = await running();
      await write(name, { steps: null });
      await assertHeals(name);
    });

    test('when its status is gone', async () => {
      const name = await running();
      const { status = {} } = await hands.run(name);
      await write(name, Object.fromEntries(Object.keys(status).map((field) => [field, null])));
      await assertHeals(name);
    });

    test('when a row belongs to no step', async () => {
      const name = await running();
      const steps = await rowsOf(name, (row) => row);
      await write(name, {
        steps: [{ name: 'stranger', type: 'script', phase: 'Running', attempt: 1 }, ...steps],
      });
      await assertHeals(name);
    });

    test('when a running step lost its Job', async () => {
      const name = await running();
      await write(name, { steps: await rowsOf(name, ({ job: _job, ...row }) => row) });
      await assertHeals(name);
    });

    test('when it says that it has succeeded, and does not say when', async () => {
      const name = await running();
      await write(name, { phase: 'Succeeded' });
      await assertHeals(name);
    });
  });

  suite('fails with a reason, and takes its pods with it,', () => {
    test('when it says when it ended, and not how', async () => {
      const name = await running();
      await write(name, { finishedAt: new Date().toISOString() });
      await assertFails(name, 'StatusInvalid', /says when it ended, but not how/);
    });

    test('when all its steps have ended, and it goes on', async () => {
      const name = await running();
      await hands.endPod(name, 'build');
      await hands.endPod(name, 'deploy');
      await hands.runIs(name, ({ status }) => status?.finishedAt !== undefined);
      await write(name, { finishedAt: null });
      const { status } = await hands.runIs(name, ({ status }) => status?.reason === 'StatusInvalid');
      assert.match(status?.message ?? '', /changed by hand/);
    });

    test('when it does not name its revision', async () => {
      const name = await running();
      await write(name, { revision: null });
      await assertFails(name, 'RevisionNotFound', /does not name the ControllerRevision/);
    });

    test('when its revision can not be executed', async () => {
      const name = await running();
      const revision = {
        apiVersion: 'apps/v1',
        kind: 'ControllerRevision',
        metadata: { name: 'bad' },
        revision: 1,
      };
      await kit.apply({ ...revision, data: { spec: { steps: [{ name: 'UPPER' }] } } });
      await write(name, { revision: 'bad' });
      await assertFails(
        name,
        'RevisionInvalid',
        /^The ControllerRevision bad can not be executed: spec\.steps/,
      );
    });
  });

  test('can not be given what is no status at all: the API server refuses it', async () => {
    const name = await running();
    for (const status of [
      { phase: 'Frozen' },
      { steps: 'none' },
      { steps: [{ name: 1 }] },
      { startedAt: 'soon' },
    ]) {
      await assert.rejects(write(name, status), /invalid|Invalid/, JSON.stringify(status));
    }
    await assertHeals(name);
  });

  test('has another revision in its way, whose name stands for the workflow: it is not executed', async () => {
    await hands.apply('taken', { steps: [script('build')] });
    const first = await hands.start('taken');
    const { status } = await hands.runIs(first, ({ status }) => status?.revision !== undefined);
    const revision = status?.revision ?? '';
    await operator.stop();
    await kit.kubectl(['delete', 'wfr', first, '--wait=false']);
    await kit.kubectl(['patch', 'wfr', first, '--type=merge', '-p', '{"metadata":{"finalizers":null}}']);
    await kit.kubectl(['delete', 'controllerrevision', revision]);
    const name = await hands.start('taken');
    const object = {
      apiVersion: 'apps/v1',
      kind: 'ControllerRevision',
      metadata: { name: revision },
      revision: 1,
    };
    await kit.apply({ ...object, data: { spec: { state: 'Active', steps: [script('evil')] } } });
    operator = startOperator(site.cluster, ['--identity=broken']);
    await operator.ready;
    const run = await hands.runIs(name, ({ status }) => status?.finishedAt !== undefined);
    assert.equal(run.status?.reason, 'InvalidWorkflow');
    assert.match(run.status?.message ?? '', new RegExp(`${revision}, .* holds something else: delete it`));
  });
});
