import assert from 'node:assert/strict';
import { test } from 'node:test';
import { problemsOf } from '../../test/kit/block-kit.ts';
import type { StepStatus } from '../api/workflow-run.ts';
import { summaryMessage } from './slack-message.ts';
import type { RunFacts } from './step-type.ts';

const NOW = Date.UTC(2026, 0, 5, 12);
const changes = Array.from({ length: 7 }, (_, index) => ({
  address: `aws_lb.<${index}>`,
  action: 'create' as const,
}));
const approval = {
  approvers: ['team:platform'],
  required: 1,
  message: 'Deploy <!channel>?',
  deadline: '2026-01-05T13:00:00.000Z',
  digest: 'sha256:1',
  plans: [{ step: 'plan', add: 8, change: 1, destroy: 0, import: 0, replace: 0, changes, moreChanges: 2 }],
};
const asked: StepStatus = { name: 'approval', type: 'approval', phase: 'Running', approval };
const decided = (more: Partial<StepStatus>): StepStatus => ({ ...asked, phase: 'Failed', ...more });

const facts = (row: StepStatus, more: Partial<RunFacts> = {}): RunFacts => ({
  namespace: 'api',
  name: 'deploy-x1',
  workflow: 'deploy',
  environment: 'production',
  outcome: 'AwaitingApproval',
  ended: false,
  startedAt: NOW,
  trigger: { type: 'Manual' },
  steps: [row],
  ...more,
});
const lines = (run: RunFacts) => {
  const message = summaryMessage(run, NOW);
  assert.deepEqual(problemsOf(message), []);
  return message.text.split('\n');
};

test('who is asked reads what waits, what it is about, and how to approve', () => {
  const text = lines(facts(asked, { about: asked }));
  assert.equal(text[0], 'Deployment Waiting for Approval');
  assert.ok(text.includes('Status: Waiting for Approval: approval'));
  assert.deepEqual(text.slice(-10), [
    'Step *approval* waits until 2026-01-05T13:00:00.000Z for approval by team:platform.',
    '> Deploy &lt;!channel&gt;?',
    'plan: 8 to add, 1 to change, 0 to destroy',
    ...[0, 1, 2, 3, 4].map((index) => `• create aws_lb.&lt;${index}&gt;`),
    '• and 4 more',
    'Approve: `kubectl annotate workflowrun deploy-x1 -n api signalbox.dev/approve=approval`',
  ]);
});

test('a message that is not about one approval names all that wait', () => {
  const other = { ...asked, name: 'other' };
  const text = lines(facts(asked, { steps: [asked, other, { ...asked, name: 'done', phase: 'Succeeded' }] }));
  assert.ok(text.includes('Status: Waiting for Approval: approval, other'));
  assert.equal(text.filter((line) => line.startsWith('Approve: ')).length, 2);
});

for (const [title, row, said] of [
  [
    'Approved',
    decided({ phase: 'Succeeded', reason: 'Approved', summary: 'Approved by jane' }),
    'Step *approval*: Approved by jane',
  ],
  [
    'Rejected',
    decided({ reason: 'Rejected', summary: 'Rejected by joe', message: 'Rejected by joe: <no>' }),
    '> Rejected by joe: &lt;no&gt;',
  ],
  [
    'Not Approved in Time',
    decided({ reason: 'TimedOut', summary: 'Nobody approved in time' }),
    'Step *approval*: Nobody approved in time',
  ],
] as const) {
  test(`what was decided is told, with the plan: ${title}`, () => {
    const text = lines(facts(row, { about: row, outcome: 'Running' }));
    assert.equal(text[0], `Deployment ${title}`);
    assert.ok(text.includes(said), text.join('\n'));
    assert.ok(text.includes('plan: 8 to add, 1 to change, 0 to destroy'));
  });
}
