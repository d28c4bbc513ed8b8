import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { before, suite, test } from 'node:test';
import type { ConfigMap } from 'kubernetes-types/core/v1.d.ts';
import type { WorkflowRun } from '../../src/api/resources.ts';
import type { StepStatus } from '../../src/api/workflow-run.ts';
import { silent } from '../cluster/report.ts';
import { install } from '../demo/install.ts';
import { applyExample, createExample, examples, runNow, runsOf } from '../kit/examples.ts';
import { inNamespace, isFinished, isRunning, type Kit, phasesOf, stepOf } from '../kit/kit.ts';

/** Runs of several steps, side by side with others on a small machine. */
const LIMIT_MS = 120_000;

const startOf = ({ startedAt = '' }: StepStatus) => Date.parse(startedAt);
const endOf = ({ finishedAt = '' }: StepStatus) => Date.parse(finishedAt);

/** How many of these ran at one moment, at most. */
function mostAtOnce(steps: readonly StepStatus[]): number {
  return Math.max(
    ...steps.map(
      (one) => steps.filter((other) => startOf(other) <= startOf(one) && startOf(one) < endOf(other)).length,
    ),
  );
}

suite('the examples, started as their comments say', { concurrency: 3 }, () => {
  let kit: Kit;
  before(async () => {
    kit = await inNamespace(await install({ name: 'e2e' }, silent), 'examples');
  });

  const push = (branch: string, seconds: number) =>
    kit.create({
      apiVersion: 'signalbox.dev/v1alpha1',
      kind: 'WorkflowRun',
      metadata: { generateName: 'preview-' },
      spec: {
        workflowRef: { name: 'preview' },
        params: { seconds },
        trigger: { type: 'GitPush', git: { branch, commit: `${seconds}`.padStart(40, '0') } },
      },
    });

  const finished = (name: string) => kit.waitForRun(name, isFinished, LIMIT_MS);

  async function environments(): Promise<Record<string, string | undefined>> {
    const { items } = await kit.get<{ items: ConfigMap[] }>('configmaps', '-l', 'example.com/environment');
    return Object.fromEntries(
      items.map(({ metadata, data }) => [metadata?.name?.replace('environment-', ''), data?.['version']]),
    );
  }

  test('each file is accepted, and each workflow in it can run', async () => {
    const all = await inNamespace(kit.cluster, 'all-examples');
    const files = (await readdir(examples, { recursive: true })).filter((name) => name.endsWith('.yaml'));
    const isRun = (file: string) => /\brun\.yaml$/.test(file);
    const [runs, others] = [files.filter(isRun), files.filter((file) => !isRun(file))];
    const create = (file: string, ...more: string[]) =>
      all.kubectl(['create', '-f', path.join(examples, file), ...more]);
    for (const file of others) await create(file);
    // A run without its workflow would be refused.
    for (const file of runs) await create(file, '--dry-run=server');
    await all.kubectl(['wait', 'workflows', '--all', '--for=condition=Ready', '--timeout=40s']);
  });

  test('hello: five steps in three languages', async () => {
    await applyExample(kit, 'hello');
    const run = await finished(
      await createExample(kit, 'hello-run', { train: 'Orient Express', carriages: 11 }),
    );
    assert.equal(run.status?.phase, 'Succeeded', JSON.stringify(run.status));
    assert.equal(run.status?.progress, '6/6');
    assert.equal(stepOf(run, 'points').summary, 'route 1-14 is set');
  });

  test('promotion: a version goes as far as the checks let it', async (t) => {
    await applyExample(kit, 'promotion');
    const promote = async (version: string) => finished(await runNow(kit, 'promotion', { version }));

    const held = await promote('latest');
    assert.deepEqual(phasesOf(held), [
      'deploy-dev Succeeded Completed',
      'check-dev Succeeded Completed',
      'to-test Succeeded Completed',
      'deploy-test Skipped BranchNotTaken',
      'check-test Skipped BranchNotTaken',
      'to-prod Skipped BranchNotTaken',
      'deploy-prod Skipped BranchNotTaken',
      'stay-in-test Skipped BranchNotTaken',
      'stay-in-dev Succeeded Completed',
      'report Succeeded Completed',
    ]);
    for (const name of ['deploy-test', 'to-prod', 'deploy-prod', 'stay-in-test']) {
      assert.equal(stepOf(held, name).message, 'condition to-test is false');
    }
    assert.equal(stepOf(held, 'stay-in-dev').summary, 'not promoted to test, as latest does not leave dev');
    assert.deepEqual(held.status?.outputs, { reached: 'dev' });

    const tested = await promote('1.5.0-rc.1');
    assert.equal(stepOf(tested, 'deploy-prod').message, 'condition to-prod is false');
    assert.equal(stepOf(tested, 'stay-in-dev').message, 'condition to-test is true');
    assert.deepEqual(tested.status?.outputs, { reached: 'test' });

    const promoted = await promote('1.4.0');
    assert.equal(promoted.status?.phase, 'Succeeded', JSON.stringify(promoted.status));
    assert.equal(stepOf(promoted, 'to-prod').summary, 'true: deploy-prod');
    assert.equal(stepOf(promoted, 'report').summary, '1.4.0 has reached prod');
    assert.deepEqual(promoted.status?.outputs, { reached: 'prod' });
    assert.deepEqual(await environments(), { dev: '1.4.0', prod: '1.4.0', test: '1.4.0' });
    t.diagnostic(phasesOf(promoted).join(', '));
  });

  test('fan-out: a list from a script, three instances at a time, and the list of their outputs', async (t) => {
    await applyExample(kit, 'fan-out');
    const run = await finished(await runNow(kit, 'fan-out'));
    assert.equal(run.status?.phase, 'Succeeded', JSON.stringify(run.status));
    assert.equal(run.status?.progress, '3/3');
    assert.equal(stepOf(run, 'count').summary, '8 of 8 succeeded');
    const instances = (run.status?.steps ?? []).filter(({ name }) => name.startsWith('count['));
    const names = Array.from({ length: 8 }, (_, part) => `count[${part * 25_000}]`);
    assert.deepEqual(
      instances.map(({ name }) => name),
      names,
    );
    assert.equal(mostAtOnce(instances), 3);
    assert.deepEqual(run.status?.outputs, { primes: 17_984 });
    t.diagnostic(instances.map(({ name, summary }) => `${name} ${summary}`).join(', '));
  });

  test('sub-workflow: one workflow, run twice at the same time, gives its outputs', async () => {
    await applyExample(kit, 'sub-workflow');
    const run = await finished(await runNow(kit, 'regions', { version: '1.4.0' }));
    assert.equal(run.status?.phase, 'Succeeded', JSON.stringify(run.status));
    const [us, eu] = [stepOf(run, 'us'), stepOf(run, 'eu')];
    assert.deepEqual(us.outputs, { endpoint: 'https://us.api.example.com', replicas: 6 });
    assert.deepEqual(eu.outputs, { endpoint: 'https://eu.api.example.com', replicas: 2 });
    assert.equal(mostAtOnce([us, eu]), 2);
    assert.equal(stepOf(run, 'balance').summary, 'us 75 %, eu 25 %');

    const child = await kit.getRun(us.run?.name ?? '');
    assert.equal(child.metadata.uid, us.run?.uid);
    assert.deepEqual(child.spec.params, { region: 'us', version: '1.4.0' });
    const { type, name, step, depth } = child.spec.trigger;
    assert.deepEqual(
      { type, name, step, depth },
      { type: 'Workflow', name: run.metadata.name, step: 'us', depth: 1 },
    );
  });

  test('sub-workflow: cancelling the run cancels what it has started', async () => {
    await kit.applyWorkflow('slow-region', {
      steps: [{ name: 'wait', script: { bash: 'trap "exit 1" TERM; sleep 120 & wait' } }],
    });
    await kit.applyWorkflow('slow-regions', { steps: [{ name: 'us', workflow: { name: 'slow-region' } }] });
    const name = await runNow(kit, 'slow-regions');
    const running = await kit.waitForRun(name, (run) => isRunning(run, 'us'));
    const child = stepOf(running, 'us').run?.name ?? '';
    await kit.kubectl(['wait', `workflowrun/${child}`, '--for=create', '--timeout=20s']);
    await kit.waitForRun(child, (run) => isRunning(run, 'wait'));
    await kit.kubectl(['annotate', 'workflowrun', name, 'signalbox.dev/cancel=true']);
    assert.equal((await finished(name)).status?.phase, 'Cancelled');
    assert.equal((await finished(child)).status?.phase, 'Cancelled');
  });

  test('replace: a newer push takes the place of older ones of its branch, and of no other', async () => {
    await applyExample(kit, 'replace');
    const first = await createExample(kit, 'replace-run');
    await kit.waitForRun(first, (run) => isRunning(run, 'build'));
    const other = await push('docs', 6);
    const second = await push('search', 60);
    const last = await push('search', 1);

    const replaced = await finished(first);
    assert.equal(replaced.status?.phase, 'Cancelled', JSON.stringify(replaced.status));
    assert.equal(replaced.status?.reason, 'Replaced');
    assert.match(replaced.status?.message ?? '', new RegExp(`${second}|${last}`));
    assert.equal(stepOf(replaced, 'build').phase, 'Cancelled');
    assert.equal(stepOf(replaced, 'publish').phase, 'Skipped');
    assert.match(
      stepOf(replaced, 'tidy').summary ?? '',
      /removed the work folder of 4f2a9c1.* \(Cancelled\)/,
    );
    const log = await kit.kubectl(['logs', `job/${stepOf(replaced, 'build').job?.name}`]);
    assert.match(log, /told to stop while building 4f2a9c1/);

    assert.equal((await finished(second)).status?.reason, 'Replaced');
    const newest = await finished(last);
    assert.equal(newest.status?.phase, 'Succeeded', JSON.stringify(newest.status));
    assert.ok(startedAt(newest) >= endedAt(replaced), 'it starts when the one before it has ended');

    const untouched = await finished(other);
    assert.equal(untouched.status?.phase, 'Succeeded', JSON.stringify(untouched.status));
    assert.ok(startedAt(untouched) < endedAt(replaced), 'another branch does not wait');
    assert.equal((await runsOf(kit, 'preview')).length, 4);
  });
});

const startedAt = ({ status }: WorkflowRun) => Date.parse(status?.startedAt ?? '');
const endedAt = ({ status }: WorkflowRun) => Date.parse(status?.finishedAt ?? '');
