import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { before, suite, test, type TestContext } from 'node:test';
import type { Project, WorkflowRun } from '../../src/api/resources.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { silent } from '../cluster/report.ts';
import { waitFor } from '../cluster/wait.ts';
import { install, loadRunner } from '../demo/install.ts';
import { loadRunnerWithProviders } from '../kit/runner-with-providers.ts';
import { examples, told } from '../kit/examples.ts';
import type { Step } from '../../src/api/step.ts';
import { approval, jane, letApprove } from '../demo/people.ts';
import { engineIn } from '../kit/engine.ts';
import { applyProjects, codeOf } from '../kit/example-projects.ts';
import { deployForge, type Forge, type Repository } from '../kit/forge.ts';
import { allowForge, type Protocol, readingFrom } from '../kit/forge-access.ts';
import { createKit, isFinished, isRunning, type Kit, stepOf } from '../kit/kit.ts';
import { deployFakeSlack, type SlackPod, slackApiUrl } from '../kit/slack-pod.ts';

const LIMIT_MS = 180_000;
const EXAMPLE = 'production-deploy';

/** The second resource takes longer than anybody waits for it. */
const SLOW = `
terraform {
  required_providers {
    time = { source = "hashicorp/time" }
  }
}
resource "terraform_data" "first" {
  input = "done"
}
resource "time_sleep" "second" {
  create_duration = "10m"
  depends_on      = [terraform_data.first]
}
`;

const bareProject = (name: string): Project => ({
  apiVersion: 'signalbox.dev/v1alpha1',
  kind: 'Project',
  metadata: { name },
  spec: { git: { url: '' } },
});

/** What was there before the change that the example makes. */
const BEFORE = { 'terraform/live.auto.tfvars': 'gateway = "v1"\nsettings = {}\n' };

suite('the deployment that everybody wants, from a git forge', () => {
  let cluster: Cluster;
  let kit: Kit;
  let forge: Forge;
  let slack: SlackPod;
  before(async () => {
    const namespace = `deploy-${randomBytes(3).toString('hex')}`;
    cluster = await install({ name: 'e2e' }, silent, { 'slack.apiUrl': slackApiUrl(namespace) });
    await Promise.all([loadRunner(cluster, 'opentofu', silent), loadRunner(cluster, 'terraform', silent)]);
    kit = createKit(cluster, namespace);
    await kit.makeNamespace();
    forge = await deployForge(cluster, kit);
    slack = await deployFakeSlack(kit);
    await allowForge(kit, forge);
    await letApprove(kit, jane);
  });

  const healthUrl = () => `http://fake-slack.${kit.namespace}.svc:8080/received`;
  const getProject = (name: string) => kit.get<Project>('project', name);
  const readyOf = ({ status }: Project) => status?.conditions?.find(({ type }) => type === 'Ready');

  async function deploy(commit: string): Promise<WorkflowRun> {
    const name = await kit.create({
      apiVersion: 'signalbox.dev/v1alpha1',
      kind: 'WorkflowRun',
      metadata: { generateName: `${EXAMPLE}-` },
      spec: {
        workflowRef: { name: EXAMPLE },
        params: { health: healthUrl() },
        trigger: {
          type: 'GitPush',
          git: { branch: 'main', commit, message: 'Add rate limiting to API', author: 'sam@example.com' },
        },
      },
    });
    await kit.waitForRun(name, ({ status }) => status?.phase === 'AwaitingApproval', LIMIT_MS);
    await kit.kubectl(approval(jane, name, 'approval'));
    return kit.waitForRun(name, isFinished, LIMIT_MS);
  }

  async function localEngine(t: TestContext, engine: 'opentofu' | 'terraform') {
    const folder = await mkdtemp(path.join(tmpdir(), 'signalbox-engine-'));
    t.after(() => rm(folder, { recursive: true }));
    return engineIn(folder, engine);
  }

  /** The Project of the example on this repository; each has a state of its own. */
  function applyExample(repository: Repository, protocol: Protocol, engine: 'opentofu' | 'terraform') {
    return applyProjects(kit, EXAMPLE, (project) => {
      const changed = readingFrom(project, repository, protocol);
      return { ...changed, spec: { ...changed.spec, terraform: { engine, workspace: engine } } };
    });
  }

  const pipelines = [
    ['opentofu', 'https'],
    ['terraform', 'ssh'],
  ] as const;
  for (const [engine, protocol] of pipelines) {
    test(`with ${engine}, over ${protocol}: what was planned is applied, tested and told`, async (t) => {
      const repository = await forge.createRepository(`api-${engine}`);
      const code = await codeOf(EXAMPLE);
      const first = await repository.push({ ...code, ...BEFORE }, { message: 'Begin' });
      await applyExample(repository, protocol, engine);
      const begun = await deploy(first);
      assert.equal(begun.status?.phase, 'Succeeded', JSON.stringify(begun.status));
      assert.equal(stepOf(begun, 'apply').summary, '1 added, 0 changed, 0 destroyed');

      const local = await localEngine(t, engine);
      await local.write({ ...code, ...BEFORE });
      await local.plan();
      await local.apply();
      await local.write(code);
      const expected = await local.plan();

      const commit = await repository.push(code, { message: 'Add rate limiting to API' });
      const run = await deploy(commit);
      assert.equal(run.status?.phase, 'Succeeded', JSON.stringify(run.status));
      assert.deepEqual(
        run.status?.steps?.map(({ name, summary }) => `${name}: ${summary}`),
        [
          'plan: 3 to add, 1 to change, 0 to destroy',
          'approval: Approved by jane@example.com',
          'apply: 3 added, 1 changed, 0 destroyed',
          'test: HTTP 200 OK',
          'notify: Message sent to #deployments',
        ],
      );
      const plan = stepOf(run, 'plan').terraform;
      assert.partialDeepStrictEqual(stepOf(run, 'approval').approval?.plans, [
        { step: 'plan', digest: plan?.digest, ...expected },
      ]);
      const apply = stepOf(run, 'apply');
      assert.partialDeepStrictEqual(plan, { ...expected, commit, drifted: true });
      assert.partialDeepStrictEqual(apply.terraform, { ...expected, commit });
      assert.deepEqual(plan?.changes?.map(({ address, action }) => `${action} ${address}`).sort(), [
        'create terraform_data.setting["cache"]',
        'create terraform_data.setting["rate-limit"]',
        'create terraform_data.setting["replicas"]',
        'update terraform_data.gateway',
      ]);
      assert.deepEqual(apply.outputs, { gateway: 'v2' });
      assert.match(
        await messageOf(run.metadata.name ?? ''),
        /Changes applied: 3 resources added, 1 resource changed\n/,
      );
      const log = await kit.kubectl(['logs', `job/${stepOf(run, 'plan').job?.name}`]);
      assert.match(log, /# terraform_data\.gateway will be updated in-place/);
      assert.match(log, /Plan: 3 to add, 1 to change, 0 to destroy\./);

      await kit.kubectl(['apply', '-f', path.join(examples, 'drift')]);
      const look = await kit.waitForRun(await kit.startRun('drift'), isFinished, LIMIT_MS);
      assert.equal(stepOf(look, 'look').summary, 'No changes');
      assert.equal(stepOf(look, 'tell').reason, 'BranchNotTaken');

      const project = await getProject('api-infrastructure');
      const state = project.status?.states?.find(({ workspace }) => workspace === engine);
      assert.equal(state?.lock, undefined);
      assert.ok((state?.versions ?? 0) >= 2, JSON.stringify(project.status));
    });
  }

  async function messageOf(run: string): Promise<string> {
    const messages = (await slack.received()).map(({ body }) => JSON.stringify(body).replaceAll('\\n', '\n'));
    return messages.find((text) => text.includes(run)) ?? '';
  }

  /** A run whose apply has made the first resource and will not end by itself, and the pod of that. */
  async function slowRun(project: string): Promise<{ name: string; pod: string }> {
    const repository = await forge.createRepository(project);
    await repository.push({ 'main.tf': SLOW });
    const reading = readingFrom(bareProject(project), repository, 'https');
    const terraform = {
      image: await loadRunnerWithProviders(cluster),
      providerMirror: { path: '/providers' },
    };
    await kit.apply({ ...reading, spec: { ...reading.spec, terraform } });
    const step = (name: string, more: object) => ({ name, terraform: { project, ...more } });
    await kit.applyWorkflow(project, {
      steps: [step('plan', { action: 'plan' }), step('apply', { action: 'apply', plan: 'plan' })] as Step[],
    });
    const name = await kit.startRun(project);
    const running = await kit.waitForRun(name, (run) => isRunning(run, 'apply'), LIMIT_MS);
    const pod = stepOf(running, 'apply').job?.name ?? '';
    await waitFor('the first resource', LIMIT_MS, async () => {
      const log = await kit.kubectl(['logs', pod]).catch(() => '');
      return /terraform_data\.first: Creation complete/.test(log) || undefined;
    });
    const lock = await waitFor('the lock', LIMIT_MS, async () => lockOf(await getProject(project)));
    assert.equal(lock.pod, pod);
    return { name, pod };
  }

  const lockOf = ({ status }: Project) => status?.states?.[0]?.lock;

  /** The project once nobody holds its lock. */
  const unlocked = (project: string) =>
    waitFor('the release of the lock', LIMIT_MS, async () => {
      const found = await getProject(project);
      return found.status?.states?.length && !lockOf(found) ? found : undefined;
    });

  test('a deployment that is cancelled in the middle leaves the state whole and unlocked', async () => {
    const { name, pod } = await slowRun('slow');
    await kit.kubectl(['annotate', 'workflowrun', name, 'signalbox.dev/cancel=true']);
    const run = await kit.waitForRun(name, isFinished, LIMIT_MS);
    const apply = stepOf(run, 'apply');
    assert.equal(run.status?.phase, 'Cancelled');
    assert.equal(apply.terraform?.add, 1, JSON.stringify(apply));
    assert.match(apply.message ?? '', /^The run was cancelled, and the step was stopped\. .*1 added/);
    const log = await kit.kubectl(['logs', pod]);
    assert.equal(log.match(/Interrupt received/g)?.length, 1, log);
    assert.ok(((await unlocked('slow')).status?.states?.[0]?.serial ?? 0) > 0);
  });

  test('a lock whose pod was killed is shown, and broken by a person alone', async () => {
    const { name, pod } = await slowRun('killed');
    await kit.kubectl([
      'annotate',
      'project',
      'killed',
      `signalbox.dev/unlock=${lockOf(await getProject('killed'))?.id}`,
    ]);
    await waitFor('the refusal', LIMIT_MS, async () => {
      return (
        (await told(kit, 'killed')).includes('UnlockRefused: The lock is held by step apply') || undefined
      );
    });
    await kit.kubectl(['delete', 'pod', pod, '--grace-period=0', '--force']);
    const run = await kit.waitForRun(name, isFinished, LIMIT_MS);
    assert.equal(run.status?.phase, 'Failed');
    const orphaned = await waitFor('the orphaned lock', LIMIT_MS, async () => {
      const lock = lockOf(await getProject('killed'));
      return lock?.orphaned ? lock : undefined;
    });
    assert.match(await kit.kubectl(['get', 'project', 'killed']), / Orphaned /);
    await kit.kubectl(['annotate', 'project', 'killed', `signalbox.dev/unlock=${orphaned.id}`]);
    await unlocked('killed');
    assert.match(
      await told(kit, 'killed'),
      /^Unlocked: The lock that step apply of run killed-\w+ had left/m,
    );
  });

  test('a project says whether its repository can be reached, and why not', async () => {
    const repository = await forge.createRepository('reach');
    const commit = await repository.push({ 'main.tf': '' });
    const projectOf = (name: string, git: Partial<Project['spec']['git']>): Project => {
      const reading = readingFrom(bareProject(name), repository, 'https');
      return { ...reading, spec: { ...reading.spec, git: { ...reading.spec.git, ref: 'main', ...git } } };
    };
    const cases: [name: string, git: Partial<Project['spec']['git']>, reason: string][] = [
      ['reachable', {}, 'Reachable'],
      ['by-ssh', { url: repository.sshUrl, credentials: { name: 'git-ssh' } }, 'Reachable'],
      ['no-ref', { ref: 'gone' }, 'RefNotFound'],
      ['no-secret', { credentials: { name: 'nowhere' } }, 'CredentialsMissing'],
      ['wrong-secret', { credentials: { name: 'slack' } }, 'CredentialsMissing'],
    ];
    for (const [name, git] of cases) await kit.apply(projectOf(name, git));
    for (const [name, , reason] of cases) {
      const ready = await waitFor(`the verdict on ${name}`, LIMIT_MS, async () => {
        const found = readyOf(await getProject(name));
        return found && found.reason !== 'Checking' ? found : undefined;
      });
      assert.equal(ready.reason, reason, `${name}: ${ready.message}`);
    }
    assert.equal((await getProject('reachable')).status?.commit, commit);
    assert.match(
      await kit.kubectl(['get', 'projects', 'reachable']),
      new RegExp(`main +Reachable +${commit}`),
    );
  });

  test('two regions are planned by one step and applied side by side', async () => {
    const repository = await forge.createRepository('regions');
    await repository.push(await codeOf('multi-region'));
    await applyProjects(kit, 'multi-region', (project) => readingFrom(project, repository, 'https'));
    const run = await kit.waitForRun(
      await kit.startRun('multi-region', { health: healthUrl() }),
      isFinished,
      LIMIT_MS,
    );
    assert.equal(run.status?.phase, 'Succeeded', JSON.stringify(run.status));
    for (const region of ['us', 'eu']) {
      assert.equal(stepOf(run, `plan[${region}]`).summary, '1 to add, 0 to change, 0 to destroy');
      assert.deepEqual(stepOf(run, `apply-${region}`).outputs, { region });
    }
    const [us, eu] = [stepOf(run, 'apply-us'), stepOf(run, 'apply-eu')];
    assert.ok((us.startedAt ?? '') < (eu.finishedAt ?? '') && (eu.startedAt ?? '') < (us.finishedAt ?? ''));
  });
});
