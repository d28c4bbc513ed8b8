import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '../../cluster/wait.ts';
import { inNamespace } from '../../kit/kit.ts';
import { startOperator } from '../../kit/operator-process.ts';
import { bootControlPlane } from './setup.ts';

const LIMIT_MS = 20_000;

/** The API server refuses every status of the run named bad. */
const policy = [
  {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicy',
    metadata: { name: 'refuse-bad' },
    spec: {
      failurePolicy: 'Fail',
      matchConstraints: {
        resourceRules: [
          {
            apiGroups: ['signalbox.dev'],
            apiVersions: ['v1alpha1'],
            operations: ['UPDATE'],
            resources: ['workflowruns/status'],
          },
        ],
      },
      validations: [{ expression: "object.metadata.name != 'bad'", message: 'refused for a test' }],
    },
  },
  {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata: { name: 'refuse-bad' },
    spec: { policyName: 'refuse-bad', validationActions: ['Deny'] },
  },
];

test('a run that can not be written hurts itself alone, and says so', async () => {
  await using site = await bootControlPlane('isolation');
  const kit = await inNamespace(site.cluster, 'isolation');
  for (const object of policy) await kit.apply(object);
  await kit.applyWorkflow('w', { steps: [{ name: 'only', script: { bash: 'true' } }] });
  await kit.apply({
    apiVersion: 'signalbox.dev/v1alpha1',
    kind: 'WorkflowRun',
    metadata: { name: 'bad' },
    spec: { workflowRef: { name: 'w' } },
  });
  await waitFor('the policy to be in force', LIMIT_MS, async () => {
    const patch = [
      'patch',
      'wfr',
      'bad',
      '--subresource=status',
      '--type=merge',
      '-p',
      '{"status":{"phase":"Failed"}}',
    ];
    await assert.rejects(kit.kubectl([...patch, '--dry-run=server']), /refused for a test/);
    return true;
  });

  const operator = startOperator(site.cluster, ['--identity=isolation']);
  const good = await kit.startRun('w');
  await kit.waitForRun(good, (run) => run.status?.phase === 'Running');
  await waitFor('the event on the bad run', LIMIT_MS, async () => {
    assert.match(await kit.kubectl(['describe', 'wfr', 'bad']), /ReconcileFailed.*refused for a test/);
    return true;
  });
  await operator.stop();
});
