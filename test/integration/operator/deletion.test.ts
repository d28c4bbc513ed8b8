import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { promisify } from 'node:util';
import { waitFor } from '../../cluster/wait.ts';
import { createHands, type Hands } from '../../kit/hands.ts';
import { inNamespace, type Kit } from '../../kit/kit.ts';
import { type OperatorProcess, startOperator } from '../../kit/operator-process.ts';
import { bootControlPlane, type Site } from './setup.ts';

const LIMIT_MS = 60_000;
const OPERATIONS = path.resolve(import.meta.dirname, '../../../docs/operations.md');
const script = (name: string) => ({ name, script: { bash: 'true' } });

suite('deletion', () => {
  let site: Site;
  let operator: OperatorProcess;
  let kit: Kit;
  let hands: Hands;

  const restart = async () => {
    operator = startOperator(site.cluster, ['--identity=deletion']);
    await operator.ready;
  };
  const within = async (name: string) => {
    kit = await inNamespace(site.cluster, name);
    hands = await createHands(site.cluster, kit.namespace);
    await hands.apply('w', { steps: [script('build'), script('deploy')], finally: [script('tidy')] });
  };
  const remove = (kind: string, name: string) => kit.kubectl(['delete', kind, name, '--wait=false']);
  const isGone = (name: string) =>
    waitFor(`the end of run ${name}`, LIMIT_MS, async () => {
      assert.equal(await hands.exists(name), false);
      return true;
    });
  const names = async (kind: string) =>
    (await kit.kubectl(['get', kind, '-o', 'name'])).split('\n').filter(Boolean);
  const running = async (workflow = 'w') => {
    const name = await hands.start(workflow);
    await hands.runIs(name, ({ status }) => status?.steps?.[0]?.phase === 'Running');
    return name;
  };

  before(async () => {
    site = await bootControlPlane('deletion');
    await restart();
  });
  after(async () => {
    await operator.stop();
    await site[Symbol.asyncDispose]();
  });

  test('of a run asks its pods to end, waits for that, and runs no finally', async () => {
    await within('running');
    const name = await running();
    const pod = await hands.bindPod(name, 'build');
    await remove('workflowrun', name);
    const stopped = await waitFor('the pod to be stopped', LIMIT_MS, async () => {
      const found = await hands.pods.get({ namespace: kit.namespace, name: pod });
      return found.spec?.activeDeadlineSeconds === 1 ? found : undefined;
    });
    assert.equal(stopped.metadata?.deletionTimestamp, undefined);
    assert.equal(await hands.exists(name), true);

    await hands.endPod(name, 'build', 143);
    await isGone(name);
    await waitFor('its Jobs to go with it', LIMIT_MS, async () => {
      assert.deepEqual(await names('jobs,pods'), []);
      return true;
    });
  });

  test('of a run that waits for its turn, or has ended, takes no time, and lets the next start', async () => {
    await within('queued');
    await hands.apply('w', { concurrency: { policy: 'Queue' }, steps: [script('build')] });
    const [first, second, third] = [await running(), await hands.start('w'), await hands.start('w')];
    await hands.runIs(third, ({ status }) => status?.phase === 'Queued');
    await remove('workflowrun', second);
    await isGone(second);
    const waiting = await hands.runIs(third, ({ status }) => status?.queue?.blockedBy?.run === first);
    assert.equal(waiting.status?.phase, 'Queued');
    await remove('workflowrun', first);
    await isGone(first);
    await hands.endPod(third, 'build');
    await hands.runIs(third, ({ status }) => status?.phase === 'Succeeded');
    await remove('workflowrun', third);
    await isGone(third);
  });

  test('of a run deletes the runs that its steps started, each of which stops its pods', async () => {
    await within('parent');
    await hands.apply('parent', { steps: [{ name: 'call', workflow: { name: 'w' } }] });
    const parent = await hands.start('parent');
    const { status } = await hands.runIs(parent, ({ status }) => status?.steps?.[0]?.run !== undefined);
    const child = status?.steps?.[0]?.run?.name ?? '';
    await hands.bindPod(child, 'build');
    await remove('workflowrun', parent);
    await waitFor('the child to be deleted', LIMIT_MS, async () => {
      return (await hands.run(child)).metadata.deletionTimestamp;
    });
    assert.equal(await hands.exists(parent), true);
    await hands.endPod(child, 'build', 143);
    await isGone(child);
    await isGone(parent);
  });

  test('goes on where a killed operator was', async () => {
    await within('killed');
    const name = await running();
    await hands.bindPod(name, 'build');
    await remove('workflowrun', name);
    await operator.stop('SIGKILL');
    await hands.endPod(name, 'build', 143);
    await restart();
    await isGone(name);
  });

  test('of a workflow leaves nothing: no run, no Job, no pod, no revision', async () => {
    await within('workflow');
    const runs = await Promise.all(Array.from({ length: 20 }, () => running()));
    const [bound = ''] = runs;
    await hands.bindPod(bound, 'build');
    await remove('workflow', 'w');
    await waitFor('all other runs to go', LIMIT_MS, async () => {
      assert.deepEqual(await names('workflowruns'), [`workflowrun.signalbox.dev/${bound}`]);
      return true;
    });
    assert.deepEqual(await names('workflows'), ['workflow.signalbox.dev/w']);
    const late = await hands.start('w');
    await hands.endPod(bound, 'build', 143);
    await kit.kubectl(['wait', '--for=delete', 'workflow/w', '--timeout=60s']);
    assert.equal(await hands.exists(late), false);
    await waitFor('the rest to go', LIMIT_MS, async () => {
      assert.deepEqual(await names('workflowruns,jobs,pods,controllerrevisions'), []);
      return true;
    });
  });

  test('by retention takes runs, and earlier their pods', async () => {
    await within('retention');
    await hands.apply('w', { retention: { succeeded: 1, podTTL: '0s' }, steps: [script('build')] });
    const finish = async () => {
      const name = await running();
      await hands.endPod(name, 'build');
      await hands.runIs(name, ({ status }) => status?.phase === 'Succeeded');
      return name;
    };
    const first = await finish();
    await waitFor('the Job to go', LIMIT_MS, async () => {
      assert.deepEqual(await names('jobs,pods'), []);
      return true;
    });
    assert.equal(await hands.exists(first), true);
    const second = await finish();
    await isGone(first);
    assert.equal(await hands.exists(second), true);
  });

  test('waits while there is no operator, and the command in docs/operations.md frees all', async () => {
    await within('abandoned');
    const name = await running();
    await operator.stop('SIGKILL');
    await remove('workflow', 'w');
    await remove('workflowrun', name);
    assert.equal(await hands.exists(name), true);

    const [command = ''] = /^ {4}for kind.*?^ {4}done$/ms.exec(await readFile(OPERATIONS, 'utf8')) ?? [];
    assert.match(command, /kubectl patch/);
    const { kubectl, kubeconfig, folder } = site.cluster;
    // Without a home, kubectl keeps what it has read in the current folder.
    const env = {
      PATH: `${path.dirname(kubectl)}:${process.env['PATH']}`,
      HOME: folder,
      KUBECONFIG: kubeconfig,
    };
    await promisify(execFile)('sh', ['-ec', command], { env, timeout: LIMIT_MS });
    assert.equal(await hands.exists(name), false);
    assert.deepEqual(await names('workflows'), []);
    await restart();
  });
});
