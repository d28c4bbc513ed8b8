import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { WorkflowRun } from '../../../src/api/resources.ts';
import type { Concurrency } from '../../../src/api/concurrency.ts';
import { waitFor } from '../../cluster/wait.ts';
import { writes } from '../../kit/audit.ts';
import { inNamespace, isFinished, type Kit, type Spec, stepOf } from '../../kit/kit.ts';
import { type OperatorProcess, startOperator } from '../../kit/operator-process.ts';
import { bootSimulated } from './setup.ts';

const RUNS = 30;
const LIMIT_MS = 60_000;
/** Its finalizer; queued; told of the one before it twice; started; ended. */
const WRITES_PER_RUN = 6;

const specOf = (concurrency: Partial<Concurrency>, seconds = '0.1'): Spec => ({
  concurrency: { policy: 'Queue', ...concurrency },
  params: [{ name: 'key', type: 'string', default: 'none' }],
  steps: [{ name: 'only', script: { bash: `sleep ${seconds}` } }],
});

const isQueued = ({ status }: WorkflowRun) => status?.phase === 'Queued';
const isRunning = ({ status }: WorkflowRun) => status?.phase === 'Running';
const times = ({ status }: WorkflowRun) =>
  [Date.parse(status?.startedAt ?? ''), Date.parse(status?.finishedAt ?? '')] as const;
const sinceOf = ({ metadata }: WorkflowRun) => new Date(metadata.creationTimestamp ?? '').toISOString();
const order = (run: WorkflowRun) => `${run.metadata.creationTimestamp} ${run.metadata.name}`;

/** Most of these that ran at the same time. */
function mostAtOnce(runs: readonly WorkflowRun[]): number {
  const spans = runs.map(times);
  return Math.max(...spans.map(([at]) => spans.filter(([start, end]) => start <= at && at < end).length));
}

/** Waits for all runs of the namespace to end. */
async function allFinished(kit: Kit): Promise<WorkflowRun[]> {
  return waitFor('the runs to end', LIMIT_MS, async () => {
    const { items } = await kit.get<{ items: WorkflowRun[] }>('workflowruns');
    assert.deepEqual(
      items.filter((run) => !isFinished(run)).map(({ metadata }) => metadata.name),
      [],
    );
    return items;
  });
}

suite('runs that must not run side by side', () => {
  let site: Awaited<ReturnType<typeof bootSimulated>>;
  let operator: OperatorProcess;

  before(async () => {
    site = await bootSimulated({ name: 'concurrency', audit: true, podDuration: 0.5 });
    operator = startOperator(site.cluster, ['--identity=concurrency']);
    await operator.ready;
  });
  after(async () => {
    await operator.stop();
    await site[Symbol.asyncDispose]();
  });

  /** Creates so many runs at once. */
  async function startAll(kit: Kit, workflow: string, count: number): Promise<void> {
    const run = {
      apiVersion: 'signalbox.dev/v1alpha1',
      kind: 'WorkflowRun',
      spec: { workflowRef: { name: workflow } },
    };
    const metadata = { generateName: `${workflow}-` };
    const items = Array.from({ length: count }, () => ({ ...run, metadata }));
    await kit.create({ apiVersion: 'v1', kind: 'List', items });
  }

  test('wait in the order of their creation, run one after the other, and cost the same however many wait', async () => {
    const kit = await inNamespace(site.cluster, 'fifo');
    // Less than what the last one waits: that does not count.
    await kit.applyWorkflow('w', { ...specOf({}), timeout: '10s' });
    // All at once, as after a time without an operator.
    await operator.stop();
    await startAll(kit, 'w', RUNS);
    operator = startOperator(site.cluster, ['--identity=concurrency']);
    const runs = await allFinished(kit);

    const started = runs.toSorted((a, b) => times(a)[0] - times(b)[0]);
    assert.deepEqual(started.map(order), runs.map(order).toSorted());
    assert.equal(mostAtOnce(runs), 1);
    assert.deepEqual([...new Set(runs.map(({ status }) => status?.phase))], ['Succeeded']);
    const own = (await writes(site.cluster)).filter(
      ({ client, namespace }) => client === 'signalbox' && namespace === kit.namespace,
    );
    const patches = own.filter(({ resource }) => resource.startsWith('workflowruns'));
    assert.ok(patches.length <= RUNS * WRITES_PER_RUN, `${patches.length} writes for ${RUNS} runs`);
  });

  test('say which run they wait for and since when, and have not started', async () => {
    const kit = await inNamespace(site.cluster, 'blocker');
    await kit.applyWorkflow('w', specOf({}));
    await startAll(kit, 'w', 3);
    const [middle, last] = await waitFor('a line of three', LIMIT_MS, async () => {
      const { items } = await kit.get<{ items: WorkflowRun[] }>('workflowruns');
      const waiting = items.filter(isQueued);
      const [active] = items.filter(isRunning);
      const [second] = waiting.filter(
        ({ status }) => status?.queue?.blockedBy?.run === active?.metadata.name,
      );
      const [third] = waiting.filter((run) => run !== second);
      assert.ok(active && second && third);
      assert.deepEqual(second.status?.queue?.blockedBy?.since, active.status?.startedAt);
      return [second, third] as const;
    });
    assert.equal(middle.status?.reason, 'WaitsForRun');
    assert.match(middle.status?.message ?? '', /^Waits for run w-\w+, active since 20/);
    assert.equal(last.status?.startedAt, undefined);
    assert.equal(last.status?.queue?.key, 'workflow/w');
    assert.equal(
      last.status?.message,
      `Waits for run ${middle.metadata.name}, waiting since ${sinceOf(middle)}.`,
    );
    await allFinished(kit);
  });

  test('are told apart by a key of their params', async () => {
    const kit = await inNamespace(site.cluster, 'key');
    await kit.applyWorkflow('w', specOf({ key: 'on-${{ params.key }}' }));
    const names = [];
    for (const key of ['a', 'b', 'a']) names.push(await kit.startRun('w', { key }));
    const [a = '', b = '', again = ''] = names;
    const waiting = await kit.waitForRun(again, isQueued);
    assert.equal(waiting.status?.queue?.key, 'key/on-a');
    assert.equal(waiting.status?.queue?.blockedBy?.run, a);
    await allFinished(kit);
    assert.equal(mostAtOnce([await kit.getRun(a), await kit.getRun(b)]), 2);
    assert.equal(mostAtOnce([await kit.getRun(a), await kit.getRun(again)]), 1);
  });

  test('of policy Forbid end at once, and name the one that was there', async () => {
    const kit = await inNamespace(site.cluster, 'forbid');
    await kit.applyWorkflow('w', specOf({ policy: 'Forbid' }));
    const first = await kit.startRun('w');
    await kit.waitForRun(first, isRunning);
    const second = await kit.waitForRun(await kit.startRun('w'));
    assert.equal(second.status?.phase, 'Cancelled');
    assert.equal(second.status?.reason, 'ConcurrencyForbid');
    assert.match(second.status?.message ?? '', new RegExp(`^Run ${first} .* is active since`));
    assert.equal((await kit.waitForRun(first)).status?.phase, 'Succeeded');
    const third = await kit.waitForRun(await kit.startRun('w'));
    assert.equal(third.status?.phase, 'Succeeded');
  });

  test('of policy Replace end what was there, with its finally, and start then', async () => {
    const kit = await inNamespace(site.cluster, 'replace');
    const spec = specOf({ policy: 'Replace' });
    await kit.applyWorkflow('w', { ...spec, finally: [{ name: 'last', script: { bash: 'true' } }] });
    const first = await kit.startRun('w');
    await kit.waitForRun(first, isRunning);
    const second = await kit.startRun('w');
    await kit.waitForRun(second, isQueued);
    const third = await kit.startRun('w');
    const runs = new Map((await allFinished(kit)).map((run) => [run.metadata.name, run]));
    const replaced = runs.get(first);
    assert.ok(replaced);
    assert.equal(replaced.status?.phase, 'Cancelled');
    assert.equal(replaced.status?.reason, 'Replaced');
    assert.match(replaced.status?.message ?? '', /^Replaced by run w-/);
    assert.equal(stepOf(replaced, 'last').phase, 'Succeeded');
    assert.equal(runs.get(second)?.status?.message, `Replaced by run ${third}.`);
    assert.equal(runs.get(second)?.status?.startedAt, undefined);
    assert.equal(runs.get(third)?.status?.phase, 'Succeeded');
    assert.ok(times(runs.get(third) ?? replaced)[0] >= times(replaced)[1]);
  });

  test('are held by the limit of their workflow, and say how many of how many are active', async () => {
    const kit = await inNamespace(site.cluster, 'limit');
    await kit.applyWorkflow('w', specOf({ policy: 'Allow', limit: 2 }));
    await startAll(kit, 'w', 8);
    const { items } = await kit.get<{ items: WorkflowRun[] }>('workflowruns');
    const held = await Promise.any(
      items.map(({ metadata }) => kit.waitForRun(metadata.name ?? '', isQueued, 5000)),
    );
    assert.deepEqual(held.status?.queue?.blockedBy, { kind: 'WorkflowLimit', limit: 2 });
    assert.match(held.status?.message ?? '', /^[12] of 2 runs of this workflow are active/);
    const runs = await allFinished(kit);
    assert.equal(mostAtOnce(runs), 2);
  });

  test('are held by the limits of the namespace and of the cluster', async () => {
    await operator.stop();
    const limits = ['--max-active-runs-per-namespace=2', '--max-active-runs=3'];
    operator = startOperator(site.cluster, ['--identity=concurrency', ...limits]);
    const kits = [await inNamespace(site.cluster, 'many'), await inNamespace(site.cluster, 'many')];
    for (const kit of kits) {
      const { concurrency: _concurrency, ...spec } = specOf({});
      await kit.applyWorkflow('w', spec);
      await startAll(kit, 'w', 6);
    }
    const runs = (await Promise.all(kits.map(allFinished))) as [WorkflowRun[], WorkflowRun[]];
    assert.deepEqual(runs.map(mostAtOnce), [2, 2]);
    assert.equal(mostAtOnce(runs.flat()), 3);
  });

  test('hold their place while what their steps started runs, which no limit holds', async () => {
    await operator.stop();
    operator = startOperator(site.cluster, ['--identity=concurrency', '--max-active-runs=1']);
    const kit = await inNamespace(site.cluster, 'children');
    await kit.applyWorkflow('child', specOf({}));
    await kit.applyWorkflow('parent', { steps: [{ name: 'call', workflow: { name: 'child' } }] });
    await startAll(kit, 'parent', 3);
    const runs = await allFinished(kit);
    const parents = runs.filter(({ spec }) => spec.workflowRef.name === 'parent');
    assert.deepEqual(
      parents.map(({ status }) => status?.phase),
      ['Succeeded', 'Succeeded', 'Succeeded'],
    );
    assert.equal(mostAtOnce(parents), 1);
  });

  test('are refused where they would wait for the one that waits for them', async () => {
    await operator.stop();
    operator = startOperator(site.cluster, ['--identity=concurrency']);
    const kit = await inNamespace(site.cluster, 'deadlock');
    await kit.applyWorkflow('child', specOf({ key: 'same' }));
    await kit.applyWorkflow('parent', {
      concurrency: { policy: 'Queue', key: 'same' },
      steps: [{ name: 'call', workflow: { name: 'child' } }],
    });
    const parent = await kit.waitForRun(await kit.startRun('parent'));
    assert.equal(parent.status?.phase, 'Failed');
    const child = await kit.getRun(stepOf(parent, 'call').run?.name ?? '');
    assert.equal(child.status?.reason, 'ConcurrencyDeadlock');
    assert.match(stepOf(parent, 'call').message ?? '', /waits itself for this run to end/);
  });
});
