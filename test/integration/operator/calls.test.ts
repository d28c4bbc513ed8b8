import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, suite, test } from 'node:test';
import type { WorkflowRun } from '../../../src/api/resources.ts';
import { jobName } from '../../../src/engine/names.ts';
import { waitFor } from '../../cluster/wait.ts';
import { type HoldingSite, startHoldingSite } from '../../kit/holding-site.ts';
import { inNamespace, isFinished, type Kit, stepOf } from '../../kit/kit.ts';
import type { Load } from '../../kit/load.ts';
import { type OperatorProcess, startOperator } from '../../kit/operator-process.ts';
import { bootSimulated, type Site } from './setup.ts';

const LIMIT_MS = 30_000;
const FLAGS = ['--identity=calls', '--http-allow=127.0.0.1'];

let site: Site & { load: Load };
let operator: OperatorProcess;
let kit: Kit;
let remote: HoldingSite;

async function restart(): Promise<void> {
  operator = startOperator(site.cluster, FLAGS);
  await operator.ready;
}

const held = (count: number) =>
  waitFor(`${count} requests to wait`, LIMIT_MS, () => remote.held === count || undefined);
const only = (run: WorkflowRun) => stepOf(run, 'only');
const http = (more: object = {}) => ({
  name: 'only',
  timeout: '2m',
  http: { url: `${remote.url}/only`, ...more },
});

before(async () => {
  site = await bootSimulated({ name: 'calls', podDuration: 0.2 });
  await restart();
});
after(async () => {
  await operator.stop();
  await site[Symbol.asyncDispose]();
});
beforeEach(async () => {
  kit = await inNamespace(site.cluster, 'calls');
  remote = await startHoldingSite({ version: '1.2.3' });
});
afterEach(() => remote[Symbol.asyncDispose]());

suite('a call of the operator', () => {
  test('tells who it is, and gives outputs', async () => {
    remote.release();
    const outputs = { version: 'response.json.version' };
    const run = await kit.runWorkflow('w', { steps: [http({ outputs })] });
    const { phase, summary, outputs: given } = only(run);
    assert.deepEqual([phase, summary, given], ['Succeeded', 'HTTP 200 OK', { version: '1.2.3' }]);
    const [visit, ...others] = remote.visits;
    assert.deepEqual(others, []);
    assert.match(String(visit?.headers['idempotency-key']), new RegExp(`^${run.metadata.name}-only-.*-1$`));
    assert.equal((await kit.kubectl(['get', 'jobs', '-o', 'name'])).trim(), '');
  });

  test('reads a Secret only if that is there for steps to use', async () => {
    remote.release();
    const secretHeaders = { Authorization: { name: 'token', key: 'value', prefix: 'Bearer ' } };
    await kit.kubectl(['create', 'secret', 'generic', 'token', '--from-literal=value=wxyz1234']);
    const refused = await kit.runWorkflow('w', { steps: [http({ secretHeaders })] });
    assert.equal(only(refused).reason, 'SecretNotAllowed');
    assert.equal(remote.visits.length, 0);

    const command = /kubectl (label .*)$/.exec(only(refused).message ?? '')?.[1]?.split(' ') ?? [];
    await kit.kubectl(command);
    const allowed = await kit.runWorkflow('w', { steps: [http({ secretHeaders })] });
    assert.equal(only(allowed).phase, 'Succeeded');
    assert.equal(remote.visits[0]?.headers['authorization'], 'Bearer wxyz1234');
    assert.doesNotMatch(JSON.stringify(allowed), /wxyz1234/);
  });

  test('is broken off when its time is over', async () => {
    const steps = [{ ...http(), timeout: '1s' }];
    const run = await kit.runWorkflow('w', { steps });
    const { reason, message } = only(run);
    assert.deepEqual([reason, message], ['DeadlineExceeded', 'The step ran longer than its timeout of 1s.']);
    await held(0);
  });

  test('is broken off when the run is cancelled', async () => {
    await kit.applyWorkflow('w', { steps: [http()] });
    const name = await kit.startRun('w');
    await held(1);
    await kit.kubectl(['annotate', 'wfr', name, 'signalbox.dev/cancel=true']);
    const run = await kit.waitForRun(name, isFinished, LIMIT_MS);
    assert.deepEqual([run.status?.phase, only(run).phase], ['Cancelled', 'Cancelled']);
    await held(0);
  });
});

suite('a call whose operator', () => {
  /** A run that is at its call. */
  async function begun(spec: object): Promise<string> {
    await kit.applyWorkflow('w', { steps: [http(spec)] });
    const name = await kit.startRun('w');
    await held(1);
    return name;
  }

  test('is killed is not made again where that could do harm, and fails', async () => {
    const name = await begun({ method: 'POST', body: 'one ticket' });
    await operator.stop('SIGKILL');
    remote.release();
    await restart();
    const run = await kit.waitForRun(name, isFinished, LIMIT_MS);
    assert.deepEqual([only(run).phase, only(run).reason], ['Failed', 'Interrupted']);
    assert.match(only(run).message ?? '', /onInterrupt: Retry/);
    assert.equal(remote.visits.length, 1);
  });

  test('is killed is made again as the same where that does no harm', async () => {
    const name = await begun({ method: 'POST', body: 'one ticket', onInterrupt: 'Retry' });
    await operator.stop('SIGKILL');
    remote.release();
    await restart();
    const run = await kit.waitForRun(name, isFinished, LIMIT_MS);
    assert.deepEqual([only(run).phase, only(run).attempt], ['Succeeded', 1]);
    const keys = remote.visits.map(({ headers }) => headers['idempotency-key']);
    assert.equal(keys.length, 2);
    assert.equal(keys[0], keys[1]);
  });

  test('is asked to end ends as well, and its result is written', async () => {
    const name = await begun({ method: 'POST', body: 'one ticket' });
    const stopped = operator.stop();
    remote.release();
    await stopped;
    const run = await kit.getRun(name);
    assert.equal(only(run).phase, 'Succeeded');
    await restart();
    await kit.waitForRun(name, isFinished, LIMIT_MS);
    assert.equal(remote.visits.length, 1);
  });
});

test('three hundred calls at once keep no other run waiting', async () => {
  const { load } = site;
  await load.apply('slow', { steps: [http()] });
  await load.apply('quick', { steps: [{ name: 'only', script: { bash: 'true' } }] });
  const slow = await load.start('slow', 300);
  await held(256);
  const quick = await load.start('quick', 10);
  const ended = await load.finished(quick, LIMIT_MS);
  assert.deepEqual([...new Set(ended.map(({ status }) => status?.phase))], ['Succeeded']);
  assert.equal(remote.held, 256);
  const metrics = await operator.metrics();
  assert.match(metrics, /^signalbox_calls_open 256$/m);
  assert.match(metrics, /^signalbox_calls_waiting 44$/m);
  remote.release();
  const runs = await load.finished(slow, LIMIT_MS);
  assert.deepEqual([...new Set(runs.map(({ status }) => status?.phase))], ['Succeeded']);
  const keys = remote.visits.map(({ headers }) => headers['idempotency-key']);
  assert.equal(new Set(keys).size, 300);
  assert.equal(keys.length, 300, 'each call was made once');
});

suite('a run that a step starts', () => {
  const call = { name: 'only', workflow: { name: 'child', params: { region: 'us' } } };
  /** Runs `parent`, whose only step runs `child`, whose only step is a call that is held. */
  async function parentAndChild(more: object = {}): Promise<{ parent: string; child: string }> {
    await kit.applyWorkflow('child', {
      params: [{ name: 'region', type: 'string' }],
      steps: [http()],
      ...more,
    });
    await kit.applyWorkflow('parent', { steps: [call] });
    const parent = await kit.startRun('parent');
    await held(1);
    const run = await kit.waitForRun(parent, (run) => run.status?.steps?.[0]?.run !== undefined);
    return { parent, child: only(run).run?.name ?? '' };
  }

  test('gives its outputs to the step', async () => {
    remote.release();
    await kit.applyWorkflow('child', {
      params: [{ name: 'region', type: 'string' }],
      steps: [{ ...http({ outputs: { version: 'response.json.version' } }), name: 'ask' }],
      outputs: { address: 'params.region + "-" + steps.ask.outputs.version' },
    });
    const run = await kit.runWorkflow('parent', {
      steps: [call],
      outputs: { address: 'steps.only.outputs.address' },
    });
    assert.deepEqual(run.status?.outputs, { address: 'us-1.2.3' }, JSON.stringify(run.status));
    const { run: child, summary } = only(run);
    assert.equal(summary, `Run ${child?.name} Succeeded`);
    const made = await kit.getRun(child?.name ?? '');
    assert.equal(made.metadata.uid, child?.uid);
    assert.deepEqual(made.spec.trigger, {
      type: 'Workflow',
      name: run.metadata.name,
      step: 'only',
      depth: 1,
    });
  });

  test('is made once, also when the operator is killed meanwhile', async () => {
    const { parent } = await parentAndChild();
    await operator.stop('SIGKILL');
    remote.release();
    await restart();
    assert.equal((await kit.waitForRun(parent, isFinished, LIMIT_MS)).status?.phase, 'Succeeded');
    const { items } = await kit.get<{ items: WorkflowRun[] }>('workflowruns');
    assert.equal(items.length, 2);
  });

  test('is cancelled with its parent, and runs its finally before that ends', async () => {
    const { parent, child } = await parentAndChild({
      finally: [{ name: 'last', script: { bash: 'true' } }],
    });
    await kit.kubectl(['annotate', 'wfr', parent, 'signalbox.dev/cancel=true']);
    const above = await kit.waitForRun(parent, isFinished, LIMIT_MS);
    const below = await kit.getRun(child);
    assert.deepEqual([above.status?.phase, below.status?.phase], ['Cancelled', 'Cancelled']);
    assert.equal(stepOf(below, 'last').phase, 'Succeeded');
  });

  test('that fails fails the step, and says why', async () => {
    remote.release();
    await kit.applyWorkflow('child', { steps: [http({ expectedStatus: [404] })] });
    const run = await kit.runWorkflow('parent', { steps: [{ name: 'only', workflow: { name: 'child' } }] });
    assert.equal(only(run).reason, 'ChildFailed');
    assert.match(only(run).message ?? '', /^Run \S+ failed: Step only failed: .*200/);
  });

  test('of a workflow that is not there is refused with that reason', async () => {
    const run = await kit.runWorkflow('parent', { steps: [{ name: 'only', workflow: { name: 'nowhere' } }] });
    assert.equal(only(run).reason, 'WorkflowNotFound');
    assert.match(only(run).message ?? '', /There is no workflow nowhere/);
  });

  test('that somebody deletes is lost, and is not made again', async () => {
    const { parent, child } = await parentAndChild();
    await kit.kubectl(['delete', 'wfr', child, '--timeout=20s']);
    const run = await kit.waitForRun(parent, isFinished, LIMIT_MS);
    assert.equal(only(run).phase, 'Failed');
    assert.equal(only(run).reason, 'Lost');
    await held(0);
    const { items } = await kit.get<{ items: WorkflowRun[] }>('workflowruns');
    assert.equal(items.length, 1);
  });

  test('is not one that somebody has made under its name, whatever that came to', async () => {
    await kit.applyWorkflow('child', { params: [{ name: 'region', type: 'string' }], steps: [http()] });
    await kit.applyWorkflow('harmless', { steps: [{ name: 'nothing', script: { bash: 'true' } }] });
    await kit.applyWorkflow('parent', { steps: [{ ...http(), name: 'first' }, call] });
    const parent = await kit.startRun('parent');
    await held(1);
    const { uid = '' } = (await kit.getRun(parent)).metadata;
    const name = jobName({ name: parent, uid }, 'only', 1);
    const type = { apiVersion: 'signalbox.dev/v1alpha1', kind: 'WorkflowRun' };
    await kit.create({
      ...type,
      metadata: { name, ownerReferences: [{ ...type, name: parent, uid, controller: true }] },
      spec: { workflowRef: { name: 'harmless' }, trigger: { type: 'Workflow', name: parent } },
    });
    await kit.waitForRun(name, isFinished, LIMIT_MS);
    remote.release();
    const run = await kit.waitForRun(parent, isFinished, LIMIT_MS);
    assert.deepEqual([run.status?.phase, only(run).reason], ['Failed', 'NameTaken']);
  });

  test('goes when its parent is deleted', async () => {
    const { parent } = await parentAndChild();
    await kit.kubectl(['delete', 'wfr', parent, '--timeout=20s']);
    await held(0);
    await waitFor('the child to go', LIMIT_MS, async () => {
      const left = (await kit.kubectl(['get', 'wfr', '-o', 'name'])).trim();
      return left === '' || undefined;
    });
  });
});
