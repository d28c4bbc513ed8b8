import assert from 'node:assert/strict';
import { before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowRun } from '../../src/api/resources.ts';
import type { Pod } from 'kubernetes-types/core/v1.d.ts';
import { silent } from '../cluster/report.ts';
import { install, NAMESPACE } from '../demo/install.ts';
import { createKit, inNamespace, type Kit, phasesOf, stepOf } from '../kit/kit.ts';

const bash = (name: string, source = 'true', more = {}) => ({ name, script: { bash: source }, ...more });

suite('runs under an operator that Helm installed', { concurrency: 3 }, () => {
  let kit: Kit;
  before(async () => {
    kit = await inNamespace(await install({ name: 'e2e' }, silent), 'runs');
  });

  test('a list is a pipeline, and steps that wait for the same one run side by side', async () => {
    const parallel = ['p1', 'p2', 'p3', 'p4'];
    const run = await kit.runWorkflow('shape', {
      steps: [
        bash('s1'),
        bash('s2'),
        bash('s3'),
        ...parallel.map((name) => bash(name, 'sleep 4', { dependsOn: ['s3'] })),
      ],
    });
    assert.equal(run.status?.phase, 'Succeeded', JSON.stringify(run.status));
    const start = (name: string) => Date.parse(stepOf(run, name).startedAt ?? '');
    const end = (name: string) => Date.parse(stepOf(run, name).finishedAt ?? '');
    assert.ok(end('s1') <= start('s2') && end('s2') <= start('s3'));
    assert.ok(Math.min(...parallel.map(start)) >= end('s3'));
    assert.ok(
      Math.max(...parallel.map(start)) < Math.min(...parallel.map(end)),
      'all four run at one moment',
    );
  });

  test('after a failure nothing new starts, handlers and finally run, and the run says what failed', async () => {
    const run = await kit.runWorkflow('failing', {
      steps: [
        bash('good'),
        bash('bad', 'exit 7'),
        bash('never'),
        bash('handler', 'true', { runIf: 'Failure' }),
        bash('always', 'true', { runIf: 'Always' }),
      ],
      finally: [
        bash('cleanup', 'test "$PHASE" = Failed', {
          script: { bash: 'test "$PHASE" = Failed', env: { PHASE: '${{ run.phase }}' } },
        }),
      ],
    });
    assert.deepEqual(phasesOf(run), [
      'good Succeeded Completed',
      'bad Failed ExitCode',
      'never Skipped UpstreamFailed',
      'handler Succeeded Completed',
      'always Succeeded Completed',
      'cleanup Succeeded Completed',
    ]);
    assert.equal(run.status?.phase, 'Failed');
    assert.match(run.status?.message ?? '', /bad.*exit code 7/);
    assert.equal(run.status?.conditions?.[0]?.status, 'False');

    const described = await kit.kubectl(['describe', 'workflowrun', run.metadata.name ?? '']);
    assert.match(described, /ExitCode/);
  });

  test('a failed step is tried again as a new Job, and its attempts are kept', async () => {
    const run = await kit.runWorkflow('retrying', {
      steps: [bash('flaky', 'exit 1', { retry: { limit: 2, backoff: { initial: '1s', factor: 1 } } })],
    });
    const step = stepOf(run, 'flaky');
    assert.equal(step.attempt, 3);
    assert.equal(step.attempts?.length, 2);
    const jobs = await kit.kubectl([
      'get',
      'jobs',
      '-l',
      `signalbox.dev/run=${run.metadata.name}`,
      '-o',
      'name',
    ]);
    assert.equal(jobs.trim().split('\n').length, 3);
  });

  test('a failure that is forgiven does not fail the run', async () => {
    const run = await kit.runWorkflow('forgiven', {
      steps: [bash('bad', 'exit 1', { continueOnError: true }), bash('next')],
    });
    assert.equal(run.status?.phase, 'Succeeded');
    assert.equal(stepOf(run, 'bad').phase, 'Failed');
    assert.equal(stepOf(run, 'next').phase, 'Succeeded');
  });

  test('a run that exceeds its timeout is stopped gracefully, and finally runs', async () => {
    const run = await kit.runWorkflow('late', {
      timeout: '4s',
      steps: [bash('long', 'trap "echo stopped; exit 0" TERM; sleep 120 & wait'), bash('never')],
      finally: [bash('cleanup')],
    });
    assert.equal(run.status?.phase, 'TimedOut');
    assert.deepEqual(phasesOf(run).slice(1), ['never Skipped RunTimedOut', 'cleanup Succeeded Completed']);
    const logs = await kit.kubectl(['logs', `job/${stepOf(run, 'long').job?.name}`]);
    assert.match(logs, /stopped/, 'the script saw SIGTERM, and its log is kept');
  });

  test('params are checked, and a workflow that can not run says why', async () => {
    await kit.applyWorkflow('strict', {
      params: [{ name: 'size', type: 'number', required: true }],
      steps: [bash('one')],
    });
    await assert.rejects(
      kit.startRun('strict', { size: 'large' }),
      /spec\.params\.size: must be a number, and "large" is a string/,
    );
    await assert.rejects(kit.startRun('nobody'), /spec\.workflowRef\.name: there is no workflow nobody/);
    await kit.applyWorkflow('draft', { state: 'Draft', steps: [bash('one')] });
    await assert.rejects(kit.startRun('draft'), /spec\.workflowRef\.name: workflow draft is a draft/);

    await assert.rejects(
      kit.applyWorkflow('circle', {
        steps: [bash('a', 'true', { dependsOn: ['b'] }), bash('b', 'true', { dependsOn: ['a'] })],
      }),
      /"circle" is invalid: spec\.steps\[0\]\.dependsOn: makes steps wait for each other: a waits for b waits for a/,
    );
  });

  test('a run executes the workflow as it was when it began', async () => {
    await kit.applyWorkflow('edited', { steps: [bash('wait', 'sleep 3'), bash('old')] });
    const name = await kit.startRun('edited');
    await kit.waitForRun(name, (run) => run.status?.phase === 'Running');
    await kit.applyWorkflow('edited', { steps: [bash('new')] });
    const run = await kit.waitForRun(name);
    assert.deepEqual(phasesOf(run), ['wait Succeeded Completed', 'old Succeeded Completed']);
  });

  test('retention deletes the oldest runs with their Jobs and pods', async () => {
    await kit.applyWorkflow('kept', { retention: { succeeded: 1 }, steps: [bash('one')] });
    const first = await kit.waitForRun(await kit.startRun('kept'));
    await kit.waitForRun(await kit.startRun('kept'));
    const gone = ['--for=delete', '--timeout=20s'];
    await kit.kubectl(['wait', `workflowrun/${first.metadata.name}`, ...gone]);
    await kit.kubectl(['wait', `pod/${stepOf(first, 'one').job?.name}`, ...gone]);
  });

  test('the columns are those that people look for, and wait works on the condition', async () => {
    const run = await kit.runWorkflow('columns', { steps: [bash('one')] });
    const name = run.metadata.name ?? '';
    await kit.kubectl(['wait', `wfr/${name}`, '--for=condition=Succeeded', '--timeout=5s']);
    const [header = '', row = ''] = (await kit.kubectl(['get', 'wfr', name])).split('\n');
    assert.match(header, /^NAME +WORKFLOW +STATUS +PROGRESS +STEP +TRIGGERED BY +DURATION +AGE/);
    assert.match(row, /columns +Succeeded +1\/1 +Manual +\S+ +\d+s/);
    const workflows = await kit.kubectl(['get', 'wfl', 'columns']);
    assert.match(workflows, /^NAME +STATUS +TRIGGERS +LAST RUN +RESULT +NEXT RUN +AGE/);
    assert.match(workflows, /columns +Active +Manual/);
    assert.match(await kit.kubectl(['explain', 'workflow.spec.steps.script']), /Runs a script/);
  });
});

suite('the operator is replaced', () => {
  test('in the middle of a run, and another replica goes on', async () => {
    const kit = await inNamespace(await install({ name: 'e2e' }, silent), 'replaced');
    await kit.applyWorkflow('steady', { steps: ['a', 'b', 'c', 'd'].map((name) => bash(name, 'sleep 1')) });
    const name = await kit.startRun('steady');
    await kit.waitForRun(name, (run: WorkflowRun) => run.status?.progress === '1/4');
    await createKit(kit.cluster, NAMESPACE).kubectl(['delete', 'pods', '--all', '--wait=false']);
    await sleep(500);
    const run = await kit.waitForRun(name, undefined, 90_000);
    assert.equal(run.status?.phase, 'Succeeded', JSON.stringify(run.status));
    const pods = await kit.get<{ items: Pod[] }>('pods');
    assert.equal(pods.items.length, 4);
  });
});
