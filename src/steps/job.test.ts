import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { fakeWorkshop } from './fake-program.ts';
import { jobOf, podOf } from './job.ts';
import { attemptLabels, labelValue } from './labels.ts';
import { script } from './script.ts';

const owner = { namespace: 'ns', name: 'run-1', uid: 'run-uid', workflow: 'w' };
const programOf = (step: Parameters<typeof script.program>[0]) => script.program(step, fakeWorkshop());
const jobFor = (step: Parameters<typeof script.program>[0], podDefaults = {}) =>
  jobOf(owner, {
    name: 'run-1-s-1',
    row: 's',
    step,
    attempt: 1,
    program: programOf(step),
    podDefaults,
    madeAfter: '7',
  });
const step = { name: 's', script: { bash: 'true' } };

suite('the Job of an attempt', () => {
  test('belongs to its run, is managed by us and never retried by others', () => {
    const { metadata, spec } = jobFor(step);
    assert.equal(metadata?.ownerReferences?.[0]?.uid, 'run-uid');
    assert.equal(spec?.managedBy, 'signalbox.dev/run-controller');
    assert.equal(spec?.backoffLimit, 0);
    assert.equal(spec?.template.spec?.restartPolicy, 'Never');
  });

  test('has a pod of its own name, owned by it, with the labels that the API server gave its template', () => {
    const job = jobFor(step);
    const labels = {
      ...job.spec?.template.metadata?.labels,
      'batch.kubernetes.io/controller-uid': 'job-uid',
    };
    const created = {
      ...job,
      metadata: { ...job.metadata, uid: 'job-uid' },
      spec: { template: { ...job.spec?.template, metadata: { labels } } },
    };
    const pod = podOf(created);
    assert.equal(pod.metadata?.name, 'run-1-s-1');
    assert.equal(pod.metadata?.ownerReferences?.[0]?.uid, 'job-uid');
    assert.deepEqual(pod.metadata?.labels, labels);
  });

  test('gets a token only with a service account', () => {
    assert.equal(jobFor(step).spec?.template.spec?.automountServiceAccountToken, false);
    const { spec } = jobFor({ ...step, pod: { serviceAccountName: 'deployer' } }).spec?.template ?? {};
    assert.equal(spec?.automountServiceAccountToken, true);
    assert.equal(spec?.serviceAccountName, 'deployer');
  });

  test('ends with the timeout of its step, rounded up to a second', () => {
    const deadline = (timeout?: string) =>
      jobFor({ ...step, ...(timeout ? { timeout } : {}) }).spec?.template.spec?.activeDeadlineSeconds;
    assert.equal(deadline(), 3600);
    assert.equal(deadline('1500ms'), 2);
  });

  test('takes each setting from the step, else from the defaults', () => {
    const defaults = { nodeSelector: { zone: 'a' }, resources: { limits: { memory: '1Gi' } } };
    const { spec } = jobFor({ ...step, pod: { nodeSelector: { zone: 'b' } } }, defaults).spec?.template ?? {};
    assert.deepEqual(spec?.nodeSelector, { zone: 'b' });
    assert.deepEqual(spec?.containers[0]?.resources, { limits: { memory: '1Gi' } });
  });
});

suite('a script', () => {
  test('is run by its interpreter, in the default image or its own', () => {
    assert.deepEqual(programOf(step).command, ['bash', '-eo', 'pipefail', '-c', 'true']);
    assert.deepEqual(programOf({ name: 's', script: { python: 'pass' } }).command, ['python3', '-c', 'pass']);
    assert.deepEqual(programOf({ name: 's', script: { node: '1' } }).command, ['node', '-e', '1']);
    assert.equal(programOf(step).image, 'script-image');
    assert.equal(programOf({ name: 's', script: { bash: 'true', image: 'own' } }).image, 'own');
  });

  test('keeps every $ that the kubelet would take for its own', () => {
    const { command, env } = programOf({
      name: 's',
      script: { bash: 'echo $(SECRET) $$', env: { TEXT: '$(SECRET)' } },
    });
    assert.equal(command?.at(-1), 'echo $$(SECRET) $$$$');
    assert.deepEqual(env, [{ name: 'TEXT', value: '$$(SECRET)' }]);
  });

  test('gets Secrets by reference', () => {
    const { env } = programOf({
      name: 's',
      script: { bash: 'true', secrets: { T: { name: 'n', key: 'k' } } },
    });
    assert.deepEqual(env, [{ name: 'T', valueFrom: { secretKeyRef: { name: 'n', key: 'k' } } }]);
  });

  test('has the templates of its env replaced, and nothing else', () => {
    const source = { bash: '${{ params.x }}', env: { A: '${{ params.x }}' } };
    const asked: string[] = [];
    const text = (field: string, text: string) => {
      asked.push(`${field}: ${text}`);
      return 'value';
    };
    const resolved = script.resolve({ name: 's', script: source }, { text, scalar: (_, value) => value });
    assert.deepEqual(resolved.script, { bash: '${{ params.x }}', env: { A: 'value' } });
    assert.deepEqual(asked, ['script.env.A: ${{ params.x }}']);
  });
});

suite('labels', () => {
  const labelsOf = (row: string) =>
    attemptLabels({ run: { name: 'run-1', workflow: 'w' }, step: row, attempt: 2 });

  test('name the workflow, the run, the step and the attempt', () =>
    assert.deepEqual(labelsOf('s'), {
      'signalbox.dev/workflow': 'w',
      'signalbox.dev/run': 'run-1',
      'signalbox.dev/step': 's',
      'signalbox.dev/attempt': '2',
    }));

  test('name the instance of a step beside the step', () => {
    const labels = labelsOf('plan[us]');
    assert.equal(labels['signalbox.dev/step'], 'plan');
    assert.equal(labels['signalbox.dev/instance'], 'us');
  });

  test('take every key of an instance that there can be', () => {
    for (const key of ['-1', 'a.', '_', 'x'.repeat(63), '...']) {
      assert.match(
        labelsOf(`s[${key}]`)['signalbox.dev/instance'] ?? '',
        /^[A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?$/,
      );
    }
  });

  test('tell a long name from another with the same start', () => {
    assert.equal(labelValue('short'), 'short');
    const [a, b] = [labelValue(`${'x'.repeat(100)}a`), labelValue(`${'x'.repeat(100)}b`)];
    assert.equal(a.length, 63);
    assert.notEqual(a, b);
  });
});
