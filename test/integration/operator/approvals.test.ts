import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Project } from '../../../src/api/resources.ts';
import type { RunnerReport } from '../../../src/api/runner.ts';
import type { StepStatus, WorkflowRunStatus } from '../../../src/api/workflow-run.ts';
import { waitFor } from '../../cluster/wait.ts';
import { createHands, type Hands } from '../../kit/hands.ts';
import { inNamespace } from '../../kit/kit.ts';
import { type OperatorProcess, startOperator } from '../../kit/operator-process.ts';
import { createKeysFolder, createVoting, type KeysFolder } from '../../kit/voting.ts';
import { bootControlPlane, type Site } from './setup.ts';

const jane = { username: 'jane@example.com', groups: ['platform'] };
const joe = { username: 'joe', groups: ['platform'] };
const author = { username: 'adam', groups: ['platform'] };
const outsider = { username: 'mallory', groups: ['sales'] };

const script = (name: string) => ({ name, script: { bash: 'true' } });
const approval = (more: object = {}) => ({
  name: 'approval',
  approval: { approvers: ['team:platform'], ...more },
});
const WAITING = 1000;
const QUIET_MS = 10_000;

suite('approvals', () => {
  let site: Site;
  let keys: KeysFolder;
  let operator: OperatorProcess;
  let hands: Hands;
  let voting: ReturnType<typeof createVoting>;
  let namespace: string;

  const restart = async () => {
    operator = startOperator(site.cluster, [
      '--identity=approvals',
      `--keys-dir=${keys.folder}`,
      '--runner-api-port=0',
    ]);
    await operator.ready;
  };
  const rowOf = ({ steps = [] }: WorkflowRunStatus = {}, name: string): StepStatus => {
    const row = steps.find((step) => step.name === name);
    assert.ok(row, `there is no row ${name}`);
    return row;
  };
  const statusOf = async (name: string) => (await hands.run(name)).status ?? {};
  const waits = (name: string) => hands.runIs(name, ({ status }) => status?.phase === 'AwaitingApproval');
  const ends = (name: string) => hands.runIs(name, ({ status }) => status?.finishedAt !== undefined);
  const told = async (name: string) => {
    const { metadata } = await hands.run(name);
    return (await hands.told(metadata.uid ?? '')).map(({ text }) => text);
  };

  before(async () => {
    site = await bootControlPlane('approvals');
    keys = await createKeysFolder();
    ({ namespace } = await inNamespace(site.cluster, 'approvals'));
    hands = await createHands(site.cluster, namespace);
    voting = createVoting(hands, keys, namespace);
    await hands.apply('deploy', { steps: [approval(), script('apply')] });
    await hands.apply('pair', { steps: [approval({ required: 2 }), script('apply')] });
    await restart();
  });
  after(async () => {
    await operator.stop();
    await hands[Symbol.asyncDispose]();
    await keys[Symbol.asyncDispose]();
    await site[Symbol.asyncDispose]();
  });

  /** A run that waits for approval. */
  async function waiting(workflow: string): Promise<string> {
    const name = await voting.start(workflow, author);
    await waits(name);
    return name;
  }

  test('the plan that is shown is approved by somebody else, and applied', async () => {
    const git = { url: 'https://git.example.com/api.git' };
    const project: Project = {
      apiVersion: 'signalbox.dev/v1alpha1',
      kind: 'Project',
      metadata: { namespace, name: 'api' },
      spec: { git, terraform: { engine: 'opentofu', state: 'managed' } },
    };
    await hands.projects.create(project);
    await hands.apply('infrastructure', {
      steps: [
        { name: 'plan', terraform: { project: 'api', action: 'plan' } },
        approval({ timeout: '1h', message: 'Deploy ${{ run.name }}' }),
        { name: 'apply', terraform: { project: 'api', action: 'apply', plan: 'plan' } },
      ],
    });
    const name = await voting.start('infrastructure', author);
    const digest = `sha256:${'a'.repeat(64)}`;
    const counts = { add: 3, change: 1, destroy: 0, import: 0, replace: 0, outputs: 0 };
    const changes = [{ address: 'terraform_data.a', action: 'create' as const }];
    const commit = 'b'.repeat(40);
    const planned: RunnerReport = {
      reason: 'Completed',
      commit,
      terraform: { ...counts, commit, digest, changes, drifted: true },
    };
    await hands.endPod(name, 'plan', 0, JSON.stringify(planned));
    const { status } = await waits(name);
    assert.equal(status?.currentStep, 'approval');
    const { approval: asked } = rowOf(status, 'approval');
    assert.equal(asked?.digest, digest);
    assert.deepEqual(asked?.plans, [
      { step: 'plan', digest, commit, add: 3, change: 1, destroy: 0, import: 0, replace: 0, changes },
    ]);
    assert.equal(asked?.message, `Deploy ${name}`);

    assert.match((await voting.vote(name, author, { approve: 'approval' })) ?? '', /adam started this run/);
    assert.match(
      (await voting.vote(name, outsider, { approve: 'approval' })) ?? '',
      /mallory may not decide/,
    );
    assert.equal(await voting.vote(name, jane, { approve: 'approval', comment: 'go' }), undefined);
    const report: RunnerReport = { reason: 'Completed', commit, terraform: { ...counts, commit } };
    await hands.endPod(name, 'apply', 0, JSON.stringify(report));
    const { status: end } = await ends(name);
    assert.equal(end?.phase, 'Succeeded');
    const row = rowOf(end, 'approval');
    assert.deepEqual(
      [row.phase, row.reason, row.summary],
      ['Succeeded', 'Approved', 'Approved by jane@example.com'],
    );
    assert.deepEqual(
      row.approval?.votes?.map(({ user, comment }) => [user, comment]),
      [['jane@example.com', 'go']],
    );
    assert.match(
      (await voting.vote(name, joe, { approve: 'approval' })) ?? '',
      /The run has ended already: it is Succeeded/,
    );
    const events = await told(name);
    assert.ok(
      events.some((text) =>
        /^Normal ApprovalRequested: Step approval: Waits .* plan: 3 to add, 1 to change, 0 to destroy$/.test(
          text,
        ),
      ),
      events.join('\n'),
    );
    assert.ok(events.includes('Normal Approved: Step approval: Approved by jane@example.com.'));
  });

  test('a rejection ends the run, and says why', async () => {
    const name = await waiting('deploy');
    await voting.vote(name, jane, { reject: 'approval', comment: 'not on a Friday' });
    const { status } = await ends(name);
    assert.equal(rowOf(status, 'approval').message, 'Rejected by jane@example.com: not on a Friday');
    assert.equal(rowOf(status, 'apply').reason, 'UpstreamFailed');
    await waitFor(
      'the Event',
      60_000,
      async () => (await told(name)).some((text) => text.startsWith('Warning Rejected:')) || undefined,
    );
  });

  test('silence is TimedOut', async () => {
    await hands.apply('short', { steps: [approval({ timeout: '1s' }), script('apply')] });
    const { status } = await ends(await voting.start('short', author));
    assert.deepEqual([status?.phase, rowOf(status, 'approval').reason], ['Failed', 'TimedOut']);
  });

  test('votes are taken back, and come from two people at once', async () => {
    const name = await waiting('pair');
    await voting.vote(name, jane, { approve: 'approval' });
    await hands.runIs(name, ({ status }) => rowOf(status, 'approval').approval?.votes?.length === 1);
    assert.equal(await voting.vote(name, jane, { withdraw: 'approval' }), undefined);
    await hands.runIs(
      name,
      ({ status }) => rowOf(status, 'approval').approval?.votes?.[0]?.decision === 'Withdraw',
    );
    await voting.vote(name, joe, { approve: 'approval' });
    await hands.runIs(name, ({ status }) => rowOf(status, 'approval').approval?.votes?.length === 2);
    assert.equal((await statusOf(name)).phase, 'AwaitingApproval');
    await voting.vote(name, jane, { approve: 'approval' });
    await hands.endPod(name, 'apply');
    const { status } = await ends(name);
    assert.equal(rowOf(status, 'approval').summary, 'Approved by joe and jane@example.com');
  });

  test('the vote on one run is none on another, and is told of once', async () => {
    const [first, second] = [await waiting('pair'), await waiting('deploy')];
    await voting.vote(first, jane, { approve: 'approval' });
    const { annotations = {} } = (await hands.run(first)).metadata;
    const stolen = Object.entries(annotations).find(([name]) => name.startsWith('signalbox.dev/vote-')) ?? [
      '',
      '',
    ];
    await hands.runs.patch(
      { namespace, name: second },
      { metadata: { annotations: { [stolen[0]]: stolen[1] } } },
    );
    for (const touch of ['1', '2']) {
      await hands.runs.patch({ namespace, name: second }, { metadata: { labels: { touch } } });
    }
    const after = await hands.runIs(second, ({ metadata }) => metadata.labels?.['touch'] === '2');
    await sleep(1000);
    assert.equal(after.status?.phase, 'AwaitingApproval');
    assert.deepEqual((await told(second)).filter((text) => text.includes('VoteIgnored')).length, 1);
    // A vote that was asked for past admission is nobody's.
    await hands.annotateRun(second, { approve: 'approval' });
    await sleep(500);
    assert.equal((await statusOf(second)).phase, 'AwaitingApproval');
  });

  test('a status that says that a step was approved starts nothing', async () => {
    const name = await waiting('deploy');
    const { metadata, status = {} } = await hands.run(name);
    const time = new Date().toISOString();
    const forged = (status.steps ?? []).map(
      (row): StepStatus =>
        row.type === 'approval' ? { ...row, phase: 'Succeeded', reason: 'Approved', finishedAt: time } : row,
    );
    await hands.runs.patchStatus(
      { namespace, name, resourceVersion: metadata.resourceVersion ?? '' },
      { steps: forged },
    );
    const { status: end } = await ends(name);
    assert.deepEqual([end?.phase, rowOf(end, 'apply').reason], ['Failed', 'NotApproved']);
    const { items } = await hands.pods.list({ namespace, labelSelector: `signalbox.dev/run=${name}` });
    assert.deepEqual(items, []);
  });

  test('a vote that was taken counts once, also when the operator is killed', async () => {
    for (let kill = 0; kill < 5; kill += 1) {
      const name = await waiting('deploy');
      assert.equal(await voting.vote(name, jane, { approve: 'approval' }), undefined);
      await sleep(kill * 8);
      await operator.stop('SIGKILL');
      await restart();
      await hands.endPod(name, 'apply');
      const { status } = await ends(name);
      assert.deepEqual([status?.phase, rowOf(status, 'apply').attempt], ['Succeeded', 1]);
    }
  });

  test(`${WAITING} runs that wait cost nothing while nothing happens`, async (t) => {
    const names: string[] = [];
    for (let made = 0; made < WAITING; made += 50) {
      names.push(...(await Promise.all(Array.from({ length: 50 }, () => voting.start('deploy', author)))));
    }
    for (const name of names) await waits(name);
    // What the last of them brought about is over.
    await sleep(3000);
    const [reconciles, cpu] = [await reconcilesOf(operator), operator.cpuSeconds()];
    await sleep(QUIET_MS);
    const worked = (await reconcilesOf(operator)) - reconciles;
    t.diagnostic(
      `${names.length} runs: ${worked} reconciles and ${(operator.cpuSeconds() - cpu).toFixed(2)} s of CPU in ${QUIET_MS} ms`,
    );
    assert.equal(worked, 0);
  });
});

/** How often the run controller has worked, whatever came of it. */
async function reconcilesOf(operator: OperatorProcess): Promise<number> {
  const line = /^signalbox_reconcile_duration_seconds_count\{controller="run",result="\w+"\} (\d+)$/gm;
  return [...(await operator.metrics()).matchAll(line)].reduce((sum, [, count]) => sum + Number(count), 0);
}
