import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { inNamespace, stepOf } from '../../kit/kit.ts';
import { type OperatorProcess, startOperator } from '../../kit/operator-process.ts';
import { bootControlPlane, type Site } from './setup.ts';

/** A cluster without nodes: what keeps a start from being made is all that is looked at here. */
suite('a start that the cluster refuses or leaves waiting', () => {
  let site: Site;
  let operator: OperatorProcess;

  before(async () => {
    site = await bootControlPlane('refusal');
    operator = startOperator(site.cluster, ['--identity=refusal']);
    await operator.ready;
  });
  after(async () => {
    await operator.stop();
    await site[Symbol.asyncDispose]();
  });

  test('for a webhook that does not answer shows that, and is made once it is gone', async () => {
    const kit = await inNamespace(site.cluster, 'webhook');
    await kit.applyWorkflow('w', { steps: [{ name: 'only', script: { bash: 'true' } }] });
    await kit.apply({
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingWebhookConfiguration',
      metadata: { name: kit.namespace },
      webhooks: [
        {
          name: 'down.signalbox.dev',
          admissionReviewVersions: ['v1'],
          sideEffects: 'None',
          clientConfig: { url: 'https://127.0.0.1:1/' },
          namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': kit.namespace } },
          rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }],
        },
      ],
    });
    const name = await kit.startRun('w');
    const held = await kit.waitForRun(
      name,
      (run) => run.status?.steps?.[0]?.reason === 'InternalError',
      20_000,
    );
    assert.match(stepOf(held, 'only').message ?? '', /down\.signalbox\.dev/);

    await kit.kubectl(['delete', 'validatingwebhookconfiguration', kit.namespace]);
    await kit.kubectl(['wait', '--for=create', `pod/${stepOf(held, 'only').job?.name}`, '--timeout=20s']);
    await kit.waitForRun(name, (run) => stepOf(run, 'only').reason === undefined, 5_000);
  });

  test('is taken back after pendingTimeout, however short the timeout of the step', async () => {
    const kit = await inNamespace(site.cluster, 'pending');
    const spec = {
      podDefaults: { pendingTimeout: '2s' },
      steps: [{ name: 'only', timeout: '1s', script: { bash: 'true' } }],
    };
    const run = await kit.runWorkflow('w', spec, {}, 20_000);
    assert.equal(stepOf(run, 'only').reason, 'PendingTimeout');
    assert.equal((await kit.kubectl(['get', 'pods', '-o', 'name'])).trim(), '');
  });
});
