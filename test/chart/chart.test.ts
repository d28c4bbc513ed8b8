import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import type { ConfigMap, Secret } from 'kubernetes-types/core/v1.d.ts';
import type { ClusterRole, Role } from 'kubernetes-types/rbac/v1.d.ts';
import { parse } from 'yaml';
import { chart, crds, helm, ofKind, parseManifests, render, type Values } from './helm.ts';
import { argumentsOf, deploymentOf, rulesOf, webhooksOf } from './rendered.ts';

const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;
const single: Values = { namespace: 'team-a' };
const pem = (content: string) => `-----BEGIN CERTIFICATE-----\n${content}\n-----END CERTIFICATE-----\n`;
const [certificate, other] = [pem('MIIB'), pem('MIIC')];

/** What a value needs beside it to have an effect. */
const companions: Record<string, Values> = {
  's3.endpoint': { s3: { credentialsSecret: 'x' } },
  'certManager.issuerRef': { certManager: { enabled: true } },
  'authority.existingSecret': { namespace: 'team-a', authority: { certificate } },
  'authority.certificate': { namespace: 'team-a', authority: { existingSecret: 'own', certificate: other } },
};

/** Another value than the default for each that there is. */
const changes: Record<string, unknown> = {
  replicas: 3,
  'image.repository': 'registry.example.com/signalbox',
  'image.tag': 'main',
  'image.digest': digest,
  'image.pullPolicy': 'Always',
  'scriptImage.repository': 'registry.example.com/script',
  'scriptImage.tag': 'main',
  'scriptImage.digest': digest,
  'opentofuImage.repository': 'registry.example.com/opentofu',
  'opentofuImage.tag': 'main',
  'opentofuImage.digest': digest,
  'terraformImage.repository': 'registry.example.com/terraform',
  'terraformImage.tag': 'main',
  'terraformImage.digest': digest,
  'ansibleImage.repository': 'registry.example.com/ansible',
  'ansibleImage.tag': 'main',
  'ansibleImage.digest': digest,
  imagePullSecrets: [{ name: 'registry' }],
  namespace: 'team-a',
  logLevel: 'debug',
  'maxActiveRuns.cluster': 100,
  'maxActiveRuns.namespace': 10,
  'http.allow': ['10.20.0.0/16', 'vault.example.com'],
  'http.deny': ['10.96.0.0/12'],
  'proxy.http': 'http://proxy.example.com:3128',
  'proxy.https': 'http://proxy.example.com:3128',
  'proxy.noProxy': '.svc,10.0.0.0/8',
  'slack.apiUrl': 'https://relay.example.com/api',
  'runnerApi.enabled': false,
  'certManager.enabled': true,
  'certManager.issuerRef': { name: 'internal', kind: 'ClusterIssuer', group: 'cert-manager.io' },
  'authority.existingSecret': 'own-authority',
  'authority.certificate': certificate,
  'admission.enabled': false,
  'admission.clientCaSecret': 'webhook-client-ca',
  teams: { platform: { users: ['jane@example.com'], groups: [] } },
  'keys.existingSecret': 'own-keys',
  'keys.writeKey': 'k2',
  's3.endpoint': 'https://s3.example.com',
  's3.bucket': 'plans',
  's3.region': 'eu-central-1',
  's3.prefix': 'team/box',
  's3.credentialsSecret': 's3-credentials',
  's3.caSecret': 's3-ca',
  'crds.install': false,
  'rbac.aggregate': false,
  'serviceAccount.name': 'operator',
  'serviceAccount.annotations': { 'example.com/role': 'runner' },
  'metrics.service': false,
  'podDisruptionBudget.enabled': false,
  'resources.requests': { cpu: '2' },
  'resources.limits': { memory: '1Gi', cpu: 2 },
  podAnnotations: { 'example.com/scrape': 'true' },
  nodeSelector: { 'kubernetes.io/arch': 'arm64' },
  tolerations: [{ operator: 'Exists' }],
  affinity: { podAntiAffinity: {} },
  priorityClassName: 'system-cluster-critical',
  nameOverride: 'box',
  fullnameOverride: 'box',
};

test('helm finds nothing to complain about', async () => {
  for (const values of [{}, single, everything()]) {
    assert.match(await helm(['lint', '--strict'], values), /1 chart\(s\) linted, 0 chart\(s\) failed/);
  }
});

test('each value has a description, a default, and an effect of its own', async () => {
  const defaults = parse(await readFile(path.join(chart, 'values.yaml'), 'utf8')) as Values;
  const schema = JSON.parse(await readFile(path.join(chart, 'values.schema.json'), 'utf8')) as Schema;
  const inSchema = Object.keys(schema.properties ?? {}).filter((name) => name !== 'global');
  assert.deepEqual(Object.keys(defaults).sort(), inSchema.sort());
  assert.deepEqual(undescribed(schema, schema, ''), []);

  for (const [name, value] of Object.entries(changes)) {
    const beside = companions[name] ?? {};
    const [before, after] = [await render(beside), await render(withValue(beside, name, value))];
    assert.notEqual(JSON.stringify(after), JSON.stringify(before), `${name} changes nothing`);
  }
  assert.deepEqual([...leaves(defaults)].sort(), [...leaves(everything())].sort());
});

test('the operator runs in the restricted profile, on two replicas of which one may be moved at a time', async () => {
  for (const values of [{}, single, everything()]) {
    const { template } = deploymentOf(await render(values)).spec ?? {};
    const [container, ...others] = template?.spec?.containers ?? [];
    assert.deepEqual(others, []);
    assert.deepEqual(template?.spec?.securityContext, {
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    assert.deepEqual(container?.securityContext, {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    assert.equal(container?.livenessProbe?.httpGet?.path, '/livez');
    assert.equal(container?.readinessProbe?.httpGet?.path, '/readyz');
    assert.ok(container?.resources?.limits?.memory);
  }
  const objects = await render();
  assert.equal(deploymentOf(objects).spec?.replicas, 2);
  assert.equal(ofKind(objects, 'PodDisruptionBudget').length, 1);
  assert.deepEqual(ofKind(await render({ replicas: 1 }), 'PodDisruptionBudget'), []);
});

test('no role names a wildcard, or lets its holder become somebody else', async () => {
  for (const values of [{}, single, everything()]) {
    const rules = rulesOf(await render(values));
    assert.ok(rules.length > 0);
    for (const { apiGroups = [], resources = [], verbs } of rules) {
      const words = [...apiGroups, ...resources, ...verbs];
      const forbidden = ['*', 'escalate', 'bind', 'impersonate', 'pods/exec', 'serviceaccounts/token'];
      assert.deepEqual(
        words.filter((word) => forbidden.includes(word)),
        [],
      );
    }
  }
});

test('Secrets of others are read one at a time, by name; those of its own namespace are its own', async () => {
  for (const values of [{}, single, everything()]) {
    const objects = await render(values);
    const own = ofKind<Role>(objects, 'Role').filter(({ metadata }) =>
      metadata?.name?.endsWith('-artifacts'),
    );
    const rules = rulesOf(objects.filter(({ metadata }) => !metadata.name?.endsWith('-artifacts')));
    assert.deepEqual(
      rules.filter(({ resources }) => resources?.includes('secrets')).map(({ verbs }) => verbs),
      [['get']],
    );
    for (const { metadata } of own) assert.equal(metadata?.namespace, 'system');
  }
});

test('the keys are 32 bytes, other ones each time, kept when the release goes, and mounted', async () => {
  const keys = async () => {
    const [secret, ...others] = ofKind<Secret>(parseManifests(await helm(['template', 'demo'])), 'Secret');
    assert.deepEqual(others, []);
    assert.equal(secret?.metadata?.annotations?.['helm.sh/resource-policy'], 'keep');
    assert.deepEqual(Object.keys(secret?.data ?? {}), ['k1']);
    return Buffer.from(secret?.data?.['k1'] ?? '', 'base64');
  };
  const [one, two] = [await keys(), await keys()];
  assert.equal(one.length, 32);
  assert.notDeepEqual(one, two);
  const volumes = async (values: Values) => {
    const spec = deploymentOf(await render(values)).spec?.template.spec;
    return (spec?.volumes ?? []).map(({ name, secret }) => `${name} ${secret?.secretName}`);
  };
  assert.deepEqual(await volumes({}), ['keys demo-signalbox-keys']);
  const existing = { keys: { existingSecret: 'own' }, s3: { credentialsSecret: 'c', caSecret: 'a' } };
  assert.deepEqual(await volumes(existing), ['keys own', 's3 c', 's3-ca a']);
  assert.deepEqual(ofKind(await render(existing), 'Secret'), []);
});

test('the runner API is called by the name of its Service, and can be left out', async () => {
  const objects = await render();
  const { env = [], ports = [] } = deploymentOf(objects).spec?.template.spec?.containers[0] ?? {};
  const names = env.find(({ name }) => name === 'SIGNALBOX_RUNNER_API_NAMES')?.value?.split(',');
  const service = ofKind(objects, 'Service').find(({ metadata }) => metadata.name?.endsWith('-runner-api'));
  assert.equal(names?.[0], `${service?.metadata.name}.${service?.metadata.namespace}.svc`);
  assert.ok(ports.some(({ containerPort }) => containerPort === 8443));
  const without = await render({ runnerApi: { enabled: false } });
  assert.ok(!JSON.stringify(without).toLowerCase().includes('runner-api'));
  assert.deepEqual(ofKind(without, 'Secret'), []);
});

test('admission is called by the name of its Service, with a right to nothing but its own configurations', async () => {
  const objects = await render();
  const { env = [], ports = [] } = deploymentOf(objects).spec?.template.spec?.containers[0] ?? {};
  const settings = Object.fromEntries(env.map(({ name, value }) => [name, value]));
  const webhooks = webhooksOf(objects);
  assert.deepEqual(
    webhooks.map(({ name }) => name),
    [
      'workflows.signalbox.dev',
      'projects.signalbox.dev',
      'workflowruns.signalbox.dev',
      'manualruns.signalbox.dev',
    ],
  );
  for (const { clientConfig, failurePolicy, sideEffects, namespaceSelector } of webhooks) {
    const { name, namespace } = clientConfig.service ?? {};
    assert.equal(`${name}.${namespace}.svc`, settings['SIGNALBOX_ADMISSION_NAMES']);
    assert.equal(clientConfig.caBundle, undefined);
    assert.deepEqual([failurePolicy, sideEffects, namespaceSelector], ['Fail', 'None', undefined]);
  }
  assert.ok(ports.some(({ containerPort, name }) => containerPort === 9443 && name === 'admission'));
  const rights = rulesOf(objects).filter(({ apiGroups }) =>
    apiGroups?.includes('admissionregistration.k8s.io'),
  );
  assert.deepEqual(
    rights.map(({ resourceNames }) => resourceNames),
    [[settings['SIGNALBOX_ADMISSION_CONFIGURATION']]],
  );
});

test('without keys, or where it is not wanted, there is no admission', async () => {
  for (const values of [{ admission: { enabled: false } }, { runnerApi: { enabled: false } }]) {
    const without = JSON.stringify(await render(values)).toLowerCase();
    assert.ok(!without.includes('admission') && !without.includes('subjectaccessreviews'));
  }
});

test('the teams are in a file that the operator reads', async () => {
  const teams = { platform: { users: ['jane@example.com'], groups: ['on-call'] } };
  const objects = await render({ teams });
  const [map] = ofKind<ConfigMap>(objects, 'ConfigMap');
  assert.deepEqual(JSON.parse(map?.data?.['teams.json'] ?? ''), teams);
  const { env = [], volumeMounts = [] } = deploymentOf(objects).spec?.template.spec?.containers[0] ?? {};
  const file = env.find(({ name }) => name === 'SIGNALBOX_TEAMS_FILE')?.value;
  assert.ok(volumeMounts.some(({ mountPath }) => `${mountPath}/teams.json` === file));
  assert.deepEqual(ofKind(await render(), 'ConfigMap'), []);
});

test('people get roles of four kinds, of which three go into edit; one who may patch has a verb of ours', async () => {
  const roles = ofKind<ClusterRole>(await render(), 'ClusterRole');
  const aggregated = (to: string) =>
    roles
      .filter(({ metadata }) => metadata?.labels?.[`rbac.authorization.k8s.io/aggregate-to-${to}`] === 'true')
      .map(({ metadata }) => metadata?.name?.replace('demo-signalbox-', ''));
  assert.deepEqual(aggregated('view'), ['viewer']);
  for (const to of ['edit', 'admin']) {
    assert.deepEqual(aggregated(to), ['viewer', 'approver', 'operator', 'author']);
  }
  const rulesFor = (name: string) =>
    roles.find(({ metadata }) => metadata?.name === `demo-signalbox-${name}`)?.rules;
  for (const [name, own] of [
    ['approver', 'approve'],
    ['operator', 'control'],
    ['author', 'edit'],
  ] as const) {
    const writing = (rulesFor(name) ?? []).filter(({ verbs }) => verbs.includes('patch'));
    assert.ok(writing.length > 0 && writing.every(({ verbs }) => verbs.includes(own)), name);
    assert.ok(!JSON.stringify(writing).includes('/status'));
  }
  const plain = ofKind<ClusterRole>(await render({ rbac: { aggregate: false } }), 'ClusterRole');
  assert.ok(!JSON.stringify(plain).includes('aggregate-to'));
});

test('an object store needs credentials', async () => {
  await assert.rejects(render({ s3: { endpoint: 'https://s3.example.com' } }), /needs s3\.credentialsSecret/);
});

test('where calls may go is told to the operator', async () => {
  const http = { allow: ['10.20.0.0/16', 'vault.example.com'], deny: ['10.96.0.0/12'] };
  const given = argumentsOf(await render({ http }));
  assert.ok(given.includes('--http-allow=10.20.0.0/16,vault.example.com'));
  assert.ok(given.includes('--http-deny=10.96.0.0/12'));
  assert.ok(given.includes('--slack-api-url=https://slack.com/api'));
});

test('large limits are told as they are', async () => {
  const given = argumentsOf(await render({ maxActiveRuns: { cluster: 12_345_678 } }));
  assert.ok(given.includes('--max-active-runs=12345678'));
  assert.ok(!given.some((argument) => argument.startsWith('--max-active-runs-per-namespace')));
});

test('a proxy is in the environment of the operator', async () => {
  const proxyOf = async (values: Values) => {
    const { env = [] } = deploymentOf(await render(values)).spec?.template.spec?.containers[0] ?? {};
    return env.filter(({ name }) => name.endsWith('_PROXY')).map(({ name, value }) => `${name}=${value}`);
  };
  assert.deepEqual(await proxyOf({}), []);
  assert.deepEqual(await proxyOf({ proxy: { https: 'http://proxy.example.com', noProxy: '.svc' } }), [
    'HTTPS_PROXY=http://proxy.example.com',
    'NO_PROXY=.svc',
  ]);
});

test('the lease that the operator asks for is the one that it may have', async () => {
  for (const values of [{}, { fullnameOverride: 'box' }]) {
    const objects = await render(values);
    const flag = argumentsOf(objects).find((argument) => argument.startsWith('--lease-name='));
    const [rule] = rulesOf(objects).filter(({ resources }) => resources?.includes('leases'));
    assert.equal(flag, `--lease-name=${rule?.resourceNames?.join()}`);
    assert.ok(argumentsOf(objects).includes('--lease-namespace=system'));
  }
});

test('images are named by tag, by default that of the chart, or by digest', async () => {
  const image = async (values: Values) => {
    const names = ['script', 'opentofu', 'terraform', 'ansible'];
    const images = Object.fromEntries(names.map((name) => [`${name}Image`, values]));
    const objects = await render({ image: values, ...images });
    const flags = argumentsOf(objects).filter((argument) => /^--[a-z]+-image=/.test(argument));
    return [deploymentOf(objects).spec?.template.spec?.containers[0]?.image, ...flags];
  };
  const { appVersion } = parse(await readFile(path.join(chart, 'Chart.yaml'), 'utf8')) as {
    appVersion: string;
  };
  assert.deepEqual(await image({}), [
    `signalbox:${appVersion}`,
    `--script-image=signalbox-script:${appVersion}`,
    `--opentofu-image=signalbox-opentofu:${appVersion}`,
    `--terraform-image=signalbox-terraform:${appVersion}`,
    `--ansible-image=signalbox-ansible:${appVersion}`,
  ]);
  const all = (image: string) =>
    ['script', 'opentofu', 'terraform', 'ansible'].map((name) => `--${name}-image=${image}`);
  assert.deepEqual(await image({ repository: 'r', tag: 'main' }), ['r:main', ...all('r:main')]);
  assert.deepEqual(await image({ repository: 'r', tag: 'x', digest }), [
    `r@${digest}`,
    ...all(`r@${digest}`),
  ]);
});

test('the CRDs are those of crds/, upgraded with the release and kept when it goes', async () => {
  const rendered = ofKind(await render(), 'CustomResourceDefinition');
  const files = (await readdir(crds)).sort();
  const texts = await Promise.all(files.map((file) => readFile(path.join(crds, file), 'utf8')));
  const kept = texts.flatMap(parseManifests).map((crd) => ({
    ...crd,
    metadata: { ...crd.metadata, annotations: { 'helm.sh/resource-policy': 'keep' } },
  }));
  assert.ok(kept.length > 0);
  assert.deepEqual(rendered, kept);
});

const refused: [Values, RegExp][] = [
  [{ replica: 1 }, /additional properties 'replica' not allowed/],
  [{ replicas: 'two' }, /'\/replicas': got string, want integer/],
  [{ replicas: -1 }, /'\/replicas': minimum: got -1, want 0/],
  [{ image: { tagg: 'x' } }, /'\/image': additional properties 'tagg' not allowed/],
  [{ image: { repository: '' } }, /'\/image\/repository': minLength/],
  [{ image: { digest: 'sha256:12' } }, /'\/image\/digest': 'sha256:12' does not match pattern/],
  [
    { scriptImage: { pullPolicy: 'Always' } },
    /'\/scriptImage': additional properties 'pullPolicy' not allowed/,
  ],
  [{ namespace: ['a', 'b'] }, /'\/namespace': got array, want string/],
  [{ namespace: 'Team A' }, /'\/namespace': 'Team A' does not match pattern/],
  [{ logLevel: 'loud' }, /'\/logLevel': value must be one of 'debug', 'info', 'warn', 'error'/],
  [{ http: { allow: '10.0.0.0/8' } }, /'\/http\/allow': got string, want array/],
  [{ http: { allow: ['a.example.com,b.example.com'] } }, /'\/http\/allow\/0': .* does not match pattern/],
  [{ admission: { enable: true } }, /'\/admission': additional properties 'enable' not allowed/],
  [{ authority: { certificate: 'MIIB' } }, /'\/authority\/certificate': 'MIIB' does not match pattern/],
  [{ teams: { a: ['jane'] } }, /'\/teams\/a': got array, want object/],
  [{ slack: { apiUrl: 'slack.com' } }, /'\/slack\/apiUrl': 'slack.com' does not match pattern/],
  [{ imagePullSecrets: ['registry'] }, /'\/imagePullSecrets\/0': got string, want object/],
  [{ resources: { limits: { memory: true } } }, /'\/resources\/limits\/memory': got boolean/],
];

for (const [values, message] of refused) {
  test(`refuses ${JSON.stringify(values)}`, async () => {
    await assert.rejects(render(values), message);
  });
}

test('works as a dependency of another chart, which hands it global values', async () => {
  assert.deepEqual(await render({ global: { region: 'eu' } }), await render());
});

test('refuses a cluster that the operator would refuse', async () => {
  await assert.rejects(helm(['template', 'demo'], {}, '1.32.9'), /requires kubeVersion: >=1\.33\.0-0/);
});

interface Schema {
  description?: string;
  $ref?: string;
  properties?: Record<string, Schema>;
  definitions?: Record<string, Schema>;
}

/** Paths of the properties without a description, of their own or of the definition that they refer to. */
function undescribed(schema: Schema, whole: Schema, at: string): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, property]) => {
    const referred = whole.definitions?.[property.$ref?.split('/').at(-1) ?? ''];
    const own = (property.description ?? referred?.description) ? [] : [`${at}/${name}`];
    return [...own, ...undescribed(property, whole, `${at}/${name}`)];
  });
}

/** `withValue({}, 'a.b', 1)` is `{a: {b: 1}}`. */
function withValue(values: Values, name: string, value: unknown): Values {
  const [first = '', second] = name.split('.');
  return { ...values, [first]: second ? { ...(values[first] as Values), [second]: value } : value };
}

/** All changes at once. */
function everything(): Values {
  return Object.entries(changes).reduce<Values>(
    (values, [name, value]) => withValue(values, name, value),
    {},
  );
}

/** Names such as `image.tag`; two levels are as deep as the values go. */
function* leaves(values: Values): Generator<string> {
  for (const [name, value] of Object.entries(values)) {
    const group = Object.keys(changes).some((change) => change.startsWith(`${name}.`));
    if (group) yield* Object.keys(value as Values).map((inner) => `${name}.${inner}`);
    else yield name;
  }
}
