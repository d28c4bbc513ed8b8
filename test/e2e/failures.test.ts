import assert from 'node:assert/strict';
import { before, suite, test } from 'node:test';
import type { Step } from '../../src/api/step.ts';
import { silent } from '../cluster/report.ts';
import { install, operatorImage } from '../demo/install.ts';
import { inNamespace, isFinished, type Kit, stepOf } from '../kit/kit.ts';

/** One way for a step to go wrong, and what its status says about it. */
interface Failure {
  title: string;
  step: Omit<Step, 'name'>;
  reason: string;
  message: RegExp;
  /** Shown while the step waits, before it fails. */
  whileWaiting?: true;
  /** Runs until one shows the reason: containerd now and then tells the exit code of a kill, and not why. Default 1. */
  tries?: number;
}

const bash = (source: string) => ({ script: { bash: source } });
const memory = (limit: string) => ({ resources: { limits: { memory: limit } } });

const failures: Failure[] = [
  { title: 'an exit code', step: bash('exit 3'), reason: 'ExitCode', message: /exit code 3/ },
  {
    title: 'too little memory',
    step: { script: { python: 'x = bytearray(400 * 1024 * 1024)' }, pod: memory('32Mi') },
    reason: 'OOMKilled',
    message: /memory than its limit/,
    tries: 5,
  },
  {
    title: 'a timeout',
    step: { ...bash('sleep 60'), timeout: '2s' },
    reason: 'DeadlineExceeded',
    message: /timeout/,
  },
  {
    title: 'too much output',
    step: bash('printf "a=%05000d" 1 > "$SIGNALBOX_OUTPUT"'),
    reason: 'OutputTooLarge',
    message: /4096 bytes/,
  },
  {
    title: 'output of another form',
    step: bash('echo hello > "$SIGNALBOX_OUTPUT"'),
    reason: 'InvalidOutput',
    message: /key=value.*hello/,
  },
  {
    title: 'an image without the interpreter',
    step: { script: { image: operatorImage, python: 'pass' } },
    reason: 'StartError',
    message: /python3/,
  },
  {
    title: 'an image that can not be pulled',
    step: { script: { image: 'registry.invalid/none:1', bash: 'true' }, pod: { pendingTimeout: '10s' } },
    reason: 'ImagePullBackOff',
    message: /registry\.invalid/,
    whileWaiting: true,
  },
  {
    title: 'a missing Secret',
    step: {
      script: { bash: 'true', secrets: { TOKEN: { name: 'none', key: 'token' } } },
      pod: { pendingTimeout: '5s' },
    },
    reason: 'CreateContainerConfigError',
    message: /secret "none" not found/,
    whileWaiting: true,
  },
  {
    title: 'no node that fits',
    step: { ...bash('true'), pod: { nodeSelector: { disk: 'none' }, pendingTimeout: '5s' } },
    reason: 'Unschedulable',
    message: /0\/1 nodes/,
    whileWaiting: true,
  },
  {
    title: 'a missing service account',
    step: { ...bash('true'), pod: { serviceAccountName: 'none', pendingTimeout: '5s' } },
    reason: 'Forbidden',
    message: /serviceaccount "none" not found/,
    whileWaiting: true,
  },
  {
    title: 'more storage than its limit',
    step: {
      ...bash('head -c 50M /dev/zero > /workspace/big; sleep 120'),
      pod: { resources: { limits: { 'ephemeral-storage': '1Mi' } } },
    },
    reason: 'Evicted',
    message: /ephemeral/,
  },
];

suite('every way a step can fail shows as its reason', { concurrency: 4 }, () => {
  let kit: Kit;
  before(async () => {
    kit = await inNamespace(await install({ name: 'e2e' }, silent), 'failures');
  });

  for (const [index, failure] of failures.entries()) {
    test(failure.title, async () => {
      const name = `failure-${index}`;
      await kit.applyWorkflow(name, { steps: [{ name: 'bad', ...failure.step }] });
      const started = await kit.startRun(name);
      if (failure.whileWaiting) {
        const waiting = await kit.waitForRun(started, (run) => stepOf(run, 'bad').reason === failure.reason);
        assert.equal(stepOf(waiting, 'bad').phase, 'Running');
      }
      let run = await kit.waitForRun(started, isFinished);
      const isOther = () => stepOf(run, 'bad').reason !== failure.reason;
      for (let left = (failure.tries ?? 1) - 1; left > 0 && isOther(); left -= 1) {
        run = await kit.waitForRun(await kit.startRun(name), isFinished);
      }
      const step = stepOf(run, 'bad');
      assert.equal(step.phase, 'Failed');
      assert.equal(step.reason, failure.reason);
      assert.match(step.message ?? '', failure.message);
      assert.equal(run.status?.phase, 'Failed');
      assert.match(run.status?.message ?? '', /bad/);
    });
  }

  test('a quota shows at once, and the step goes on when there is room', async () => {
    const quota = await inNamespace(kit.cluster, 'quota');
    await quota.apply({
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'none' },
      spec: { hard: { pods: '0' } },
    });
    await quota.applyWorkflow('blocked', { steps: [{ name: 'bad', ...bash('true') }] });
    const started = await quota.startRun('blocked');
    const waiting = await quota.waitForRun(started, (run) => stepOf(run, 'bad').reason === 'QuotaExceeded');
    assert.match(stepOf(waiting, 'bad').message ?? '', /exceeded quota: none/);
    await quota.kubectl(['delete', 'resourcequota', 'none']);
    assert.equal((await quota.waitForRun(started)).status?.phase, 'Succeeded');
  });
});
