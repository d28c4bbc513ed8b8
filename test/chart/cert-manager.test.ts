import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Deployment } from 'kubernetes-types/apps/v1.d.ts';
import type { EnvVar } from 'kubernetes-types/core/v1.d.ts';
import type { ClusterRole } from 'kubernetes-types/rbac/v1.d.ts';
import { type Manifest, ofKind, render, type Values } from './helm.ts';

/** As far as it is of interest. */
interface Certificate extends Manifest {
  spec: {
    secretName: string;
    dnsNames?: string[];
    privateKey: { rotationPolicy: string };
    issuerRef: { name: string; kind: string; group: string };
  };
}

interface Issuer extends Manifest {
  spec: { ca?: { secretName: string }; selfSigned?: object };
}

const enabled = (more: Values = {}, issuerRef: Values = {}): Values => ({
  certManager: { enabled: true, issuerRef },
  ...more,
});

const issuersOf = (objects: readonly Manifest[]) => ofKind<Issuer>(objects, 'Issuer');

function certificateOf(objects: readonly Manifest[], name: string): Certificate {
  const found = ofKind<Certificate>(objects, 'Certificate').find(({ metadata }) => metadata.name === name);
  assert.ok(found, `there is no certificate ${name}`);
  return found;
}

function podOf(objects: readonly Manifest[]) {
  const [deployment] = ofKind<Deployment>(objects, 'Deployment');
  const pod = deployment?.spec?.template.spec;
  const env = pod?.containers[0]?.env ?? [];
  const valueOf = (name: string) => env.find((one: EnvVar) => one.name === name)?.value;
  const mounted = (path: string) => {
    const mount = pod?.containers[0]?.volumeMounts?.find(({ mountPath }) => mountPath === path);
    return pod?.volumes?.find(({ name }) => name === mount?.name)?.secret?.secretName;
  };
  return { valueOf, mounted };
}

test('the certificate is good for all names under which the operator is called, and is where it looks', async () => {
  for (const more of [{}, { fullnameOverride: 'box' }, { admission: { enabled: false } }]) {
    const objects = await render(enabled(more));
    const { valueOf, mounted } = podOf(objects);
    const [{ spec }] = ofKind<Certificate>(objects, 'Certificate') as [Certificate];
    const names = ['SIGNALBOX_RUNNER_API_NAMES', 'SIGNALBOX_ADMISSION_NAMES'].map(valueOf);
    assert.deepEqual(
      spec.dnsNames,
      names
        .filter((one) => one !== undefined)
        .join()
        .split(','),
    );
    assert.equal(mounted(valueOf('SIGNALBOX_SERVING_CERTIFICATE_DIR') ?? ''), spec.secretName);
    assert.equal(valueOf('SIGNALBOX_RUNNER_API_SECRET'), undefined);
  }
});

test('it is signed by an authority of the release, whose key stays, down from one that signs itself', async () => {
  const objects = await render(enabled());
  const issuers = new Map(issuersOf(objects).map((issuer) => [issuer.metadata.name, issuer.spec]));
  const serving = certificateOf(objects, 'demo-signalbox-serving');
  const authority = certificateOf(objects, 'demo-signalbox-ca');
  assert.deepEqual(issuers.get(serving.spec.issuerRef.name), {
    ca: { secretName: authority.spec.secretName },
  });
  assert.deepEqual(issuers.get(authority.spec.issuerRef.name), { selfSigned: {} });
  assert.equal(authority.spec.privateKey.rotationPolicy, 'Never');
  assert.equal(serving.spec.privateKey.rotationPolicy, 'Always');
});

test('an issuer of the cluster is asked where one is named, and the release has none of its own', async () => {
  const issuerOf = async (issuerRef: Values) => {
    const objects = await render(enabled({}, issuerRef));
    assert.deepEqual(issuersOf(objects), []);
    const [certificate, ...others] = ofKind<Certificate>(objects, 'Certificate');
    assert.deepEqual(others, []);
    return certificate?.spec.issuerRef;
  };
  const group = 'cert-manager.io';
  assert.deepEqual(await issuerOf({ name: 'internal' }), { name: 'internal', kind: 'Issuer', group });
  const full = { name: 'vault', kind: 'VaultIssuer', group: 'vault.example.com' };
  assert.deepEqual(await issuerOf(full), full);
});

test('cert-manager says whom to trust, and the operator neither does nor may', async () => {
  const about = async (values: Values) => {
    const objects = await render(values);
    const annotations = ['ValidatingWebhookConfiguration', 'MutatingWebhookConfiguration'].flatMap((kind) =>
      ofKind(objects, kind).map(({ metadata }) => metadata.annotations?.['cert-manager.io/inject-ca-from']),
    );
    const rights = ofKind<ClusterRole>(objects, 'ClusterRole').filter(({ rules }) =>
      rules?.some(({ apiGroups }) => apiGroups?.includes('admissionregistration.k8s.io')),
    );
    const kept = podOf(objects).valueOf('SIGNALBOX_ADMISSION_CONFIGURATION');
    return { annotations, rights: rights.map(({ metadata }) => metadata?.name), kept };
  };
  const source = 'system/demo-signalbox-serving';
  assert.deepEqual(await about(enabled()), { annotations: [source, source], rights: [], kept: undefined });
  assert.deepEqual(await about({}), {
    annotations: [undefined, undefined],
    rights: ['demo-signalbox-admission'],
    kept: 'demo-signalbox',
  });
});

test('without a runner API there is nothing to serve, and no certificate', async () => {
  const objects = await render(enabled({ runnerApi: { enabled: false } }));
  assert.deepEqual(ofKind(objects, 'Certificate').concat(issuersOf(objects)), []);
});

test("the authority of the API server's own certificate is mounted where the operator looks", async () => {
  const { valueOf, mounted } = podOf(await render({ admission: { clientCaSecret: 'webhook-client-ca' } }));
  const file = valueOf('SIGNALBOX_ADMISSION_CLIENT_CA_FILE') ?? '';
  assert.equal(mounted(file.replace(/\/ca\.crt$/, '')), 'webhook-client-ca');
});

const refused: [Values, RegExp][] = [
  [{ certManager: { enable: true } }, /'\/certManager': additional properties 'enable' not allowed/],
  [{ certManager: { issuerRef: 'internal' } }, /'\/certManager\/issuerRef': got string, want object/],
  [{ certManager: { issuerRef: { kind: 'ClusterIssuer' } } }, /'name' required, if 'kind' exists/],
];

for (const [values, message] of refused) {
  test(`refuses ${JSON.stringify(values)}`, async () => {
    await assert.rejects(render(values), message);
  });
}
