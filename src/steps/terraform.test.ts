import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { ProjectSpec } from '../api/project.ts';
import { RUNNER_ENV, runnerTask, type TerraformDetails } from '../api/runner.ts';
import type { Step } from '../api/step.ts';
import type { TerraformStep } from '../api/terraform-step.ts';
import { fakeWorkshop, type FakeWorkshop } from './fake-program.ts';
import { jobOf } from './job.ts';
import type { Program } from './step-type.ts';
import { terraform } from './terraform.ts';

const git = { url: 'https://git.example.com/api.git', ref: 'main', credentials: { name: 'git' } };
const digest = `sha256:${'a'.repeat(64)}`;
const commit = 'b'.repeat(40);
const counts = { add: 1, change: 0, destroy: 0, import: 0, replace: 0, outputs: 0 };
const plans: Record<string, TerraformDetails> = { plan: { ...counts, digest, commit } };

const stepOf = (member: Partial<TerraformStep>): Step => ({
  name: 's',
  terraform: { project: 'api', action: 'plan', ...member },
});

function programOf(
  member: Partial<TerraformStep>,
  project: Partial<ProjectSpec> = {},
  more: FakeWorkshop = {},
) {
  const workshop = fakeWorkshop({ projects: { api: { git, ...project } }, plans, ...more });
  return terraform.program(stepOf(member), workshop);
}

const valueOf = ({ env }: Program, name: string) =>
  (env.find((variable) => variable.name === name)?.value ?? '').replaceAll('$$', '$');
const taskOf = (program: Program) => runnerTask.parse(JSON.parse(valueOf(program, RUNNER_ENV.task)));
const grantOf = (program: Program): unknown => JSON.parse(valueOf(program, RUNNER_ENV.grant));

suite('the program of a Terraform step', () => {
  test('runs in the image of the engine unless the Project names one', () => {
    assert.equal(programOf({}).image, 'tofu-image');
    assert.equal(programOf({}, { terraform: { engine: 'terraform' } }).image, 'terraform-image');
    assert.equal(programOf({}, { terraform: { image: 'own' } }).image, 'own');
  });

  test('tells the runner what to do, with the values of the step before those of the Project', () => {
    const settings = { vars: { region: 'eu', size: 1 }, version: '1.12', lockTimeout: '90s' };
    const { source, terraform: task } = taskOf(programOf({ vars: { size: 2 } }, { terraform: settings }));
    assert.deepEqual(source, { url: git.url, ref: 'main', submodules: false, credentials: true });
    assert.deepEqual(task?.vars, { region: 'eu', size: 2 });
    assert.equal(task?.version, '1.12');
    assert.equal(task?.lockTimeout, '90s');
    assert.equal(task?.state, 'managed');
    assert.equal(task?.workspace, 'default');
  });

  test('carries out the plan of the row that it names, and may reach no other', () => {
    const program = programOf({ action: 'apply', plan: 'plan' });
    assert.deepEqual(taskOf(program).terraform?.plan, { row: 'plan', digest, commit });
    assert.partialDeepStrictEqual(grantOf(program), {
      project: 'api',
      action: 'apply',
      managed: true,
      plan: { row: 'plan', digest },
    });
  });

  test('is not made without the plan that it carries out', () => {
    assert.throws(() => programOf({ action: 'apply', plan: 'plan[us]' }), {
      reason: 'PlanMissing',
      passing: false,
    });
  });

  test('is not made while its Project is missing', () => {
    assert.throws(() => programOf({ project: 'other' }), { reason: 'ProjectNotFound', passing: true });
  });

  test('gets Secrets from the kubelet alone, and says which variables hold them', () => {
    const program = programOf(
      {},
      {
        secrets: { TOKEN: { name: 'cloud', key: 'token' } },
        terraform: { varsFrom: { password: { name: 'db', key: 'password' } } },
      },
    );
    assert.deepEqual(taskOf(program).masked, ['TOKEN', 'TF_VAR_password']);
    assert.deepEqual(
      program.env.find(({ name }) => name === 'TF_VAR_password'),
      {
        name: 'TF_VAR_password',
        valueFrom: { secretKeyRef: { name: 'db', key: 'password' } },
      },
    );
    assert.deepEqual(
      program.mounts?.map(({ path }) => path),
      ['/signalbox/git', '/signalbox/api'],
    );
  });

  test('has another hash once the Project is edited, and the same when only its description is', () => {
    const hashOf = (project: Partial<ProjectSpec>) => taskOf(programOf({}, project)).terraform?.projectHash;
    assert.equal(hashOf({ description: 'x' }), hashOf({ description: 'y' }));
    assert.notEqual(hashOf({ env: { A: '1' } }), hashOf({ env: { A: '2' } }));
    assert.notEqual(hashOf({ terraform: { vars: { a: 1 } } }), hashOf({ terraform: { vars: { a: 2 } } }));
  });

  test('stays on its node while it changes something, and has its grace period to end', () => {
    const podOf = (member: Partial<TerraformStep>) => {
      const attempt = { name: 'j', row: 's', step: stepOf(member), attempt: 1, program: programOf(member) };
      const owner = { namespace: 'ns', name: 'r', uid: 'u', workflow: 'w' };
      return jobOf(owner, { ...attempt, podDefaults: {}, madeAfter: '7' }).spec?.template;
    };
    const apply = podOf({ action: 'apply', plan: 'plan', gracePeriod: '20m' });
    const key = 'cluster-autoscaler.kubernetes.io/safe-to-evict';
    assert.equal(apply?.metadata?.annotations?.[key], 'false');
    assert.equal(apply?.metadata?.labels?.['signalbox.dev/runner'], 'true');
    assert.equal(apply?.spec?.terminationGracePeriodSeconds, 1200);
    assert.equal(apply?.spec?.shareProcessNamespace, false);
    assert.equal(podOf({})?.metadata?.annotations, undefined);
    assert.equal(podOf({})?.spec?.terminationGracePeriodSeconds, 600);
  });

  test('mounts what a Project says about providers', () => {
    const terraform = { providerMirror: { claim: 'mirror' }, pluginCache: { claim: 'cache' } };
    const program = programOf({}, { terraform });
    assert.deepEqual(taskOf(program).terraform?.mirror, { filesystem: '/signalbox/mirror' });
    assert.deepEqual(
      program.mounts?.slice(-2).map(({ path, writable }) => [path, writable]),
      [
        ['/signalbox/mirror', undefined],
        ['/signalbox/plugins', true],
      ],
    );
    const network = { providerMirror: { url: 'https://mirror.example.com/' } };
    assert.deepEqual(taskOf(programOf({}, { terraform: network })).terraform?.mirror, {
      network: 'https://mirror.example.com/',
    });
  });
});

test('templates are replaced in the project, the plan and the values', () => {
  const asked: string[] = [];
  const note = (field: string) => {
    asked.push(field);
    return 'x';
  };
  const spec = stepOf({ action: 'apply', plan: 'plan[${{ item }}]', vars: { a: { b: ['${{ item }}'] } } });
  terraform.resolve(spec, { text: note, scalar: note });
  assert.deepEqual(asked, ['terraform.vars.a.b[0]', 'terraform.project', 'terraform.plan']);
});
