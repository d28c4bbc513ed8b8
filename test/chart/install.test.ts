import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type { Deployment } from 'kubernetes-types/apps/v1.d.ts';
import type { Secret } from 'kubernetes-types/core/v1.d.ts';
import { type Cluster, down, up } from '../cluster/cluster.ts';
import { run } from '../cluster/command.ts';
import { reportTo } from '../cluster/report.ts';
import { waitFor } from '../cluster/wait.ts';
import { chart, examples } from './helm.ts';

const account = 'system:serviceaccount:system:signalbox';
/** No operator runs here that could answer the API server. */
const UNATTENDED = ['--set', 'admission.enabled=false'];
let cluster: Cluster;

before(async () => {
  // What an interrupted test left behind does not count.
  await down('chart-test');
  cluster = await up({ name: 'chart-test', controlPlane: true }, reportTo(process.stderr));
  await helm('install', 'signalbox', chart, '--create-namespace');
  await helm('upgrade', 'signalbox', chart, ...UNATTENDED);
});
after(() => down('chart-test'));

function helm(...args: string[]): Promise<string> {
  return run([cluster.helm, ...args, '--kubeconfig', cluster.kubeconfig, '--namespace', 'system']);
}

function kubectl(args: string, input = ''): Promise<string> {
  return run([cluster.kubectl, '--kubeconfig', cluster.kubeconfig, ...args.split(' ')], { input });
}

async function mayDo(user: string, what: string): Promise<boolean> {
  // kubectl ends with 1 when the answer is no.
  const answer = await kubectl(`auth can-i ${what} --as=${user}`).catch(String);
  assert.match(answer, /^(yes|no)$/m);
  return /^yes$/m.test(answer);
}

test('the API server takes the pod of the operator in a namespace of the restricted profile', async () => {
  const { spec } = JSON.parse(await kubectl('get deployment signalbox -n system -o json')) as Deployment;
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'probe' }, spec: spec?.template.spec };
  await kubectl('label namespace system pod-security.kubernetes.io/enforce=restricted');
  assert.match(
    await kubectl('create --dry-run=server -n system -f -', JSON.stringify(pod)),
    /pod\/probe created/,
  );
  const host = { ...pod, spec: { ...pod.spec, hostNetwork: true } };
  await assert.rejects(
    kubectl('create --dry-run=server -n system -f -', JSON.stringify(host)),
    /violates PodSecurity/,
  );
});

test('the operator may do its work, read Secrets by name alone, and nothing with what belongs to others', async () => {
  const may = [
    'watch workflows.signalbox.dev -A',
    'patch workflowruns.signalbox.dev --subresource=status -n any',
    'create workflowruns.signalbox.dev -n any',
    'patch workflowruns.signalbox.dev -n any',
    'patch workflows.signalbox.dev -n any',
    'delete jobs.batch -n any',
    'get secrets -n any',
    'get configmaps -n any',
    'create pods -n any',
    'patch jobs.batch --subresource=status -n any',
    'create leases.coordination.k8s.io -n system',
    'list secrets -n system',
    'patch secrets -n system',
    'patch leases.coordination.k8s.io/signalbox -n system',
  ];
  const mayNot = [
    'list secrets -n any',
    'watch secrets -n any',
    'list configmaps -n any',
    'create pods --subresource=exec -n any',
    'update workflows.signalbox.dev -n any',
    'update workflowruns.signalbox.dev -n any',
    'patch deployments.apps -n system',
    'get nodes',
    'create tokenreviews.authentication.k8s.io',
    'patch leases.coordination.k8s.io/other -n system',
    'patch leases.coordination.k8s.io/signalbox -n any',
  ];
  for (const what of may) assert.ok(await mayDo(account, what), `may not ${what}`);
  for (const what of mayNot) assert.ok(!(await mayDo(account, what)), `may ${what}`);
});

test("whoever edits a namespace writes its workflows, and whoever views it sees them; status is the operator's", async () => {
  await kubectl('create rolebinding jane --clusterrole=edit --user=jane -n default');
  await kubectl('create rolebinding joe --clusterrole=view --user=joe -n default');
  // The controller-manager adds up aggregated roles some time after they are there.
  await waitFor(
    'the edit role to know workflows',
    20_000,
    async () => (await mayDo('jane', 'create workflows')) || undefined,
  );
  assert.ok(await mayDo('jane', 'create workflowruns'));
  assert.ok(!(await mayDo('jane', 'patch workflowruns --subresource=status')));
  assert.ok(await mayDo('joe', 'watch workflowruns'));
  assert.ok(!(await mayDo('joe', 'create workflowruns')));
});

test('what the notes tell to copy, and every example, is taken by the API server', async () => {
  const notes = await helm('get', 'notes', 'signalbox');
  const documents = [...notes.matchAll(/<<'END'\n(.*?)\nEND\n/gs)].map(([, text]) => text);
  assert.equal(documents.length, 2);
  for (const text of documents) assert.match(await kubectl('create --dry-run=server -f -', text), /created/);
  for (const file of await readdir(examples)) {
    assert.match(await kubectl(`create --dry-run=server -f ${path.join(examples, file)}`), /created/);
  }
});

test('an upgrade brings new CRDs, an uninstall keeps them, all workflows and the keys, an install takes them back', async () => {
  const shortNames = () => kubectl('get crd workflows.signalbox.dev -o jsonpath={.spec.names.shortNames}');
  await helm('upgrade', 'signalbox', await olderChart(), ...UNATTENDED);
  assert.equal(await shortNames(), '');
  await kubectl(`apply -f ${path.join(examples, 'hello.yaml')}`);
  await helm('upgrade', 'signalbox', chart, ...UNATTENDED);
  assert.equal(await shortNames(), '["wfl"]');
  const keys = () => kubectl('get secret signalbox-keys -n system -o jsonpath={.data}');
  const before = await keys();
  // Somebody adds a key, to write with it from now on.
  const second = Buffer.alloc(32, 7).toString('base64');
  await kubectl(`patch secret signalbox-keys -n system --patch {"data":{"k2":"${second}"}}`);
  await helm('upgrade', 'signalbox', chart, ...UNATTENDED);
  const { k1, k2 } = JSON.parse(await keys()) as Record<string, string>;
  assert.deepEqual({ k1 }, JSON.parse(before));
  assert.equal(k2, second);
  await helm('uninstall', 'signalbox');
  assert.deepEqual(JSON.parse(await keys()), { k1, k2 });
  assert.match(await kubectl('get workflows'), /^hello /m);
  await helm('install', 'signalbox', chart, ...UNATTENDED);
  assert.match(await kubectl('get workflows'), /^hello /m);
  assert.deepEqual(JSON.parse(await keys()), { k1, k2 });
});

test('for a single namespace the authority keeps its key, and its certificate is renewed by each upgrade', async () => {
  const more = ['--set', 'namespace=one,crds.install=false'];
  await kubectl('create namespace one');
  await helm('install', 'one-signalbox', chart, ...more);
  const found = async () => {
    const secret = JSON.parse(
      await kubectl('get secret one-signalbox-authority -n system -o json'),
    ) as Secret;
    const read = (name: string) => Buffer.from(secret.data?.[name] ?? '', 'base64').toString();
    const path = '{.webhooks[*].clientConfig.caBundle}';
    const configurations = 'validatingwebhookconfigurations,mutatingwebhookconfigurations';
    const trusted = await kubectl(
      `get ${configurations} one-signalbox -o jsonpath={range.items[*]}${path}{end}`,
    );
    return { certificate: read('tls.crt'), key: read('tls.key'), trusted };
  };
  const before = await found();
  await helm('upgrade', 'one-signalbox', chart, ...more, '--set', 'replicas=1');
  const after = await found();
  assert.equal(after.key, before.key);
  assert.notEqual(after.certificate, before.certificate);
  const old = new X509Certificate(before.certificate);
  assert.ok(old.checkPrivateKey(createPrivateKey(after.key)));
  // What the new one signs is trusted by who knows the old one alone.
  assert.ok(new X509Certificate(after.certificate).checkIssued(old));
  for (const { certificate, trusted } of [before, after]) {
    assert.ok(trusted.includes(Buffer.from(certificate).toString('base64')));
  }
  await helm('rollback', 'one-signalbox', '1');
  assert.deepEqual(await found(), before);
});

test('the operator of a single namespace may do nothing elsewhere, and nothing that is of the cluster', async () => {
  const user = 'system:serviceaccount:system:one-signalbox';
  const may = [
    'watch workflows.signalbox.dev -n one',
    'patch workflowruns.signalbox.dev --subresource=status -n one',
    'create localsubjectaccessreviews.authorization.k8s.io -n one',
    'get secrets -n one',
    'list secrets -n system',
    'get /openid/v1/jwks',
    'get /.well-known/openid-configuration',
  ];
  const mayNot = [
    'watch workflows.signalbox.dev -A',
    'get workflowruns.signalbox.dev -n default',
    'get secrets -n default',
    'list secrets -n one',
    'create pods -n default',
    'create localsubjectaccessreviews.authorization.k8s.io -n default',
    'create subjectaccessreviews.authorization.k8s.io',
    'create tokenreviews.authentication.k8s.io',
    'get validatingwebhookconfigurations.admissionregistration.k8s.io',
    'patch mutatingwebhookconfigurations.admissionregistration.k8s.io',
    'get namespaces',
    'get customresourcedefinitions.apiextensions.k8s.io',
    'get nodes',
  ];
  for (const what of may) assert.ok(await mayDo(user, what), `may not ${what}`);
  for (const what of mayNot) assert.ok(!(await mayDo(user, what)), `may ${what}`);
  const roles = await kubectl(
    'get clusterroles,clusterrolebindings -l app.kubernetes.io/instance=one-signalbox -o name',
  );
  assert.equal(roles, '');
});

/** A copy of the chart whose CRDs have no short names. */
async function olderChart(): Promise<string> {
  const copy = path.join(cluster.folder, 'older-chart');
  await cp(chart, copy, { recursive: true });
  const folder = path.join(copy, 'files/crds');
  for (const name of await readdir(folder)) {
    const file = path.join(folder, name);
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.replace(/^ +shortNames:\n( +- \w+\n)+/m, ''));
  }
  return copy;
}
