import { API_VERSION } from '../../../src/api/common.ts';
import { type Attack, annotating, annotations, forged, patching, patchOf, signedFor } from './attack.ts';
import { BYPASS_ATTACKS } from './bypass-attacks.ts';
import { CLOCK_ATTACKS } from './clock-attacks.ts';
import { approval, runOf, type Scene } from './scene.ts';
import type { Person } from './setup.ts';
import { TEXT_ATTACKS } from './text-attacks.ts';
import { WORKFLOW_ATTACKS } from './workflow-attacks.ts';

/** The rows of the status, with changes to the first. */
async function rowsWith(scene: Scene, run: string, changes: object) {
  const [first, ...others] = (await scene.run(run)).status?.steps ?? [];
  return { status: { steps: [{ ...first, ...changes }, ...others] } };
}

/** Who votes. */
const wrongPeople: Attack[] = [
  {
    title: 'whoever started the run approves it, and is one of those who are asked',
    async attempt(scene) {
      const run = await scene.waiting('mine');
      return `${await scene.annotates('ada', run, 'approve=approval')}; ${await scene.stands(run)}`;
    },
  },
  { title: 'somebody votes who may vote, and is not asked', attempt: annotating('otto', 'approve=approval') },
  { title: 'somebody votes who may only look', attempt: annotating('vera', 'approve=approval') },
  {
    title: 'somebody votes who may only start and stop runs',
    attempt: annotating('olga', 'approve=approval'),
  },
  {
    title: 'somebody is made an approver in the workflow after the run has begun, and votes',
    async attempt(scene) {
      const run = await scene.waiting('frozen');
      const spec = { steps: [approval(['team:platform', 'user:otto@example.com'])] };
      const workflow = { apiVersion: API_VERSION, kind: 'Workflow', metadata: { name: 'frozen' }, spec };
      await scene.does('ada', ['apply', '-f', '-'], workflow);
      return `${await scene.annotates('otto', run, 'approve=approval')}; ${await scene.stands(run)}`;
    },
  },
  {
    title: 'one approver votes twenty times at once, at two replicas, where two approvals are needed',
    async attempt(scene) {
      const run = await scene.waiting('pair');
      const votes = Array.from({ length: 20 }, () => scene.annotates('jane', run, 'approve=approval'));
      await Promise.all(votes);
      await scene.is(run, ({ status }) => (status?.steps?.[0]?.approval?.votes ?? []).length > 0);
      return scene.stands(run);
    },
  },
  {
    title: 'an approver votes a second time',
    async attempt(scene) {
      const run = await scene.waiting('pair');
      await scene.annotates('jane', run, 'approve=approval');
      await scene.is(run, ({ status }) => (status?.steps?.[0]?.approval?.votes ?? []).length > 0);
      const said = await scene.annotates('jane', run, 'approve=approval');
      return `${said.replace(/at \S+Z/, 'at <time>')}; ${await scene.stands(run)}`;
    },
  },
];

/** What is voted on. */
const wrongVotes: Attack[] = [
  {
    title: 'a vote for a step whose name looks alike (Cyrillic а)',
    attempt: annotating('jane', 'approve=аpproval'),
  },
  { title: 'a vote for no step', attempt: annotating('jane', 'approve=') },
  {
    title: 'a vote for a step that does not wait yet',
    async attempt(scene) {
      return scene.annotates('jane', await scene.waiting('two'), 'approve=second');
    },
  },
  {
    title: 'a vote on a run that has ended',
    async attempt(scene) {
      const run = await scene.waiting('gate');
      await scene.annotates('john', run, 'reject=approval');
      await scene.is(run, ({ status }) => status?.finishedAt !== undefined);
      return scene.annotates('jane', run, 'approve=approval');
    },
  },
  { title: 'fields that are no JSON', attempt: annotating('jane', 'approve=approval', 'fields={"a"') },
  {
    title: 'fields that nobody asked for',
    attempt: annotating('jane', 'approve=approval', 'fields={"a":1}'),
  },
  {
    title: 'a comment of 600 characters',
    attempt: annotating('jane', 'approve=approval', `comment=${'x'.repeat(600)}`),
  },
  {
    title: 'a vote with --dry-run=server',
    async attempt(scene) {
      const run = await scene.shared();
      const args = ['annotate', 'workflowrun', run, 'signalbox.dev/approve=approval', '--dry-run=server'];
      return `${await scene.does('jane', args)}; ${await scene.stands(run)}`;
    },
  },
];

/** How it is written. */
const wrongWays: Attack[] = [
  {
    title: 'a run is created with a vote on it',
    attempt: (scene) =>
      scene.does(
        'ada',
        ['create', '-f', '-'],
        runOf('gate', annotationsIn('vote-0123456789abcdef', forged('jane@example.com'))),
      ),
  },
  {
    title: 'a run is created with the wish to approve it',
    attempt: (scene) =>
      scene.does('ada', ['create', '-f', '-'], runOf('gate', annotationsIn('approve', 'approval'))),
  },
  {
    title: 'a vote is written as the operator would write it, for somebody else',
    attempt: patching('jane', annotations({ 'vote-0123456789abcdef': forged('john@example.com') })),
  },
  {
    title: 'the same by kubectl replace, by somebody who may change the whole run',
    async attempt(scene) {
      const run = await scene.shared();
      const object = await scene.run(run);
      const metadata = {
        ...object.metadata,
        annotations: {
          ...object.metadata.annotations,
          'signalbox.dev/vote-0123456789abcdef': forged('jane@example.com'),
        },
      };
      return `${await scene.does('ada', ['replace', '-f', '-'], { ...object, metadata })}; ${await scene.stands(run)}`;
    },
  },
  {
    title: 'a vote by server-side apply, under the name of the operator as field manager',
    async attempt(scene) {
      const run = await scene.shared();
      const wish = { apiVersion: API_VERSION, kind: 'WorkflowRun', ...annotations({ approve: 'approval' }) };
      const object = { ...wish, metadata: { ...wish.metadata, name: run } };
      const args = ['apply', '--server-side', '--field-manager=signalbox', '-f', '-'];
      return `${await scene.does('otto', args, object)}; ${await scene.stands(run)}`;
    },
  },
  {
    title: 'the vote of somebody else is taken away',
    async attempt(scene) {
      const run = await scene.waiting('pair');
      await scene.annotates('jane', run, 'reject=approval-');
      await scene.annotates('jane', run, 'approve=approval');
      await scene.is(run, ({ metadata }) => JSON.stringify(metadata.annotations).includes('vote-'));
      const { name } = await scene.voteOn(run);
      return (await scene.does('ada', ['annotate', 'workflowrun', run, `${name}-`])).replaceAll(
        name,
        '<vote>',
      );
    },
  },
  {
    title: 'the name of who started the run is changed',
    attempt: patching('ada', annotations({ 'created-by': '{"user":"paul@example.com"}' })),
  },
  {
    title: 'a run is asked for in the name of somebody else',
    attempt: (scene) =>
      scene.does('ada', [
        'annotate',
        'workflow',
        'gate',
        'signalbox.dev/run=now',
        'signalbox.dev/run-by={"user":"paul@example.com"}',
      ]),
  },
];

const annotationsIn = (name: string, value: string) => annotations({ [name]: value }).metadata;

/** Through the status, which RBAC has to give. */
const status: Attack[] = [
  {
    title: 'an approver edits the status',
    async attempt(scene) {
      const run = await scene.shared();
      const patch = await rowsWith(scene, run, { phase: 'Succeeded' });
      return scene.does('jane', patchOf(run, patch, '--subresource=status'));
    },
  },
  {
    title: 'an approver lowers the number of approvals in the same write',
    async attempt(scene) {
      const run = await scene.waiting('pair');
      const row = (await scene.run(run)).status?.steps?.[0];
      const patch = await rowsWith(scene, run, { approval: { ...row?.approval, required: 1 } });
      await scene.does('jane', patchOf(run, { ...patch, ...annotations({ approve: 'approval' }) }));
      await scene.is(run, (now) => (now.status?.steps?.[0]?.approval?.votes ?? []).length > 0);
      return scene.stands(run);
    },
  },
  {
    title: 'whoever may write the status puts a vote of somebody else into it',
    async attempt(scene) {
      const run = await scene.waiting('gate');
      const row = (await scene.run(run)).status?.steps?.[0];
      const vote: unknown = JSON.parse(forged('jane@example.com'));
      const patch = await rowsWith(scene, run, { approval: { ...row?.approval, votes: [vote] } });
      await scene.does('max', patchOf(run, patch, '--subresource=status'));
      await scene.is(run, (now) => (now.status?.steps?.[0]?.approval?.votes ?? []).length === 0);
      return `the vote is taken out of it; ${await scene.stands(run)}`;
    },
  },
  {
    title:
      'the same, with a vote that the operator signed for somebody who called it as if they were the API server',
    async attempt(scene) {
      const run = await scene.waiting('gate');
      const row = (await scene.run(run)).status?.steps?.[0];
      const vote: unknown = JSON.parse((await signedFor(scene, run)).value);
      const patch = await rowsWith(scene, run, { approval: { ...row?.approval, votes: [vote] } });
      await scene.does('max', patchOf(run, patch, '--subresource=status'));
      await scene.is(
        run,
        (now) =>
          (now.status?.steps?.[0]?.approval?.votes ?? []).length === 0 ||
          now.status?.finishedAt !== undefined,
      );
      return `the vote is taken out of it; ${await scene.stands(run)}`;
    },
  },
  {
    title: 'whoever may write the status says there that the step has succeeded',
    async attempt(scene) {
      const run = await scene.waiting('deploy');
      const now = new Date().toISOString();
      const done = { phase: 'Succeeded', reason: 'Approved', finishedAt: now };
      await scene.does('max', patchOf(run, await rowsWith(scene, run, done), '--subresource=status'));
      const { status: after } = await scene.is(run, (one) => one.status?.finishedAt !== undefined);
      const apply = after?.steps?.[1];
      return `the step behind it is ${apply?.phase}, ${apply?.reason}: ${apply?.message}`;
    },
  },
  {
    title: 'whoever may write the status makes somebody an approver there, who votes',
    async attempt(scene) {
      const run = await scene.waiting('gate');
      const row = (await scene.run(run)).status?.steps?.[0];
      const approvers = ['user:otto@example.com'];
      const patch = await rowsWith(scene, run, { approval: { ...row?.approval, approvers } });
      await scene.does('max', patchOf(run, patch, '--subresource=status'));
      await scene.is(run, (now) => now.status?.steps?.[0]?.approval?.approvers[0] === 'team:platform');
      return `it is put right; ${await scene.annotates('otto', run, 'approve=approval')}; ${await scene.stands(run)}`;
    },
  },
];

const account = {
  podDefaults: { serviceAccountName: 'deployer' },
  steps: [{ name: 'a', script: { bash: 'true' } }],
};
const secret = {
  steps: [
    {
      name: 'a',
      http: {
        url: 'https://example.com',
        secretHeaders: { Authorization: { name: 'payroll', key: 'token' } },
      },
    },
  ],
};
const applying = (person: Person, spec: object) => (scene: Scene) =>
  scene.does(person, ['apply', '-f', '-'], {
    apiVersion: API_VERSION,
    kind: 'Workflow',
    metadata: { name: 'w' },
    spec,
  });

/** More than somebody may. */
const rights: Attack[] = [
  {
    title: 'an approver votes, and labels the run in the same write',
    attempt: patching('jane', {
      metadata: { labels: { a: 'b' }, ...annotations({ approve: 'approval' }).metadata },
    }),
  },
  {
    title: 'an approver takes the finalizers away',
    attempt: patching('jane', { metadata: { finalizers: null } }),
  },
  { title: 'an approver cancels the run', attempt: annotating('jane', 'cancel=true') },
  {
    title: 'an approver writes an annotation whose name looks alike',
    attempt: annotating('jane', 'Approve=approval'),
  },
  {
    title: 'whoever may start and stop runs labels one',
    attempt: patching('olga', { metadata: { labels: { a: 'b' } } }),
  },
  {
    title: 'whoever may start and stop runs changes a workflow',
    attempt: (scene) =>
      scene.does('olga', ['patch', 'workflow', 'gate', '--type=merge', '-p', '{"spec":{"description":"x"}}']),
  },
  {
    title: 'somebody writes a workflow who may not create pods',
    attempt: applying('paul', { steps: account.steps }),
  },
  {
    title: 'a workflow uses a service account that its author may not use',
    attempt: applying('petra', account),
  },
  {
    title: 'a workflow sends a Secret somewhere that its author may not read',
    attempt: applying('petra', secret),
  },
];

export const ATTACKS: Record<string, Attack[]> = {
  'The wrong people': wrongPeople,
  'The wrong votes': wrongVotes,
  'Too large, and no text': TEXT_ATTACKS,
  'Other ways to write': wrongWays,
  'Through the status': status,
  'Through what a run executes': WORKFLOW_ATTACKS,
  'Past the webhooks': BYPASS_ATTACKS,
  'By the clock': CLOCK_ATTACKS,
  'More than somebody may': rights,
};
