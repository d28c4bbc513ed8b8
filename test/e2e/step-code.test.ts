import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { before, suite, test } from 'node:test';
import { RUNNER_ENV, RUNNER_PATHS } from '../../src/api/runner.ts';
import type { Project, WorkflowRun } from '../../src/api/resources.ts';
import type { Step } from '../../src/api/step.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { silent } from '../cluster/report.ts';
import { install, loadRunner, NAMESPACE } from '../demo/install.ts';
import { deployForge, type Forge } from '../kit/forge.ts';
import { allowForge, readingFrom } from '../kit/forge-access.ts';
import { writing } from '../kit/git-push.ts';
import { createKit, inNamespace, type Kit, stepOf } from '../kit/kit.ts';
import { type Attempt, type Findings, findingsIn, probe } from '../kit/pod-probe.ts';

const LIMIT_MS = 180_000;
const ENFORCE = 'pod-security.kubernetes.io/enforce';

/** Folders of an image, which nothing in a container may change. */
const OF_IMAGE = ['/', '/etc', '/usr/local/bin', '/usr/share/signalbox', '/var'];

const runnerApi = `https://signalbox-runner-api.${NAMESPACE}.svc:8443`;
const state = `${runnerApi}/v1/state`;
const grant = { variable: RUNNER_ENV.grant };
const tokenFile = RUNNER_PATHS.token;

/** What anybody in the cluster can try. */
const fromAnywhere: Record<string, Attempt> = {
  'the API of Kubernetes': { url: 'https://kubernetes.default.svc/api/v1/namespaces/kube-system/secrets' },
  'the runner API': { url: state },
  'the runner API with tokens of their own making': {
    url: state,
    headers: { authorization: 'Bearer x.y.z', 'signalbox-grant': 'e30.x' },
  },
  'the webhooks, for something else': { url: `https://signalbox-admission.${NAMESPACE}.svc/v1/state` },
};
const refusedAnywhere = {
  'the API of Kubernetes': '403 Forbidden',
  'the runner API': '401 TokenMissing',
  'the runner API with tokens of their own making': '401 GrantInvalid',
  'the webhooks, for something else': '404 NotFound',
};

/** What code can try that runs beside a runner, as its user. */
const besideRunner: Record<string, Attempt> = {
  ...fromAnywhere,
  'the token of the pod at the API of Kubernetes': {
    url: 'https://kubernetes.default.svc/api/v1/namespaces/kube-system/secrets',
    tokenFile,
  },
  'the state of another Project': {
    url: state,
    tokenFile,
    grant: { ...grant, replace: ['"project":"', '"project":"x'] },
  },
  'a state of another namespace': {
    url: state,
    tokenFile,
    grant: { ...grant, replace: ['"namespace":"', '"namespace":"x'] },
  },
  'a plan that the step does not carry out': { url: `${runnerApi}/v1/bundle`, tokenFile, grant },
};
const refusedBesideRunner = {
  ...refusedAnywhere,
  'the token of the pod at the API of Kubernetes': '401 Unauthorized',
  'the state of another Project': '401 GrantInvalid',
  'a state of another namespace': '401 GrantInvalid',
  'a plan that the step does not carry out': '403 NotGranted',
};

const projectNamed = (name: string): Project => ({
  apiVersion: 'signalbox.dev/v1alpha1',
  kind: 'Project',
  metadata: { name },
  spec: { git: { url: '' } },
});

/** Asserts that a process is held as the restricted profile has it, and more: the root can not be written. */
function assertRestricted({ uid, capabilities, noNewPrivileges, seccomp, writes }: Findings): void {
  assert.equal(uid, '65532 65532 65532 65532');
  assert.deepEqual(capabilities, []);
  assert.equal(noNewPrivileges, '1');
  // Filtered.
  assert.equal(seccomp, '2');
  assert.deepEqual(writes, Object.fromEntries(OF_IMAGE.map((folder) => [folder, 'EROFS'])));
}

suite('code that runs in a container of Signalbox', () => {
  let cluster: Cluster;
  let kit: Kit;
  let forge: Forge;
  before(async () => {
    cluster = await install({ name: 'e2e' }, silent);
    await Promise.all([loadRunner(cluster, 'opentofu', silent), loadRunner(cluster, 'ansible', silent)]);
    kit = await inNamespace(cluster, 'step-code');
    forge = await deployForge(cluster, kit);
    await allowForge(kit, forge);
  });

  async function runOnProject(name: string, files: Record<string, string>, step: Step): Promise<WorkflowRun> {
    const repository = await forge.createRepository(name);
    await repository.push(files);
    await kit.apply(readingFrom(projectNamed(name), repository, 'https'));
    return kit.runWorkflow(name, { steps: [step] }, {}, LIMIT_MS);
  }

  async function findingsOf(run: WorkflowRun, step: string): Promise<Findings> {
    assert.equal(run.status?.phase, 'Succeeded', JSON.stringify(run.status));
    return findingsIn(await kit.kubectl(['logs', `job/${stepOf(run, step).job?.name}`]));
  }

  test('the namespace of the steps enforces the restricted profile, and so can that of the operator', async () => {
    const { metadata } = await kit.get<{ metadata: { labels: Record<string, string> } }>(
      'namespace',
      kit.namespace,
    );
    assert.equal(metadata.labels[ENFORCE], 'restricted');
    const { kubectl } = createKit(cluster, NAMESPACE);
    await kubectl(['label', 'namespace', NAMESPACE, `${ENFORCE}=restricted`, '--overwrite']);
    await kubectl(['rollout', 'restart', 'deployment/signalbox']);
    // Pods that it did not take would never be there.
    await kubectl(['rollout', 'status', 'deployment/signalbox', '--timeout=50s']);
  });

  test('the operator is no root, has no capability and no way to one, and can not write its root', async () => {
    const code = probe(OF_IMAGE, {});
    const { kubectl } = createKit(cluster, NAMESPACE);
    assertRestricted(findingsIn(await kubectl(['exec', 'deploy/signalbox', '--', 'node', '-e', code])));
  });

  test('a script is held the same way, has no token, and is refused wherever it goes', async () => {
    const run = await kit.runWorkflow('probe-script', {
      steps: [{ name: 'look', script: { node: probe(OF_IMAGE, fromAnywhere) } }],
    });
    const found = await findingsOf(run, 'look');
    assertRestricted(found);
    assert.equal(found.token, false);
    assert.deepEqual(found.answers, refusedAnywhere);
  });

  test('a program that Terraform starts is held the same way, and gets no more from the runner API than its step', async () => {
    const main =
      'resource "terraform_data" "look" {\n  provisioner "local-exec" {\n    command = "node probe.js"\n  }\n}\n';
    const files = { 'main.tf': main, 'probe.js': probe(OF_IMAGE, besideRunner) };
    const apply: Step = {
      name: 'look',
      terraform: { project: 'probe-terraform', action: 'apply', autoApprove: true },
    };
    const found = await findingsOf(await runOnProject('probe-terraform', files, apply), 'look');
    assertRestricted(found);
    assert.equal(found.token, false);
    assert.deepEqual(found.answers, refusedBesideRunner);
  });

  test('a task of Ansible is held the same way, and gets no more from the runner API than its step', async () => {
    const site = [
      '- hosts: localhost',
      '  connection: local',
      '  gather_facts: false',
      '  tasks:',
      '    - ansible.builtin.command: node {{ playbook_dir }}/probe.js',
      '      register: look',
      '    - ansible.builtin.debug: {msg: "{{ look.stdout }}"}',
      '',
    ].join('\n');
    const files = { 'site.yml': site, 'probe.js': probe(OF_IMAGE, besideRunner) };
    const play: Step = {
      name: 'look',
      ansible: { project: 'probe-ansible', playbook: 'site.yml', inventory: { inline: 'localhost\n' } },
    };
    const found = await findingsOf(await runOnProject('probe-ansible', files, play), 'look');
    assertRestricted(found);
    assert.equal(found.token, false);
    assert.deepEqual(found.answers, refusedBesideRunner);
  });

  test('a submodule whose address is a folder of the pod is not fetched', async () => {
    const name = 'evil-submodule';
    const repository = await forge.createRepository(name);
    await repository.pushChange(async (folder, git) => {
      await writing({
        'main.tf': 'output "word" { value = "done" }\n',
        '.gitmodules': '[submodule "evil"]\n\tpath = evil\n\turl = file:///signalbox\n',
      })(folder, git);
      await mkdir(path.join(folder, 'evil'));
      await git('update-index', '--add', '--cacheinfo', `160000,${'a'.repeat(40)},evil`);
    });
    const object = readingFrom(projectNamed(name), repository, 'https');
    await kit.apply({ ...object, spec: { ...object.spec, git: { ...object.spec.git, submodules: true } } });
    const steps: Step[] = [{ name: 'look', terraform: { project: name, action: 'plan' } }];
    const run = await kit.runWorkflow(name, { steps }, {}, LIMIT_MS);
    assert.equal(stepOf(run, 'look').reason, 'ProtocolRefused', JSON.stringify(run.status));
  });
});
