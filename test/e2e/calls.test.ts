import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { before, suite, test } from 'node:test';
import type { Workflow, WorkflowRun } from '../../src/api/resources.ts';
import type { Trigger } from '../../src/api/trigger.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { silent } from '../cluster/report.ts';
import { waitFor } from '../cluster/wait.ts';
import { install, root } from '../demo/install.ts';
import { problemsOf } from '../kit/block-kit.ts';
import { applyExample, createExample, runNow } from '../kit/examples.ts';
import { createKit, isFinished, type Kit, phasesOf, stepOf } from '../kit/kit.ts';
import { deployObjectStore, type ObjectStore } from '../kit/object-store.ts';
import { deployFakeSlack, type SlackPod, slackApiUrl } from '../kit/slack-pod.ts';

const LIMIT_MS = 120_000;

suite('the examples that call others, which run in the cluster', () => {
  let kit: Kit;
  let store: ObjectStore;
  let slack: SlackPod;
  before(async () => {
    const namespace = `calls-${randomBytes(3).toString('hex')}`;
    const cluster = await install({ name: 'e2e' }, silent, { 'slack.apiUrl': slackApiUrl(namespace) });
    kit = await namespaceOf(cluster, namespace);
    store = await deployObjectStore(cluster, kit, ['incoming/', 'orders/']);
    slack = await deployFakeSlack(kit);
  });

  const finished = (name: string) => kit.waitForRun(name, isFinished, LIMIT_MS);

  test('backup: the bytes of the dump lie in the store, and nothing else', async () => {
    await applyExample(kit, 'backup');
    const name = await runNow(kit, 'backup', { store: store.url });
    const run = await finished(name);
    assert.deepEqual(
      phasesOf(run),
      ['dump', 'upload', 'verify', 'publish', 'cleanup'].map((step) => `${step} Succeeded Completed`),
      JSON.stringify(run.status),
    );
    const key = `orders/${name}.sql`;
    assert.deepEqual(await store.keys(), [key]);
    const sql = await store.read(key);
    assert.match(sql, /^-- orders\n/);
    assert.match(sql, /'"bell" & <whistle>',15\.25\);\n.*'Weichenschloß',80\.0\)/);
    assert.equal(sql, stepOf(run, 'dump').outputs?.['sql']);
    assert.equal(stepOf(run, 'upload').summary, 'HTTP 200 OK');
    assert.equal(stepOf(run, 'cleanup').summary, 'HTTP 204 No Content');
    assert.equal(run.status?.outputs?.['key'], key);
    assert.match(String(run.status?.outputs?.['etag']), /^"[0-9a-f]{32}"$/);
  });

  test('backup: comes by itself when it is time', async () => {
    const { name, schedule } = await nightly();
    // Nobody waits for half past two.
    const often = { ...schedule, cron: '* * * * *', params: { store: store.url } };
    await patchTriggers([{ name, schedule: often }]);
    const started = await waitFor('the scheduled run', LIMIT_MS, async () => {
      const { items } = await kit.get<{ items: WorkflowRun[] }>('workflowruns');
      return items.find(({ spec }) => spec.trigger.type === 'Schedule');
    });
    await patchTriggers([{ name, schedule }]);
    const run = await finished(started.metadata.name ?? '');
    assert.equal(run.status?.phase, 'Succeeded', JSON.stringify(run.status));
    assert.equal(run.spec.trigger.name, 'nightly');
    assert.ok((await store.keys()).includes(`orders/${run.metadata.name}.sql`));
  });

  /** The trigger of the example, which shows in the list of workflows. */
  async function nightly() {
    await applyExample(kit, 'backup');
    const { spec } = await kit.get<Workflow>('workflow', 'backup');
    const [trigger] = spec.triggers ?? [];
    assert.ok(trigger?.schedule);
    await waitFor('the next run', LIMIT_MS, async () =>
      /^backup +Active +Schedule .* \d{4}-\d\d-\d\dT0[01]:30:00.000Z /m.test(
        await kit.kubectl(['get', 'workflows']),
      ),
    );
    return { name: trigger.name, schedule: trigger.schedule };
  }

  const patchTriggers = (triggers: Trigger[]) =>
    kit.kubectl([
      'patch',
      'workflow',
      'backup',
      '--type=merge',
      '-p',
      JSON.stringify({ spec: { triggers } }),
    ]);

  test('backup: what can not be published is not left behind', async () => {
    await applyExample(kit, 'backup');
    const before = await store.keys();
    // The policy of the bucket lets nobody write under accounts/.
    const run = await finished(await runNow(kit, 'backup', { store: store.url, database: 'accounts' }));
    assert.equal(run.status?.phase, 'Failed');
    assert.equal(stepOf(run, 'publish').reason, 'UnexpectedStatus');
    assert.match(stepOf(run, 'publish').message ?? '', /HTTP 403 Forbidden.*AccessDenied/);
    assert.equal(stepOf(run, 'cleanup').summary, 'HTTP 204 No Content');
    assert.deepEqual(await store.keys(), before);
  });

  test('backup: the store refuses bytes that are not those of the checksum', async () => {
    const run = await kit.runWorkflow('altered', {
      steps: [
        {
          name: 'upload',
          http: {
            method: 'PUT',
            url: `${store.url}/incoming/altered.sql`,
            headers: { 'X-Amz-Checksum-Sha256': 'LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=' },
            body: 'something else',
          },
        },
      ],
    });
    assert.match(stepOf(run, 'upload').message ?? '', /HTTP 400 Bad Request.*BadDigest/);
  });

  test('deploy-notify: what is planned is applied, tested and told', async (t) => {
    await applyExample(kit, 'deploy-notify');
    const run = await finished(await createExample(kit, 'deploy-notify-run', { health: store.healthUrl }));
    assert.equal(run.status?.phase, 'Succeeded', JSON.stringify(run.status));
    assert.deepEqual(
      run.status?.steps?.map(({ name, summary }) => `${name}: ${summary}`),
      [
        'plan: 3 to add, 1 to change, 0 to destroy',
        'apply: 3 added, 1 changed, 0 destroyed',
        'test: HTTP 200 OK',
        'notify: Message sent to #deployments',
      ],
    );
    const [sent, ...more] = await messagesOf(slack, run.metadata.name ?? '');
    assert.equal(more.length, 0);
    assert.equal(sent?.answer, 'ok');
    t.diagnostic(JSON.stringify(sent?.body, null, 2));
    assert.deepEqual(problemsOf(sent?.body), []);
    assert.deepEqual(withoutChance(sent?.body), withoutChance(await sampleMessage()));
  });

  test('deploy-notify: a failed deployment is told by itself, with what failed', async (t) => {
    await applyExample(kit, 'deploy-notify');
    const run = await finished(await runNow(kit, 'deploy-notify', { health: `${store.url}/none` }));
    assert.equal(run.status?.phase, 'Failed');
    assert.equal(stepOf(run, 'notify').phase, 'Skipped');
    const told = await kit.waitForRun(run.metadata.name ?? '', ({ status }) =>
      (status?.notifications ?? []).some(({ phase }) => phase === 'Succeeded'),
    );
    assert.equal(told.status?.notifications?.length, 1);
    const [sent, ...more] = await messagesOf(slack, run.metadata.name ?? '');
    assert.equal(more.length, 0);
    t.diagnostic(JSON.stringify(sent?.body, null, 2));
    assert.deepEqual(problemsOf(sent?.body), []);
    const { text } = sent?.body ?? {};
    assert.match(
      String(text),
      /^Deployment Failed\nWorkflow: deploy-notify\nEnvironment: production\nStatus: Failed\n/,
    );
    assert.match(String(text), /test failed/);
  });
});

async function namespaceOf(cluster: Cluster, namespace: string): Promise<Kit> {
  const kit = createKit(cluster, namespace);
  await kit.makeNamespace();
  return kit;
}

/** What Slack was sent about a run. */
const messagesOf = async (slack: SlackPod, run: string) =>
  (await slack.received()).filter(({ body }) => JSON.stringify(body).includes(`Run ${run} in namespace`));

/** The message that the documentation shows. */
async function sampleMessage(): Promise<unknown> {
  const page = await readFile(path.join(root, 'docs/slack-message.md'), 'utf8');
  return JSON.parse(/```json\n(.*?)```/s.exec(page)?.[1] ?? '');
}

/** A message with the same in place of what differs from run to run. */
function withoutChance(message: unknown): unknown {
  const text = JSON.stringify(message)
    .replaceAll(/(Duration(?:: |\*\\n))[0-9hms]+/g, '$15m32s')
    .replaceAll(/Run deploy-notify-\w+ in namespace [\w-]+/g, 'Run deploy-notify-8x7y6 in namespace default')
    .replaceAll(/"client_msg_id":"[0-9a-f-]{36}"/g, '"client_msg_id":"5f3c1f0e-0000-5000-8000-000000000000"');
  return JSON.parse(text);
}
