import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { Project } from '../../src/api/resources.ts';
import { type Cluster, down } from '../cluster/cluster.ts';
import { run as command } from '../cluster/command.ts';
import { silent } from '../cluster/report.ts';
import { boot, install, loadRunner, NAMESPACE } from '../demo/install.ts';
import { deployForge } from '../kit/forge.ts';
import { allowForge, readingFrom } from '../kit/forge-access.ts';
import { createKit, isFinished, type Kit, type Spec, stepOf } from '../kit/kit.ts';

const LIMIT_MS = 180_000;
const NAME = 'namespaced';
const TEAM = 'team-a';

const CODE = `
resource "terraform_data" "gateway" {
  input = "v1"
}
output "gateway" {
  value = terraform_data.gateway.output
}
`;

const DEPLOY: Spec = {
  steps: [
    { name: 'plan', terraform: { project: 'network', action: 'plan' } },
    { name: 'approval', approval: { approvers: ['group:on-call', 'user:ada@example.com'] } },
    { name: 'apply', terraform: { project: 'network', action: 'apply', plan: 'plan' } },
    {
      name: 'tell',
      script: { env: { GATEWAY: '${{ steps.apply.outputs.gateway }}' }, bash: 'echo "$GATEWAY"' },
    },
  ] as Spec['steps'],
};

/** People, by impersonation, with the Roles that the chart has put into the namespace. */
const PEOPLE = {
  ada: { user: 'ada@example.com', group: 'developers', roles: ['author', 'operator', 'approver'] },
  jane: { user: 'jane@example.com', group: 'on-call', roles: ['approver'] },
  otto: { user: 'otto@example.com', group: 'developers', roles: ['approver'] },
} as const;
type Person = keyof typeof PEOPLE;

const bindingOf = (user: string, kind: 'Role' | 'ClusterRole', role: string) => ({
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'RoleBinding',
  metadata: { name: `${user.split('@')[0]}-${role}` },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name: role },
  subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: user }],
});

suite('an installation for a single namespace, with no right on the cluster', () => {
  let cluster: Cluster;
  let team: Kit;
  let elsewhere: Kit;
  before(async () => {
    // What an interrupted test left behind does not count.
    await down(NAME);
    cluster = await boot({ name: NAME }, silent);
    [team, elsewhere] = [createKit(cluster, TEAM), createKit(cluster, 'team-b')];
    await Promise.all([team.makeNamespace(), elsewhere.makeNamespace()]);
    await installAgain();
    await loadRunner(cluster, 'opentofu', silent);
    const roles = Object.values(PEOPLE).flatMap(({ user, roles }) =>
      roles.map((role) => bindingOf(user, 'Role', `signalbox-${role}`)),
    );
    // An author needs the rights of what workflows are made of.
    await team.apply(listOf([...roles, bindingOf(PEOPLE.ada.user, 'ClusterRole', 'edit')]));
    const forge = await deployForge(cluster, team);
    await allowForge(team, forge);
    const repository = await forge.createRepository('network');
    await repository.push({ 'main.tf': CODE });
    const project = { apiVersion: 'signalbox.dev/v1alpha1', kind: 'Project', metadata: { name: 'network' } };
    await as(
      'ada',
      ['apply', '-f', '-'],
      readingFrom({ ...project, spec: { git: { url: '' } } } as Project, repository, 'https'),
    );
    await as('ada', ['apply', '-f', '-'], workflowOf('deploy', DEPLOY));
  });
  after(() => down(NAME));

  const listOf = (items: readonly object[]) => ({ apiVersion: 'v1', kind: 'List', items });
  const workflowOf = (name: string, spec: object) => ({
    apiVersion: 'signalbox.dev/v1alpha1',
    kind: 'Workflow',
    metadata: { name },
    spec,
  });

  /** By helm, as people do: installs, or upgrades with the pods replaced. */
  const installAgain = (more: Readonly<Record<string, string>> = {}) =>
    install({ name: NAME }, silent, { namespace: TEAM, logLevel: 'debug', ...more });

  function as(person: Person, args: readonly string[], input?: object): Promise<string> {
    const { user, group } = PEOPLE[person];
    const groups = [group, 'system:authenticated'].map((one) => `--as-group=${one}`);
    return team.kubectl([`--as=${user}`, ...groups, ...args], input && JSON.stringify(input));
  }

  async function startAs(person: Person, workflow: string): Promise<string> {
    const name = await as(person, ['create', '-o', 'name', '-f', '-'], {
      apiVersion: 'signalbox.dev/v1alpha1',
      kind: 'WorkflowRun',
      metadata: { generateName: `${workflow}-` },
      spec: { workflowRef: { name: workflow } },
    });
    return name.trim().replace(/^.*\//, '');
  }

  const approve = (person: Person, name: string) =>
    as(person, ['annotate', 'workflowrun', name, 'signalbox.dev/approve=approval']);

  const logs = () =>
    command([
      cluster.kubectl,
      '--kubeconfig',
      cluster.kubeconfig,
      '-n',
      NAMESPACE,
      'logs',
      '--tail=-1',
      '-l',
      'app.kubernetes.io/name=signalbox',
    ]);

  test('the release has no role of the cluster', async () => {
    const roles = await team.kubectl([
      'get',
      'clusterroles,clusterrolebindings',
      '-l',
      'app.kubernetes.io/instance=signalbox',
      '-o',
      'name',
    ]);
    assert.equal(roles, '');
    const account = `--as=system:serviceaccount:${NAMESPACE}:signalbox`;
    const may = await elsewhere.kubectl([account, 'auth', 'can-i', '--list', '--no-headers']);
    assert.doesNotMatch(may, /signalbox\.dev|secrets|pods|jobs/);
  });

  test('what was planned is approved by who is asked, and applied', async () => {
    const name = await startAs('ada', 'deploy');
    await team.waitForRun(name, ({ status }) => status?.phase === 'AwaitingApproval', LIMIT_MS);
    await assert.rejects(approve('ada', name), /denied the request: .*ada@example\.com started this run/);
    await assert.rejects(approve('otto', name), /denied the request: .*otto@example\.com/);
    await assert.rejects(as('jane', ['label', 'workflowrun', name, 'a=b']), /denied the request: .*edit/);
    await approve('jane', name);
    const run = await team.waitForRun(name, isFinished, LIMIT_MS);
    assert.equal(run.status?.phase, 'Succeeded', JSON.stringify(run.status));
    assert.equal(stepOf(run, 'plan').summary, '1 to add, 0 to change, 0 to destroy');
    assert.equal(stepOf(run, 'approval').summary, 'Approved by jane@example.com');
    assert.equal(stepOf(run, 'apply').summary, '1 added, 0 changed, 0 destroyed');
    const [state] = (await team.get<Project>('project', 'network')).status?.states ?? [];
    assert.ok((state?.serial ?? 0) > 0 && state?.lock === undefined);
  });

  test('another namespace is out of reach, and nobody is asked about it', async () => {
    const wrong = {
      steps: [
        { name: 'a', dependsOn: ['b'], script: { bash: 'true' } },
        { name: 'b', dependsOn: ['a'], script: { bash: 'true' } },
      ],
    };
    await assert.rejects(
      as('ada', ['apply', '-f', '-'], workflowOf('wrong', wrong)),
      /The Workflow "wrong" is invalid: .*wait for each other/,
    );
    await elsewhere.apply(workflowOf('wrong', wrong));
    const hello = { steps: [{ name: 'a', script: { bash: 'true' } }] } as Spec;
    await elsewhere.applyWorkflow('hello', hello);
    const there = await elsewhere.startRun('hello');
    // Made later, and done: the other one would be, too.
    const here = await team.runWorkflow('hello', hello);
    assert.equal(here.status?.phase, 'Succeeded');
    const run = await elsewhere.getRun(there);
    assert.deepEqual(
      [run.status, run.metadata.annotations, run.metadata.finalizers],
      [undefined, undefined, undefined],
    );
    assert.equal(await elsewhere.kubectl(['get', 'jobs,pods,events', '-o', 'name']), '');
  });

  test('nothing that the operator asked for was forbidden', async () => {
    const text = await logs();
    assert.match(text, /"msg":"leading"/);
    // As an error of the API server says it: verb, resource, reason.
    assert.doesNotMatch(text, /[a-z]+ [a-z/]+: Forbidden: /);
  });

  test('an upgrade renews the authority, and people go on voting', async () => {
    const bundle = () =>
      team.kubectl([
        'get',
        'mutatingwebhookconfiguration',
        'signalbox',
        '-o',
        'jsonpath={.webhooks[0].clientConfig.caBundle}',
      ]);
    const old = await bundle();
    const name = await startAs('ada', 'deploy');
    await team.waitForRun(name, ({ status }) => status?.phase === 'AwaitingApproval', LIMIT_MS);
    await installAgain({ 'podAnnotations.again': 'yes' });
    assert.notEqual(await bundle(), old);
    await assert.rejects(approve('otto', name), /denied the request: .*otto@example\.com/);
    await approve('jane', name);
    const run = await team.waitForRun(name, isFinished, LIMIT_MS);
    assert.equal(stepOf(run, 'apply').summary, '0 added, 0 changed, 0 destroyed', JSON.stringify(run.status));
  });
});
