import assert from 'node:assert/strict';
import { before, suite, test } from 'node:test';
import type { WorkflowRun } from '../../src/api/resources.ts';
import { silent } from '../cluster/report.ts';
import { waitFor } from '../cluster/wait.ts';
import { install } from '../demo/install.ts';
import { runNow, runsOf, told } from '../kit/examples.ts';
import { inNamespace, isFinished, isRunning, type Kit, phasesOf, stepOf } from '../kit/kit.ts';

const LIMIT_MS = 120_000;

const bash = (name: string, source = 'true', more = {}) => ({ name, script: { bash: source }, ...more });
/** Runs until it is told to stop, and says so. */
const patient = 'trap "echo told to stop; exit 1" TERM; echo started; sleep 300 & wait';
/** Runs until it is killed. */
const stubborn = 'trap "" TERM; echo started; while :; do sleep 300 & wait; done';

suite('a person controls runs from kubectl', { concurrency: 3 }, () => {
  let kit: Kit;
  before(async () => {
    kit = await inNamespace(await install({ name: 'e2e' }, silent), 'control');
  });

  const finished = (name: string) => kit.waitForRun(name, isFinished, LIMIT_MS);
  const annotate = (run: string, annotation: string) =>
    kit.kubectl(['annotate', 'workflowrun', run, `signalbox.dev/${annotation}`]);

  /** Waits until the script of a step has begun, and gives the name of its Job and pod. */
  async function hasStarted(run: string, step: string): Promise<string> {
    await kit.kubectl(['wait', `workflowrun/${run}`, '--for=create', '--timeout=20s']);
    const at = await kit.waitForRun(run, (run) => isRunning(run, step), LIMIT_MS);
    const name = stepOf(at, step).job?.name ?? '';
    await kit.kubectl(['wait', `pod/${name}`, '--for=create', '--timeout=20s']);
    await kit.kubectl(['wait', `pod/${name}`, '--for=condition=Ready', '--timeout=50s']);
    await waitFor(`script ${name} to begin`, 20_000, async () => {
      return (await kit.kubectl(['logs', `job/${name}`])).includes('started') || undefined;
    });
    return name;
  }

  /** What Events say of an object, once they say this. */
  const saidOf = (name: string, what: RegExp) =>
    waitFor(`an event of ${name} to say ${what.source}`, 20_000, async () => {
      const events = await told(kit, name);
      return what.test(events) ? events : undefined;
    });

  /** Jobs and pods of these runs. */
  const leftOf = (...runs: string[]) =>
    kit.kubectl(['get', 'jobs,pods', '-l', `signalbox.dev/run in (${runs.join()})`, '-o', 'name']);

  const nothingLeftOf = (...runs: string[]) =>
    waitFor(
      'the last Job and pod to be gone',
      50_000,
      async () => (await leftOf(...runs)) === '' || undefined,
    );

  test('cancel: the script gets SIGTERM, finally runs, and the annotation is answered', async () => {
    await kit.applyWorkflow('cancelled', {
      steps: [bash('long', patient), bash('never')],
      finally: [
        { name: 'tidy', script: { bash: 'test "$PHASE" = Cancelled', env: { PHASE: '${{ run.phase }}' } } },
      ],
    });
    const name = await kit.startRun('cancelled');
    await hasStarted(name, 'long');
    await annotate(name, 'cancel=true');
    const run = await kit.waitForRun(name, (run) => isFinished(run) && isUnasked(run), LIMIT_MS);
    assert.equal(run.status?.phase, 'Cancelled', JSON.stringify(run.status));
    assert.deepEqual(phasesOf(run), [
      'long Cancelled RunCancelled',
      'never Skipped RunCancelled',
      'tidy Succeeded Completed',
    ]);
    assert.match(await kit.kubectl(['logs', `job/${stepOf(run, 'long').job?.name}`]), /told to stop/);
    await saidOf(name, /CancelAccepted/);

    await annotate(name, 'cancel=true');
    const refused = await kit.waitForRun(name, isUnasked);
    assert.equal(refused.status?.phase, 'Cancelled');
    await saidOf(name, /CancelRefused.*ended already/);
  });

  test('cancel twice: the run ends at once, without finally', async () => {
    await kit.applyWorkflow('terminated', { steps: [bash('long', stubborn)], finally: [bash('tidy')] });
    const name = await kit.startRun('terminated');
    await hasStarted(name, 'long');
    await annotate(name, 'cancel=true');
    const cancelling = await kit.waitForRun(
      name,
      (run) => run.status?.cancellation !== undefined && isUnasked(run),
    );
    assert.equal(cancelling.status?.phase, 'Running');
    await annotate(name, 'cancel=true');
    const run = await kit.waitForRun(name, isFinished);
    assert.equal(run.status?.phase, 'Cancelled');
    assert.deepEqual(phasesOf(run), ['long Cancelled RunCancelled', 'tidy Skipped RunCancelled']);
    // Nobody waits for the pod any more; the kubelet kills it after its grace period, and its log stays.
    const pod = `pod/${stepOf(run, 'long').job?.name}`;
    await kit.kubectl(['wait', pod, '--for=jsonpath={.status.phase}=Failed', '--timeout=50s']);
  });

  test('retry=failed: the run goes on from what failed, and keeps what succeeded', async () => {
    const secret = (value: string) =>
      kit.apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'answer' }, stringData: { value } });
    await secret('41');
    await kit.applyWorkflow('mended', {
      steps: [
        bash('prepare', 'echo "question=6 * 7" >> "$SIGNALBOX_OUTPUT"'),
        {
          name: 'check',
          script: {
            bash: 'test "$ANSWER" = "$(($QUESTION))" && echo "answer=$ANSWER" >> "$SIGNALBOX_OUTPUT"',
            env: { QUESTION: '${{ steps.prepare.outputs.question }}' },
            secrets: { ANSWER: { name: 'answer', key: 'value' } },
          },
        },
        bash('after'),
      ],
      finally: [bash('tidy')],
      outputs: { answer: 'steps.check.outputs.answer' },
    });
    const name = await kit.startRun('mended');
    const failed = await finished(name);
    assert.deepEqual(phasesOf(failed).slice(1), [
      'check Failed ExitCode',
      'after Skipped UpstreamFailed',
      'tidy Succeeded Completed',
    ]);
    await secret('42');
    await annotate(name, 'retry=failed');
    const run = await kit.waitForRun(name, (run) => run.status?.round === 1 && isFinished(run), LIMIT_MS);
    assert.equal(run.status?.phase, 'Succeeded', JSON.stringify(run.status));
    assert.deepEqual(stepOf(run, 'prepare'), stepOf(failed, 'prepare'), 'what succeeded is as it was');
    const check = stepOf(run, 'check');
    assert.equal(check.attempt, 2);
    assert.equal(check.attempts?.[0]?.job?.name, stepOf(failed, 'check').job?.name);
    assert.deepEqual(run.status?.outputs, { answer: '42' });
    assert.notEqual(stepOf(run, 'tidy').job?.uid, stepOf(failed, 'tidy').job?.uid, 'finally runs again');
    await saidOf(name, /RetryAccepted/);
    await kit.kubectl(['wait', `wfr/${name}`, '--for=condition=Succeeded', '--timeout=5s']);
  });

  test('retry=from: a run that succeeded is done over from a step on', async () => {
    const count = 'echo "at=$(date +%s%N)" >> "$SIGNALBOX_OUTPUT"';
    await kit.applyWorkflow('repeated', {
      steps: [bash('one', count), bash('two', count), bash('three', count)],
    });
    const name = await kit.startRun('repeated');
    const before = await finished(name);
    await annotate(name, 'retry=from:two');
    const after = await kit.waitForRun(name, (run) => run.status?.round === 1 && isFinished(run), LIMIT_MS);
    const same = ['one', 'two', 'three'].map(
      (step) => stepOf(after, step).outputs?.['at'] === stepOf(before, step).outputs?.['at'],
    );
    assert.deepEqual(same, [true, false, false]);
    await annotate(name, 'retry=from:none');
    await kit.waitForRun(name, isUnasked);
    await saidOf(name, /RetryRefused.*no step none.*one, two, three/);
  });

  test('run=now: a workflow is started with params, and says what is wrong with them', async () => {
    await kit.applyWorkflow('asked', {
      params: [{ name: 'size', type: 'number', required: true }],
      steps: [
        {
          name: 'one',
          script: { bash: 'echo "size=$SIZE" >> "$SIGNALBOX_OUTPUT"', env: { SIZE: '${{ params.size }}' } },
        },
      ],
    });
    const run = await finished(await runNow(kit, 'asked', { size: 7 }));
    assert.deepEqual(stepOf(run, 'one').outputs, { size: '7' });
    const { metadata } = await kit.get<WorkflowRun>('workflow', 'asked');
    assert.equal(metadata.annotations?.['signalbox.dev/run'], undefined);
    await saidOf('asked', new RegExp(`RunCreated.*${run.metadata.name}`));

    await kit.kubectl([
      'annotate',
      'workflow',
      'asked',
      'signalbox.dev/run=now',
      'signalbox.dev/params={"size": "XL"}',
    ]);
    await saidOf('asked', /RunRefused.*size/);
    assert.deepEqual(await runsOf(kit, 'asked'), [run.metadata.name]);
  });

  test('a paused workflow runs by hand, and one in draft does not', async () => {
    await kit.applyWorkflow('resting', { state: 'Paused', steps: [bash('one')] });
    assert.equal((await finished(await runNow(kit, 'resting'))).status?.phase, 'Succeeded');
    await kit.kubectl(['patch', 'workflow', 'resting', '--type=merge', '-p', '{"spec": {"state": "Draft"}}']);
    await kit.kubectl(['annotate', 'workflow', 'resting', 'signalbox.dev/run=now']);
    await saidOf('resting', /RunRefused.*draft/);
  });

  test('deleting a run ends its pods, those of the runs that it has started too, and leaves nothing', async () => {
    await kit.applyWorkflow('below', { steps: [bash('long', patient)] });
    await kit.applyWorkflow('above', {
      steps: [
        { name: 'call', dependsOn: [], workflow: { name: 'below' } },
        bash('long', patient, { dependsOn: [] }),
      ],
      finally: [bash('tidy')],
    });
    const name = await kit.startRun('above');
    const above = await hasStarted(name, 'long');
    const child = stepOf(await kit.getRun(name), 'call').run?.name ?? '';
    const below = await hasStarted(child, 'long');
    assert.notEqual(await leftOf(child), '');

    await kit.kubectl(['delete', 'workflowrun', name, '--timeout=50s']);
    await assert.rejects(kit.getRun(name), /NotFound/);
    await assert.rejects(kit.getRun(child), /NotFound/);
    await kit.kubectl(['wait', `pod/${above}`, `pod/${below}`, '--for=delete', '--timeout=50s']);
    await nothingLeftOf(name, child);
  });

  test('deleting a workflow ends its active run, and leaves nothing', async () => {
    await kit.applyWorkflow('doomed', { steps: [bash('long', patient)] });
    const ended = await kit.startRun('doomed');
    const active = await kit.startRun('doomed');
    await hasStarted(ended, 'long');
    await annotate(ended, 'cancel=true');
    await finished(ended);
    await hasStarted(active, 'long');

    await kit.kubectl(['delete', 'workflow', 'doomed', '--timeout=50s']);
    assert.deepEqual(await runsOf(kit, 'doomed'), []);
    const revisions = ['get', 'controllerrevisions', '-l', 'signalbox.dev/workflow=doomed', '-o', 'name'];
    assert.equal(await kit.kubectl(revisions), '');
    await nothingLeftOf(ended, active);
  });
});

/** Whether what was asked of a run has been answered. */
const isUnasked = ({ metadata: { annotations = {} } }: WorkflowRun) =>
  !['cancel', 'retry'].some((asked) => `signalbox.dev/${asked}` in annotations);
