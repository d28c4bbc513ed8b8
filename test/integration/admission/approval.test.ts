import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { waitFor } from '../../cluster/wait.ts';
import type { Spec } from '../../kit/kit.ts';
import type { OperatorProcess } from '../../kit/operator-process.ts';
import { runOf } from './scene.ts';
import { type AdmissionSite, bootAdmission, type Person, told } from './setup.ts';

const LIMIT_MS = 60_000;
let site: AdmissionSite;
let operator: OperatorProcess;

before(async () => {
  site = await bootAdmission('admission', 19_443);
  operator = await site.start();
});
after(() => site[Symbol.asyncDispose]());

const script = (name: string) => ({ name, script: { bash: 'true' } });
const gate = { name: 'approval', approval: { approvers: ['team:platform'], timeout: '1h' } };
const pipeline = { steps: [script('plan'), gate, script('apply')], outputs: { by: 'trigger.by' } } as Spec;

const workflowOf = (name: string, spec: Spec) => ({
  apiVersion: 'signalbox.dev/v1alpha1',
  kind: 'Workflow',
  metadata: { name },
  spec,
});

const apply = async (person: Person, name: string, spec: Spec) =>
  told(await site.as(person)(['apply', '-f', '-'], JSON.stringify(workflowOf(name, spec))));

/** Starts a run as somebody, by kubectl create, and gives its name. */
async function start(person: Person, workflow: string): Promise<string> {
  const run = runOf(workflow);
  const { ok, text } = await site.as(person)(['create', '-o', 'name', '-f', '-'], JSON.stringify(run));
  assert.ok(ok, text);
  return text.trim().replace(/^.*\//, '');
}

const annotate = async (person: Person, run: string, ...what: string[]) =>
  told(await site.as(person)(['annotate', 'workflowrun', run, ...what.map((one) => `signalbox.dev/${one}`)]));

const waits = (run: string) =>
  site.hands.runIs(run, ({ status }) => (status?.phase as string) === 'AwaitingApproval');

test('the author starts a deployment, a member of the team approves it, and it goes on', async () => {
  assert.match(await apply('ada', 'deploy', pipeline), /^yes: .*created/);
  const run = await start('ada', 'deploy');
  await waits(run);
  assert.equal(
    await annotate('ada', run, 'approve=approval'),
    'no: ada@example.com may not decide on step approval: it asks team:platform.',
  );
  assert.match(await annotate('otto', run, 'approve=approval'), /^no: otto@example.com may not decide/);
  assert.match(await annotate('vera', run, 'approve=approval'), /^no: .*cannot patch resource/);
  assert.match(await annotate('jane', run, 'approve=approval', 'comment=looks good'), /^yes: .*annotated/);
  const { status } = await site.hands.runIs(run, ({ status: now }) => now?.finishedAt !== undefined);
  assert.equal(status?.phase, 'Succeeded');
  assert.deepEqual([status?.startedBy, status?.outputs], ['ada@example.com', { by: 'ada@example.com' }]);
  const row = status?.steps?.find(({ name }) => name === 'approval');
  assert.equal(row?.summary, 'Approved by jane@example.com');
  assert.deepEqual(
    status?.steps?.map(({ phase }) => phase),
    ['Succeeded', 'Succeeded', 'Succeeded'],
  );
});

test('a Secret that steps need is warned about until it is there and may be read', async () => {
  const ada = site.as('ada');
  const steps = [{ name: 'tell', slack: { channel: '#a', message: 'x' } }];
  const applied = async (timeout: string) => {
    const workflow = workflowOf('tell', { steps, timeout });
    return told(await ada(['apply', '--warnings-as-errors', '-f', '-'], JSON.stringify(workflow)));
  };
  assert.match(await applied('1m'), /^no: .*spec\.steps\[0\]\.slack\.token: there is no Secret slack yet/);
  const made = await ada(['create', 'secret', 'generic', 'slack', '--from-literal=token=xoxb-1']);
  assert.ok(made.ok, made.text);
  assert.match(await applied('2m'), /^no: .*kubectl label secret slack signalbox\.dev\/use=true/);
  const labelled = await ada(['label', 'secret', 'slack', 'signalbox.dev/use=true']);
  assert.ok(labelled.ok, labelled.text);
  assert.match(await applied('3m'), /^yes: .*configured/);
});

test('who asks for a run by an annotation can not approve it', async () => {
  await apply('ada', 'deploy', pipeline);
  const allowed = { steps: [{ ...gate, approval: { approvers: ['group:developers'] } }] } as Spec;
  await apply('ada', 'own', allowed);
  assert.match(told(await site.as('ada')(['annotate', 'workflow', 'own', 'signalbox.dev/run=now'])), /^yes/);
  const run = await waitFor(
    'the run',
    LIMIT_MS,
    async () => (await site.hands.runsOf('own'))[0]?.metadata.name,
  );
  await waits(run);
  assert.equal(
    await annotate('ada', run, 'approve=approval'),
    'no: ada@example.com started this run: somebody else has to approve it.',
  );
  assert.match(await annotate('otto', run, 'approve=approval'), /^yes/);
});

test('who has a step start the run that is to be approved can not approve it, and others can', async () => {
  const spec = { steps: [{ ...gate, approval: { approvers: ['group:developers'] } }] } as Spec;
  await apply('ada', 'below', spec);
  await apply('ada', 'above', { steps: [{ name: 'call', workflow: { name: 'below' } }, script('after')] });
  const above = await start('ada', 'above');
  const { status } = await site.hands.runIs(above, (run) => run.status?.steps?.[0]?.run?.name !== undefined);
  const below = status?.steps?.[0]?.run?.name ?? '';
  await waits(below);
  assert.equal(
    await annotate('ada', below, 'approve=approval'),
    'no: ada@example.com started this run: somebody else has to approve it.',
  );
  assert.match(await annotate('otto', below, 'approve=approval'), /^yes/);
  const ended = await site.hands.runIs(above, (run) => run.status?.finishedAt !== undefined);
  assert.equal(ended.status?.phase, 'Succeeded', JSON.stringify(ended.status));
});

test('a run of ten steps costs one review, that of its creation', async () => {
  const steps = Array.from({ length: 10 }, (_, index) => script(`s${index}`));
  await apply('ada', 'ten', { steps });
  const before = await reviews();
  const run = await start('ada', 'ten');
  await site.hands.runIs(run, ({ status }) => status?.phase === 'Succeeded');
  assert.deepEqual(await reviews(), { ...before, workflowruns: (before['workflowruns'] ?? 0) + 1 });
});

test('while no operator answers, nothing is written that it has not judged, and all the rest goes on', async () => {
  const run = await start('ada', 'deploy');
  await waits(run);
  site.reachable(false);
  const down = /^no: .*failed calling webhook/;
  assert.match(await apply('ada', 'other', pipeline), down);
  assert.match(await annotate('jane', run, 'approve=approval'), down);
  assert.match(await annotate('olga', run, 'cancel=true'), down);
  const created = await site.as('ada')(['create', '-f', '-'], JSON.stringify(runOf('deploy')));
  assert.match(told(created), down);
  // What changes nothing is not asked about, and the operator itself goes on.
  assert.match(await apply('ada', 'deploy', pipeline), /^yes: .*(unchanged|configured)/);
  const deleted = await site.as('ada')(['delete', 'workflowrun', run, '--timeout=30s']);
  assert.match(told(deleted), /^yes: .*deleted/);
  site.reachable(true);
  assert.match(await apply('ada', 'other', pipeline), /^yes: .*created/);
});

/** How many reviews there were, by webhook. */
async function reviews(): Promise<Record<string, number>> {
  const lines = (await operator.metrics()).matchAll(
    /^signalbox_admission_review_duration_seconds_count\{webhook="(\w+)",result="\w+"\} (\d+)$/gm,
  );
  const counts: Record<string, number> = {};
  for (const [, webhook = '', count] of lines) counts[webhook] = (counts[webhook] ?? 0) + Number(count);
  return counts;
}
