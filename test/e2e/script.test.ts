import assert from 'node:assert/strict';
import { before, suite, test } from 'node:test';
import type { Job } from 'kubernetes-types/batch/v1.d.ts';
import type { Pod } from 'kubernetes-types/core/v1.d.ts';
import { silent } from '../cluster/report.ts';
import { install } from '../demo/install.ts';
import { inNamespace, type Kit, phasesOf, stepOf } from '../kit/kit.ts';

suite('script steps in real containers', () => {
  let kit: Kit;
  before(async () => {
    kit = await inNamespace(await install({ name: 'e2e' }, silent), 'scripts');
  });

  test('bash, python and node take values by environment and give outputs', async () => {
    const run = await kit.runWorkflow(
      'languages',
      {
        params: [{ name: 'who', type: 'string', default: 'world' }],
        steps: [
          {
            name: 'shell',
            script: {
              env: { WHO: '${{ params.who }}' },
              bash: 'echo "greeting=hello $WHO" >> "$SIGNALBOX_OUTPUT"',
            },
          },
          {
            name: 'python',
            script: {
              env: { TEXT: '${{ steps.shell.outputs.greeting }}' },
              python:
                'import json, os\njson.dump({"length": len(os.environ["TEXT"])}, open(os.environ["SIGNALBOX_OUTPUT"], "w"))',
            },
          },
          {
            name: 'javascript',
            when: 'steps.python.outputs.length == 9',
            script: {
              env: { N: '${{ steps.python.outputs.length * 2 }}' },
              node: 'require("fs").writeFileSync(process.env.SIGNALBOX_OUTPUT, `double=${process.env.N}`)',
            },
          },
        ],
      },
      { who: 'you' },
    );
    assert.deepEqual(
      phasesOf(run),
      ['shell Succeeded Completed', 'python Succeeded Completed', 'javascript Succeeded Completed'],
      JSON.stringify(run.status),
    );
    assert.deepEqual(stepOf(run, 'javascript').outputs, { double: '18' });
  });

  test('a value is never code, neither for the shell nor for the kubelet', async () => {
    const value = '$(touch /tmp/pwned) `id` $(SECRET) $$ "; exit 1 #';
    const run = await kit.runWorkflow(
      'literal',
      {
        params: [{ name: 'text', type: 'string' }],
        steps: [
          {
            name: 'print',
            script: {
              env: { SECRET: 'leaked', TEXT: '${{ params.text }}' },
              bash: 'test ! -e /tmp/pwned; test $$ -ge 1; printf "%s" "text=$TEXT" > "$SIGNALBOX_OUTPUT"',
            },
          },
        ],
      },
      { text: value },
    );
    assert.equal(run.status?.phase, 'Succeeded', JSON.stringify(run.status));
    assert.deepEqual(stepOf(run, 'print').outputs, { text: value });
  });

  test('the pod is restricted: no root, no writable root, no token; home, work folder and /tmp can be written', async () => {
    const run = await kit.runWorkflow('restricted', {
      steps: [
        {
          name: 'look',
          script: {
            bash: [
              'test "$(id -u)" = 65532',
              'getent passwd 65532 > /dev/null',
              'test ! -e /var/run/secrets/kubernetes.io',
              '! touch /etc/x 2> /dev/null',
              'touch ~/x /tmp/x x',
              'test "$PWD" = /workspace',
              'git --version && curl --version && jq --version && kubectl version --client && python3 --version && node --version',
            ].join('\n'),
          },
        },
      ],
    });
    assert.equal(run.status?.phase, 'Succeeded', JSON.stringify(run.status));
  });

  test('with a service account the pod has its token and its rights, and no more', async () => {
    await kit.kubectl(['create', 'serviceaccount', 'reader']);
    await kit.kubectl(['create', 'role', 'reader', '--verb=get,list', '--resource=configmaps']);
    await kit.kubectl([
      'create',
      'rolebinding',
      'reader',
      '--role=reader',
      `--serviceaccount=${kit.namespace}:reader`,
    ]);
    const run = await kit.runWorkflow('token', {
      podDefaults: { serviceAccountName: 'reader' },
      steps: [{ name: 'read', script: { bash: 'kubectl get configmaps -o name && ! kubectl get secrets' } }],
    });
    assert.equal(run.status?.phase, 'Succeeded', JSON.stringify(run.status));
  });

  test('a Secret reaches the script and stays out of Job, pod and status', async () => {
    await kit.kubectl(['create', 'secret', 'generic', 'login', '--from-literal=password=open-sesame']);
    const run = await kit.runWorkflow('secret', {
      steps: [
        {
          name: 'use',
          script: {
            bash: 'test "${#PASSWORD}" = 11',
            secrets: { PASSWORD: { name: 'login', key: 'password' } },
          },
        },
      ],
    });
    assert.equal(run.status?.phase, 'Succeeded', JSON.stringify(run.status));
    const everything = await kit.kubectl(['get', 'workflowruns,jobs,pods,events', '-o', 'json']);
    assert.ok(!everything.includes('open-sesame'));
  });

  test('the Job is closed, and kubectl finds pod and logs by it', async () => {
    const run = await kit.runWorkflow('job', { steps: [{ name: 'say', script: { bash: 'echo said' } }] });
    const name = stepOf(run, 'say').job?.name ?? '';
    await kit.kubectl(['wait', '--for=condition=Complete', '--timeout=10s', `job/${name}`]);
    const job = await kit.get<Job>('job', name);
    assert.equal(job.status?.succeeded, 1);
    assert.equal(job.spec?.managedBy, 'signalbox.dev/run-controller');
    assert.equal((await kit.kubectl(['logs', `job/${name}`])).trim(), 'said');
    const pod = await kit.get<Pod>('pod', name);
    assert.equal(pod.metadata?.ownerReferences?.[0]?.uid, job.metadata?.uid);
    assert.equal(stepOf(run, 'say').job?.uid, job.metadata?.uid);
  });

  test('resources, node selector and tolerations reach the pod, those of the step first', async () => {
    const run = await kit.runWorkflow('settings', {
      podDefaults: {
        resources: { limits: { memory: '64Mi' } },
        nodeSelector: { 'kubernetes.io/os': 'linux' },
        tolerations: [{ key: 'batch', operator: 'Exists', effect: 'NoSchedule' }],
      },
      steps: [{ name: 'run', script: { bash: 'true' }, pod: { resources: { requests: { cpu: '10m' } } } }],
    });
    const { spec } = await kit.get<Pod>('pod', stepOf(run, 'run').job?.name ?? '');
    assert.deepEqual(spec?.containers[0]?.resources, { requests: { cpu: '10m' } });
    assert.deepEqual(spec?.nodeSelector, { 'kubernetes.io/os': 'linux' });
    assert.ok(spec?.tolerations?.some(({ key }) => key === 'batch'));
  });
});
