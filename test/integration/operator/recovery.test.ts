import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { Job } from 'kubernetes-types/batch/v1.d.ts';
import type { WorkflowRun } from '../../../src/api/resources.ts';
import { jobName } from '../../../src/engine/names.ts';
import { inNamespace, type Kit, stepOf } from '../../kit/kit.ts';
import { type OperatorProcess, startOperator } from '../../kit/operator-process.ts';
import { bootControlPlane, type Site } from './setup.ts';

/** A cluster without nodes: pods are made and stay Pending, which is all that is looked at here. */
suite('a start that was cut short is done once, and one whose object was deleted is not repeated', () => {
  let site: Site;
  let kit: Kit;
  let operator: OperatorProcess;

  const restart = async () => {
    operator = startOperator(site.cluster, ['--identity=recovery']);
    await operator.ready;
  };
  const quota = (resource: string) => ({
    apiVersion: 'v1',
    kind: 'ResourceQuota',
    metadata: { name: 'none' },
    spec: { hard: { [resource]: '0' } },
  });
  const created = (kind: string, name: string) =>
    kit.kubectl(['wait', '--for=create', `${kind}/${name}`, '--timeout=10s']);
  const step = (run: WorkflowRun) => stepOf(run, 'only');
  const jobOf = (run: WorkflowRun) => step(run).job?.name ?? '';
  const pod = (name: string) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          name: 'c',
          image: 'none',
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
        },
      ],
    },
  });
  const job = (name: string) => ({
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name },
    spec: { suspend: true, template: { spec: { ...pod(name).spec, restartPolicy: 'Never' } } },
  });

  /** Leaves a run whose status says that its step has begun, while the quota keeps the object from being made. */
  async function interrupt(namespace: string, resource: string): Promise<WorkflowRun> {
    kit = await inNamespace(site.cluster, namespace);
    await kit.applyWorkflow('w', { steps: [{ name: 'only', script: { bash: 'true' } }] });
    await kit.apply(quota(resource));
    const name = await kit.startRun('w');
    const run = await kit.waitForRun(name, (run) => run.status?.steps?.[0]?.reason === 'QuotaExceeded');
    await operator.stop('SIGKILL');
    await kit.kubectl(['delete', 'resourcequota', 'none']);
    return run;
  }

  before(async () => {
    site = await bootControlPlane('recovery');
    await restart();
  });
  after(async () => {
    await operator.stop();
    await site[Symbol.asyncDispose]();
  });

  test('killed before the Job: it is made', async () => {
    const run = await interrupt('before-job', 'count/jobs.batch');
    await restart();
    await kit.waitForRun(run.metadata.name ?? '', (run) => step(run).reason === undefined);
    await created('job', jobOf(run));
    await created('pod', jobOf(run));
  });

  test('the Job was made and deleted: the step is Lost', async () => {
    const run = await interrupt('job-deleted', 'count/jobs.batch');
    await kit.apply(job(jobOf(run)));
    await kit.kubectl(['delete', 'job', jobOf(run)]);
    // As a vote does, it gives the run a version that is younger than the Job was.
    await kit.kubectl(['label', 'workflowrun', run.metadata.name ?? '', 'seen=yes']);
    await restart();
    const ended = await kit.waitForRun(run.metadata.name ?? '');
    assert.equal(step(ended).reason, 'Lost');
    assert.equal((await kit.kubectl(['get', 'jobs', '-o', 'name'])).trim(), '');
  });

  test('killed between Job and pod: the pod is made', async () => {
    const run = await interrupt('before-pod', 'pods');
    await restart();
    await kit.waitForRun(run.metadata.name ?? '', (run) => step(run).reason === undefined);
    await created('pod', jobOf(run));
  });

  test('the pod was made and deleted: the step is Lost', async () => {
    const run = await interrupt('pod-deleted', 'pods');
    await kit.apply(pod(jobOf(run)));
    await kit.kubectl(['delete', 'pod', jobOf(run), '--grace-period=0', '--force']);
    await kit.kubectl(['label', 'job', jobOf(run), 'seen=yes']);
    await restart();
    const ended = await kit.waitForRun(run.metadata.name ?? '');
    assert.equal(step(ended).reason, 'Lost');
    assert.equal((await kit.kubectl(['get', 'pods', '-o', 'name'])).trim(), '');
  });

  test('a pod or Job deleted while the operator looks on is Lost too', async () => {
    kit = await inNamespace(site.cluster, 'looking-on');
    await kit.applyWorkflow('w', { steps: [{ name: 'only', script: { bash: 'true' } }] });
    for (const kind of ['pod', 'job']) {
      const name = await kit.startRun('w');
      const run = await kit.waitForRun(name, (run) => run.status?.steps?.[0]?.job !== undefined);
      await created('pod', jobOf(run));
      await kit.kubectl(['delete', kind, jobOf(run), '--grace-period=0', '--force']);
      const ended = await kit.waitForRun(name);
      assert.equal(step(ended).reason, 'Lost', kind);
    }
  });

  test('a Job of that name which belongs to somebody else is never adopted', async () => {
    kit = await inNamespace(site.cluster, 'taken');
    await kit.applyWorkflow('w', { steps: [{ name: 'only', script: { bash: 'true' } }] });
    await operator.stop('SIGKILL');
    const name = await kit.startRun('w');
    const { metadata } = await kit.getRun(name);
    const taken = jobName({ name, uid: metadata.uid ?? '' }, 'only', 1);
    await kit.apply(job(taken));
    await restart();
    const ended = await kit.waitForRun(name);
    assert.equal(step(ended).reason, 'NameTaken');
    assert.match(step(ended).message ?? '', new RegExp(taken));
  });

  /** Makes a pod for a Job that says that the step has succeeded. */
  async function claimSuccess(name: string): Promise<void> {
    const { metadata } = await kit.get<Job>('job', name);
    const owner = { apiVersion: 'batch/v1', kind: 'Job', name, uid: metadata?.uid, controller: true };
    await kit.apply({ ...pod(name), metadata: { name, ownerReferences: [owner] } });
    const terminated = { exitCode: 0, finishedAt: '2026-01-01T00:00:00Z', message: 'forged=true' };
    const main = { name: 'main', image: 'none', imageID: '', ready: false, restartCount: 0 };
    const status = { phase: 'Succeeded', containerStatuses: [{ ...main, state: { terminated } }] };
    const patch = JSON.stringify({ status });
    await kit.kubectl(['patch', 'pod', name, '--subresource=status', '--type=merge', '-p', patch]);
  }

  test('nor does it count how the pod of such a Job has ended', async () => {
    kit = await inNamespace(site.cluster, 'taken-pod');
    await kit.applyWorkflow('w', { steps: [{ name: 'only', script: { bash: 'true' } }] });
    await operator.stop('SIGKILL');
    const name = await kit.startRun('w');
    const { metadata } = await kit.getRun(name);
    const taken = jobName({ name, uid: metadata.uid ?? '' }, 'only', 1);
    await kit.apply(job(taken));
    await claimSuccess(taken);
    await restart();
    const ended = await kit.waitForRun(name);
    assert.equal(step(ended).reason, 'NameTaken');
    assert.equal(step(ended).outputs, undefined);
  });

  test('a Job that was exchanged for another one of the run, with a pod that has succeeded, is Lost', async () => {
    kit = await inNamespace(site.cluster, 'exchanged');
    await kit.applyWorkflow('w', { steps: [{ name: 'only', script: { bash: 'true' } }] });
    const run = await kit.waitForRun(await kit.startRun('w'), (one) => step(one).job !== undefined);
    const name = jobOf(run);
    await created('pod', name);
    const { metadata } = await kit.get<Job>('job', name);
    // Stopped, it sees all of it at once.
    process.kill(operator.pid, 'SIGSTOP');
    const now = ['--ignore-not-found', '--grace-period=0', '--force'];
    for (const kind of ['job', 'pod']) await kit.kubectl(['delete', kind, name, ...now]);
    const { ownerReferences } = metadata ?? {};
    await kit.apply({ ...job(name), metadata: { name, ownerReferences } });
    await claimSuccess(name);
    process.kill(operator.pid, 'SIGCONT');
    const ended = await kit.waitForRun(run.metadata.name ?? '');
    assert.equal(step(ended).reason, 'Lost');
    assert.equal(step(ended).outputs, undefined);
  });

  test('a run whose revision was deleted ends with that reason, and its pods with it', async () => {
    kit = await inNamespace(site.cluster, 'revision');
    await kit.applyWorkflow('w', { steps: [{ name: 'only', script: { bash: 'true' } }] });
    const name = await kit.startRun('w');
    const run = await kit.waitForRun(name, (run) => run.status?.phase === 'Running');
    await created('pod', jobOf(run));
    await operator.stop('SIGKILL');
    await kit.kubectl(['delete', 'controllerrevisions', '--all']);
    await restart();
    assert.equal((await kit.waitForRun(name)).status?.reason, 'RevisionNotFound');
    await kit.kubectl(['wait', '--for=condition=Failed', 'job', jobOf(run), '--timeout=10s']);
    await kit.kubectl(['wait', '--for=delete', 'pod', jobOf(run), '--timeout=10s']);
  });
});
