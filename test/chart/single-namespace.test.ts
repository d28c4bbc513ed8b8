import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import type { ValidatingAdmissionPolicyBinding } from 'kubernetes-types/admissionregistration/v1.d.ts';
import type { Secret } from 'kubernetes-types/core/v1.d.ts';
import type { ClusterRole } from 'kubernetes-types/rbac/v1.d.ts';
import { helm, type Manifest, ofKind, parseManifests, render, type Values } from './helm.ts';
import { argumentsOf, deploymentOf, webhooksOf } from './rendered.ts';

const single: Values = { namespace: 'team-a' };
const certificate = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';

test('with a single namespace, admission is about that one', async () => {
  const selector = { matchLabels: { 'kubernetes.io/metadata.name': 'team-a' } };
  const objects = await render(single);
  for (const { namespaceSelector } of webhooksOf(objects)) assert.deepEqual(namespaceSelector, selector);
  const [binding] = ofKind<ValidatingAdmissionPolicyBinding>(objects, 'ValidatingAdmissionPolicyBinding');
  assert.deepEqual(binding?.spec?.matchResources, { namespaceSelector: selector });
});

test('with a single namespace there is no ClusterRole, whatever else is set', async () => {
  const more: Values[] = [
    {},
    { certManager: { enabled: true } },
    { admission: { enabled: false } },
    { runnerApi: { enabled: false } },
    { authority: { existingSecret: 'own', certificate } },
  ];
  for (const values of more) {
    const text = JSON.stringify(await render({ ...values, ...single }));
    assert.ok(!text.includes('ClusterRole'));
  }
  const wide = (await render(single)).filter(({ metadata }) => metadata.namespace === undefined);
  assert.deepEqual(wide.map(({ kind }) => kind).sort(), [
    ...Array.from({ length: 3 }, () => 'CustomResourceDefinition'),
    'MutatingWebhookConfiguration',
    'ValidatingAdmissionPolicy',
    'ValidatingAdmissionPolicyBinding',
    'ValidatingWebhookConfiguration',
  ]);
});

test('with a single namespace, the chart makes the authority, and says to trust it', async () => {
  const made = async () => {
    const objects = parseManifests(await helm(['template', 'demo', '--namespace', 'system'], single));
    const secret = ofKind<Secret>(objects, 'Secret').find(({ type }) => type === 'kubernetes.io/tls');
    const webhooks = webhooksOf(objects);
    assert.equal(webhooks.length, 4);
    for (const { clientConfig } of webhooks) assert.equal(clientConfig.caBundle, secret?.data?.['tls.crt']);
    const { env = [], volumeMounts = [] } = deploymentOf(objects).spec?.template.spec?.containers[0] ?? {};
    const settings = Object.fromEntries(env.map(({ name, value }) => [name, value]));
    const mount = volumeMounts.find(
      ({ mountPath }) => mountPath === settings['SIGNALBOX_SERVING_AUTHORITY_DIR'],
    );
    const volumes = deploymentOf(objects).spec?.template.spec?.volumes ?? [];
    const volume = volumes.find(({ name }) => name === mount?.name);
    assert.equal(volume?.secret?.secretName, secret?.metadata?.name);
    assert.equal(settings['SIGNALBOX_ADMISSION_CONFIGURATION'], undefined);
    const read = (name: string) => Buffer.from(secret?.data?.[name] ?? '', 'base64').toString();
    return { certificate: new X509Certificate(read('tls.crt')), key: createPrivateKey(read('tls.key')) };
  };
  const [one, two] = [await made(), await made()];
  for (const { certificate, key } of [one, two]) {
    assert.ok(
      certificate.ca && certificate.checkPrivateKey(key) && certificate.verify(certificate.publicKey),
    );
    assert.equal(key.asymmetricKeyType, 'ec');
    const years = (Date.parse(certificate.validTo) - Date.now()) / (365 * 24 * 60 * 60_000);
    assert.equal(Math.round(years), 10);
  }
  assert.ok(!one.key.equals(two.key));
});

test('an authority of somebody else is named, and its certificate told', async () => {
  const objects = await render({ ...single, authority: { existingSecret: 'own', certificate } });
  for (const { clientConfig } of webhooksOf(objects)) {
    assert.equal(Buffer.from(clientConfig.caBundle ?? '', 'base64').toString(), certificate);
  }
  const volumes = deploymentOf(objects).spec?.template.spec?.volumes ?? [];
  assert.equal(volumes.find(({ name }) => name === 'authority')?.secret?.secretName, 'own');
  const secrets = ofKind(objects, 'Secret').map(({ metadata }) => metadata.name);
  assert.deepEqual(secrets, ['demo-signalbox-keys']);
  await assert.rejects(
    render({ ...single, authority: { existingSecret: 'own' } }),
    /authority\.existingSecret needs authority\.certificate/,
  );
  for (const values of [{}, { ...single, certManager: { enabled: true } }]) {
    assert.ok(
      !JSON.stringify(await render(values))
        .toLowerCase()
        .includes('authority'),
    );
  }
});

test('with a single namespace, people get the same roles there, and they go into no others', async () => {
  const rules = (objects: readonly Manifest[], kind: string) =>
    ofKind<ClusterRole>(objects, kind)
      .filter(({ metadata }) => /-(viewer|approver|operator|author)$/.test(metadata?.name ?? ''))
      .map(({ metadata, rules }) => [metadata?.name, rules]);
  const objects = await render(single);
  assert.deepEqual(rules(objects, 'Role'), rules(await render(), 'ClusterRole'));
  assert.equal(rules(objects, 'Role').length, 4);
  assert.ok(!JSON.stringify(objects).includes('aggregate-to'));
});

test('with a single namespace, and no admission, nothing but the CRDs is of the cluster', async () => {
  const wide = async (values: Values) => {
    const objects = await render({ ...single, crds: { install: false }, ...values });
    const found = objects.filter(({ metadata }) => metadata.namespace === undefined);
    return found.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
  };
  assert.deepEqual(await wide({ admission: { enabled: false } }), []);
  assert.deepEqual(await wide({ runnerApi: { enabled: false } }), []);
  const objects = await render({ ...single, runnerApi: { enabled: false } });
  const namespaces = ofKind(objects, 'Role').map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
  const forPeople = ['viewer', 'approver', 'operator', 'author'].map((who) => `team-a/demo-signalbox-${who}`);
  assert.deepEqual(namespaces, ['team-a/demo-signalbox', 'system/demo-signalbox-lease', ...forPeople]);
  assert.ok(argumentsOf(objects).includes('--namespace=team-a'));
});
