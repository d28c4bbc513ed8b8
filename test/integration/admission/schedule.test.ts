import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { WorkflowRun } from '../../../src/api/resources.ts';
import { waitFor } from '../../cluster/wait.ts';
import type { Spec } from '../../kit/kit.ts';
import { type AdmissionSite, bootAdmission, type Person, told, WEBHOOKS } from './setup.ts';

/** A minute, and what a small machine takes besides. */
const LIMIT_MS = 120_000;
let site: AdmissionSite;

before(async () => {
  site = await bootAdmission('admission-schedule', 19_983);
  await site.start();
});
after(() => site[Symbol.asyncDispose]());

const everyMinute = [{ name: 'often', schedule: { cron: '* * * * *', timeZone: 'UTC' } }];
const gate = { name: 'approval', approval: { approvers: ['group:developers', 'team:platform'] } };

async function apply(person: Person, name: string, spec: object) {
  const workflow = { apiVersion: 'signalbox.dev/v1alpha1', kind: 'Workflow', metadata: { name }, spec };
  return told(await site.as(person)(['apply', '-f', '-'], JSON.stringify(workflow)));
}

const create = async (person: Person, run: object) =>
  told(await site.as(person)(['create', '-f', '-'], JSON.stringify(run)));

const annotate = async (person: Person, run: string, what: string) =>
  told(await site.as(person)(['annotate', 'workflowrun', run, `signalbox.dev/${what}`]));

const waits = (run: string) => site.hands.runIs(run, ({ status }) => status?.phase === 'AwaitingApproval');

/** A run that a schedule has started, and that waits. */
async function scheduled(name: string, steps: object[] = [gate]): Promise<WorkflowRun> {
  assert.match(await apply('ada', name, { triggers: everyMinute, steps }), /^yes/);
  const started = await waitFor('the run', LIMIT_MS, async () => (await site.hands.runsOf(name))[0]);
  await site.hands.apply(name, { state: 'Paused', triggers: everyMinute, steps } as Spec);
  return started;
}

/** A run that looks like the one that was started, under another name. */
const copyOf = ({ metadata: { annotations }, ...run }: WorkflowRun, name: string) => ({
  apiVersion: run.apiVersion,
  kind: run.kind,
  metadata: { name, annotations },
  spec: run.spec,
});

test('a run that a schedule has started may be approved by whoever is asked, the author of the workflow too', async () => {
  const run = await scheduled('gate');
  const name = run.metadata.name ?? '';
  assert.equal(run.spec.trigger.type, 'Schedule');
  await waits(name);
  assert.match(await annotate('ada', name, 'approve=approval'), /^yes/);
  const { status } = await site.hands.runIs(name, ({ status: now }) => now?.finishedAt !== undefined);
  assert.equal(status?.phase, 'Succeeded');
  assert.equal(status?.steps?.[0]?.summary, 'Approved by ada@example.com');

  // What its steps start was started by nobody, too.
  await apply('ada', 'inner', { steps: [gate] });
  const outer = await scheduled('outer', [{ name: 'call', workflow: { name: 'inner' } }]);
  const inner = await waitFor(
    'the run of the step',
    LIMIT_MS,
    async () => (await site.hands.runsOf('inner'))[0],
  );
  await waits(inner.metadata.name ?? '');
  assert.match(await annotate('jane', inner.metadata.name ?? '', 'approve=approval'), /^yes/);
  await site.hands.runIs(outer.metadata.name ?? '', ({ status: now }) => now?.phase === 'Succeeded');
});

test('nobody creates a run in the name of a schedule, with the webhooks or past them', async () => {
  const run = await scheduled('claimed');
  const copy = copyOf(run, 'copied');
  const refusal = /^no: .*spec\.trigger\.type: is Schedule, which Signalbox alone may say/;
  for (const person of ['ada', 'olga', 'max', 'root'] as const) {
    assert.match(await create(person, copy), refusal);
  }
  await site.webhooks('delete', WEBHOOKS);
  const past = (person: Person, object: object) =>
    waitFor('an answer past the webhooks', LIMIT_MS, async () => {
      const said = await create(person, object);
      return said.includes('Signalbox alone') ? undefined : said;
    });
  assert.match(await past('max', copy), /^no: .*must be about the one who writes it/);
  // Whoever may take away webhooks and policies makes a run that looks so, and that nobody can approve.
  await site.webhooks('delete');
  await waitFor('the policy to be gone', LIMIT_MS, async () =>
    (await create('root', copy)).startsWith('yes') ? true : undefined,
  );
  await site.webhooks('apply');
  await waits('copied');
  await waitFor('the webhooks', LIMIT_MS, async () => {
    const said = await annotate('jane', 'copied', 'approve=approval');
    return said.includes('It is not on record who started this run') ? true : undefined;
  });
});

test('whoever writes a trigger needs the right to create runs', async () => {
  const steps = [{ name: 'build', script: { bash: 'true' } }];
  assert.equal(
    await apply('wanda', 'hers', { triggers: everyMinute, steps }),
    'no: spec.triggers[0]: uses runs, which it starts, and wanda@example.com may not: that takes the right to create workflowruns.signalbox.dev',
  );
  assert.match(await apply('wanda', 'hers', { steps }), /^yes/);
  assert.match(
    await apply('wanda', 'hers', { triggers: everyMinute, steps }),
    /^no: .*spec\.triggers\[0\]: uses runs/,
  );
});
