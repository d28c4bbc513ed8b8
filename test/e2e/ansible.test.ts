import assert from 'node:assert/strict';
import { before, suite, test } from 'node:test';
import type { AnsibleStep } from '../../src/api/ansible-step.ts';
import type { Project, WorkflowRun } from '../../src/api/resources.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { silent } from '../cluster/report.ts';
import { install, loadRunner, runnerImage } from '../demo/install.ts';
import { printedRecap } from '../kit/ansible-recap.ts';
import { applyProjects, codeOf } from '../kit/example-projects.ts';
import { runNow } from '../kit/examples.ts';
import { deployForge, type Forge, type Repository } from '../kit/forge.ts';
import { allowForge, readingFrom } from '../kit/forge-access.ts';
import { deployFakeGalaxy } from '../kit/galaxy-pod.ts';
import { inNamespace, isFinished, type Kit, phasesOf, stepOf } from '../kit/kit.ts';
import { deploySshHosts, type SshHosts } from '../kit/ssh-host.ts';

const LIMIT_MS = 180_000;
const EXAMPLE = 'configure-web';
const web = { groups: '{"web": ["web1", "web2"]}' };

const play = (tasks: string) =>
  `- hosts: web\n  gather_facts: false\n  tasks:\n${tasks.trim().replace(/^/gm, '    ')}\n`;

suite('Ansible steps on hosts that are reached by SSH', () => {
  let cluster: Cluster;
  let kit: Kit;
  let forge: Forge;
  let hosts: SshHosts;
  before(async () => {
    cluster = await install({ name: 'e2e' }, silent);
    await loadRunner(cluster, 'ansible', silent);
    kit = await inNamespace(cluster, 'ansible');
    [forge, hosts] = await Promise.all([
      deployForge(cluster, kit),
      deploySshHosts(cluster, kit, ['web1', 'web2']),
    ]);
    await allowForge(kit, forge);
    await secret('web-servers-ssh', { 'ssh-privatekey': hosts.privateKey, known_hosts: hosts.knownHosts });
  });

  const secret = (name: string, stringData: Record<string, string>) =>
    kit.apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name }, stringData });

  /** A Project of its own for a test, on a new repository with these files. */
  async function project(
    name: string,
    files: Record<string, string>,
    ansible: object = {},
  ): Promise<Repository> {
    const repository = await forge.createRepository(name);
    await repository.push({
      'group_vars/all.yml': 'ansible_python_interpreter: auto_silent\n',
      ...files,
    });
    const spec = {
      git: { url: repository.sshUrl },
      ansible: { user: hosts.user, credentials: { name: 'web-servers-ssh' }, ...ansible },
    };
    const object: Project = {
      apiVersion: 'signalbox.dev/v1alpha1',
      kind: 'Project',
      metadata: { name },
      spec,
    };
    await kit.apply(readingFrom(object, repository, 'ssh'));
    return repository;
  }

  const runStep = (name: string, step: Partial<AnsibleStep> = {}): Promise<WorkflowRun> =>
    kit.runWorkflow(
      name,
      {
        steps: [{ name: 'play', ansible: { project: name, playbook: 'site.yml', inventory: web, ...step } }],
      },
      {},
      LIMIT_MS,
    );

  const logOf = (run: WorkflowRun, step: string) =>
    kit.kubectl(['logs', `job/${stepOf(run, step).job?.name}`]);

  test('the example: hosts from the outputs of a step, a look at what would change, and the change', async () => {
    const repository = await forge.createRepository('web-servers');
    const commit = await repository.push(await codeOf(EXAMPLE, 'code'));
    await applyProjects(kit, EXAMPLE, (project) => readingFrom(project, repository, 'https'));
    const deploy = async (release: string) =>
      kit.waitForRun(await runNow(kit, EXAMPLE, { release }), isFinished, LIMIT_MS);
    const run = await deploy('1.4.2');
    assert.deepEqual(
      phasesOf(run),
      ['hosts Succeeded Completed', 'preview Succeeded Completed', 'configure Succeeded Completed'],
      JSON.stringify(run.status),
    );

    for (const step of ['preview', 'configure']) {
      const log = await logOf(run, step);
      const { ansible } = stepOf(run, step);
      assert.equal(ansible?.commit, commit);
      assert.deepEqual(ansible?.hosts, printedRecap(log), log);
      assert.equal(ansible?.hosts?.length, 2);
    }
    assert.match(await logOf(run, 'preview'), /^\+<p>Release 1\.4\.2<\/p>$/m);
    assert.equal(stepOf(run, 'configure').summary, '2 hosts: 5 ok, 4 changed');
    assert.deepEqual(stepOf(run, 'configure').outputs, { release: '1.4.2' });
    for (const host of ['web1', 'web2']) {
      const page = await hosts.exec(host, ['cat', '/home/ops/site/index.html']);
      assert.equal(page, `<!doctype html>\n<title>${host}</title>\n<p>Release 1.4.2</p>\n`);
    }

    const again = await deploy('1.4.2');
    assert.equal(stepOf(again, 'preview').summary, '2 hosts: 5 ok, 0 changed (check mode)');
    assert.deepEqual(phasesOf(again).at(-1), 'configure Skipped WhenFalse');
  });

  test('a failed host and one that is not there are told apart, and the other one is worked on', async () => {
    await project('failing', {
      'site.yml': play(`
- {name: work, command: touch ~/worked, when: inventory_hostname != 'web2'}
- {name: break, command: test -e /nowhere, when: inventory_hostname == 'web2'}
`),
    });
    const groups =
      '{"web": {"web1": null, "web2": null, "gone": {"ansible_host": "web1", "ansible_port": 1}}}';
    const run = await runStep('failing', { inventory: { groups } });
    const step = stepOf(run, 'play');
    assert.deepEqual([step.phase, step.reason], ['Failed', 'PlaybookFailed'], JSON.stringify(run.status));
    assert.match(step.message ?? '', /gone: ok=0 changed=0 unreachable=1 failed=0; web2: .* failed=1\./);
    const byName = (a: { host?: string | undefined }, b: { host?: string | undefined }) =>
      (a.host ?? '') < (b.host ?? '') ? -1 : 1;
    assert.deepEqual(step.ansible?.hosts?.toSorted(byName), printedRecap(await logOf(run, 'play')));
    await hosts.exec('web1', ['test', '-e', '/home/ops/worked']);
  });

  test('a host whose key is not known is refused, whatever ansible.cfg says', async () => {
    const onlyWeb1 = hosts.knownHosts.split('\n').filter((line) => line.startsWith('web1,'));
    await secret('half-known', {
      'ssh-privatekey': hosts.privateKey,
      known_hosts: `${onlyWeb1.join('\n')}\n`,
    });
    const careless = '-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null';
    const settings = `ssh_args = ${careless}\nssh_common_args = ${careless}`;
    const files = {
      'site.yml': play('- command: touch ~/reached'),
      'ansible.cfg': `[defaults]\nhost_key_checking = False\n[ssh_connection]\n${settings}\n`,
    };
    await project('careless', files, { credentials: { name: 'half-known' } });
    const run = await runStep('careless');
    const step = stepOf(run, 'play');
    assert.deepEqual([step.phase, step.reason], ['Failed', 'HostKeyUnknown'], JSON.stringify(run.status));
    assert.equal(step.summary, '2 hosts: 1 ok, 1 changed, 1 unreachable');
    await hosts.exec('web1', ['test', '-e', '/home/ops/reached']);
    await assert.rejects(hosts.exec('web2', ['test', '-e', '/home/ops/reached']));

    // By way of web2, whose key is asked for too. What the first ssh says of that, the second one does not pass on.
    const jump = {
      'site.yml': play('- ping:'),
      'group_vars/web.yml': `ansible_ssh_common_args: -J ${hosts.user}@web2\n`,
    };
    await project('jump-unknown', jump, { credentials: { name: 'half-known' } });
    const refused = stepOf(await runStep('jump-unknown', { limit: 'web1' }), 'play');
    assert.deepEqual([refused.phase, refused.reason], ['Failed', 'HostUnreachable'], JSON.stringify(refused));
    await project('jump', jump);
    const through = stepOf(await runStep('jump', { limit: 'web1' }), 'play');
    assert.equal(through.phase, 'Succeeded', JSON.stringify(through));
  });

  test('the hosts can be what Terraform gives as outputs', async () => {
    await loadRunner(cluster, 'opentofu', silent);
    await project('made', {
      'main.tf':
        'output "addresses" {\n  value = { web1 = { ansible_user = "ops" }, web2 = { note = "{{ 1 + 1 }}" } }\n}\n',
      'site.yml': play(
        '- set_stats: {data: {"{{ inventory_hostname }}": "{{ note | default(ansible_user) }}"}}',
      ),
    });
    const groups = '{"web": steps.apply.outputs.addresses}';
    const run = await kit.runWorkflow(
      'made',
      {
        steps: [
          { name: 'apply', terraform: { project: 'made', action: 'apply', autoApprove: true } },
          { name: 'play', ansible: { project: 'made', playbook: 'site.yml', inventory: { groups } } },
        ],
      },
      {},
      LIMIT_MS,
    );
    assert.equal(run.status?.phase, 'Succeeded', JSON.stringify(run.status));
    assert.deepEqual(stepOf(run, 'play').outputs, { web1: 'ops', web2: '{{ 1 + 1 }}' });
  });

  test('collections come from a mirror, and what is encrypted is opened by the password of a Secret', async () => {
    const galaxyServer = await deployFakeGalaxy(kit);
    await secret('vault', { password: 'sesame' });
    await project(
      'vaulted',
      {
        'requirements.yml': 'collections: [{name: example.tools, version: ">=1.0.0"}]\n',
        'group_vars/web/secret.yml': await encrypted('word: from the vault\n', 'sesame'),
        'site.yml': play(
          `- {no_log: true, copy: {dest: ~/word, content: "{{ word | example.tools.shout }}"}}\n- set_stats: {data: {length: "{{ word | length }}"}}\n  run_once: true`,
        ),
      },
      { requirements: 'requirements.yml', galaxyServer, vault: { name: 'vault', key: 'password' } },
    );
    const run = await runStep('vaulted');
    assert.equal(stepOf(run, 'play').phase, 'Succeeded', JSON.stringify(run.status));
    assert.deepEqual(stepOf(run, 'play').outputs, { length: 14 });
    assert.equal(await hosts.exec('web2', ['cat', '/home/ops/word']), 'FROM THE VAULT!');

    await secret('vault', { password: 'wrong' });
    const refused = stepOf(await runStep('vaulted'), 'play');
    assert.deepEqual([refused.phase, refused.reason], ['Failed', 'VaultDenied'], JSON.stringify(refused));
  });

  /** Encrypts with the real ansible-vault, in a pod. */
  async function encrypted(text: string, password: string): Promise<string> {
    const script =
      'printf %s "$PASSWORD" > /tmp/password && printf %s "$TEXT" | ansible-vault encrypt --vault-password-file=/tmp/password';
    const bash = `${script} > /tmp/out 2>/dev/null; python3 -c 'import json; json.dump({"text": open("/tmp/out").read()}, open("'"$SIGNALBOX_OUTPUT"'", "w"))'`;
    const step = {
      name: 'encrypt',
      script: { image: runnerImage('ansible'), env: { TEXT: text, PASSWORD: password }, bash },
    };
    const run = await kit.runWorkflow('encrypt', { steps: [step] }, {}, LIMIT_MS);
    return String(stepOf(run, 'encrypt').outputs?.['text']);
  }
});
