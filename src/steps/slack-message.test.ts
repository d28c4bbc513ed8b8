import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { problemsOf } from '../../test/kit/block-kit.ts';
import type { StepStatus } from '../api/workflow-run.ts';
import { type SlackMessage, summaryMessage, textMessage } from './slack-message.ts';
import type { RunFacts } from './step-type.ts';

const START = Date.UTC(2026, 0, 5, 12);
const END = START + 332_000;

const step = (name: string, more: Partial<StepStatus> = {}): StepStatus => ({
  name,
  type: 'script',
  phase: 'Succeeded',
  ...more,
});

/** The pipeline that everybody wants, at its last step. */
const deployment: RunFacts = {
  namespace: 'api',
  name: 'production-deploy-8x7y6z5w',
  workflow: 'production-deploy',
  environment: 'production',
  outcome: 'Succeeded',
  ended: false,
  startedAt: START,
  trigger: {
    type: 'GitPush',
    name: 'main',
    by: 'jane',
    git: { branch: 'main', commit: 'abc1234def5678', message: 'Add rate limiting to API\n\nCloses 12.' },
  },
  steps: [
    step('plan', { outputs: { add: 3, change: 1 } }),
    step('apply', { outputs: { added: 3, changed: '1', destroyed: 0 } }),
    step('notify', { type: 'slack', phase: 'Running' }),
  ],
};

/** The fields of a summary by their labels. */
function fieldsOf({ blocks = [] }: SlackMessage): Record<string, string> {
  const fields = blocks.flatMap((block) => ('fields' in block ? block.fields : []));
  return Object.fromEntries(
    fields.map(({ text }) => {
      const [label = '', value = ''] = text.split('\n');
      return [label.replaceAll('*', ''), value];
    }),
  );
}

const titleOf = ({ text }: SlackMessage) => text.split('\n')[0];

/** The piece of text that says what went wrong. */
const noteOf = ({ blocks = [] }: SlackMessage) =>
  blocks.flatMap((block) => (block.type === 'section' && 'text' in block ? [block.text.text] : []))[0];

test('the summary of a deployment says what everybody wants to know', () => {
  const message = summaryMessage(deployment, END);
  assert.deepEqual(problemsOf(message), []);
  assert.deepEqual(message, {
    text: [
      'Deployment Complete',
      'Workflow: production-deploy',
      'Environment: production',
      'Status: Succeeded',
      'Duration: 5m32s',
      'Changes applied: 3 resources added, 1 resource changed',
      'Triggered by: Git Push (main @ abc1234)',
      'Commit: abc1234 "Add rate limiting to API"',
    ].join('\n'),
    blocks: [
      { type: 'header', text: { type: 'plain_text', text: 'Deployment Complete' } },
      {
        type: 'section',
        fields: [
          { type: 'mrkdwn', text: '*Workflow*\nproduction-deploy', verbatim: true },
          { type: 'mrkdwn', text: '*Environment*\nproduction', verbatim: true },
          { type: 'mrkdwn', text: '*Status*\nSucceeded', verbatim: true },
          { type: 'mrkdwn', text: '*Duration*\n5m32s', verbatim: true },
          {
            type: 'mrkdwn',
            text: '*Changes applied*\n3 resources added, 1 resource changed',
            verbatim: true,
          },
          { type: 'mrkdwn', text: '*Triggered by*\nGit Push (main @ abc1234)', verbatim: true },
          { type: 'mrkdwn', text: '*Commit*\nabc1234 "Add rate limiting to API"', verbatim: true },
        ],
      },
      {
        type: 'context',
        elements: [
          { type: 'mrkdwn', text: 'Run production-deploy-8x7y6z5w in namespace api', verbatim: true },
        ],
      },
    ],
  });
});

test('what is not known is left out', () => {
  const run: RunFacts = {
    namespace: 'api',
    name: 'check-1',
    workflow: 'check',
    outcome: 'Succeeded',
    ended: true,
    trigger: { type: 'Manual' },
    steps: [step('check')],
  };
  const message = summaryMessage(run, END);
  assert.equal(titleOf(message), 'Workflow Complete');
  assert.deepEqual(fieldsOf(message), { Workflow: 'check', Status: 'Succeeded', 'Triggered by': 'Manual' });
});

test('what the steps changed is added up; zeros and what is no count are left out', () => {
  const changes = (...outputs: Record<string, unknown>[]) => {
    const steps = outputs.map((each, index) => step(`apply-${index}`, { outputs: each }));
    return fieldsOf(summaryMessage({ ...deployment, steps }, END))['Changes applied'];
  };
  assert.equal(
    changes({ added: 1, destroyed: 2 }, { added: '4', changed: '0' }),
    '5 resources added, 2 resources destroyed',
  );
  assert.equal(changes({ added: 0 }, {}), undefined);
  assert.equal(
    changes({ added: 'many', changed: 1.5, destroyed: -1 }, { added: [3], changed: '1e3' }),
    undefined,
  );
  assert.equal(changes({ added: Number.POSITIVE_INFINITY, changed: '' }, { destroyed: true }), undefined);
});

test('what Terraform changed counts, and not what it only planned', () => {
  const counts = { add: 3, change: 1, destroy: 0, import: 0, replace: 0, outputs: 0 };
  const changes = (...terraform: (typeof counts & { drifted?: boolean; autoApproved?: boolean })[]) => {
    const steps = terraform.map((each, index) =>
      step(`s-${index}`, { terraform: each, outputs: { added: 7 } }),
    );
    return fieldsOf(summaryMessage({ ...deployment, steps }, END))['Changes applied'];
  };
  assert.equal(changes({ ...counts, drifted: true }, counts), '3 resources added, 1 resource changed');
  assert.equal(changes({ ...counts, drifted: true }), undefined);
  assert.equal(
    changes({ ...counts, drifted: true, autoApproved: true }),
    '3 resources added, 1 resource changed',
  );
});

test('the trigger is told in the words of people', () => {
  const told = (trigger: RunFacts['trigger']) =>
    fieldsOf(summaryMessage({ ...deployment, trigger }, END))['Triggered by'];
  assert.equal(told({ type: 'Manual', by: 'jane' }), 'Manual by jane');
  assert.equal(told({ type: 'Workflow', name: 'promote-x1y2z' }), 'Workflow promote-x1y2z');
  const scheduledAt = '2030-01-01T03:00:00.000Z';
  assert.equal(told({ type: 'Schedule', name: 'nightly', scheduledAt }), 'Schedule nightly');
  assert.equal(told({ type: 'GitPush', git: { branch: 'main' } }), 'Git Push (main)');
  assert.equal(told({ type: 'GitPush', git: { commit: 'v1.2' } }), 'Git Push (v1.2)');
  assert.equal(told({ type: 'GitPush', name: 'main' }), 'Git Push main');
});

test('while steps are left, the summary says how far the run is', () => {
  const announce = step('announce', { type: 'slack', phase: 'Running' });
  const pending = [step('apply', { phase: 'Pending' }), step('test', { phase: 'Pending' })];
  const started = summaryMessage({ ...deployment, steps: [announce, ...pending] }, START);
  assert.equal(titleOf(started), 'Deployment Started');
  assert.equal(fieldsOf(started).Status, 'Running (0/3)');
  assert.equal(fieldsOf(started).Duration, undefined);

  const sent = { ...announce, phase: 'Succeeded' as const };
  const steps = [
    sent,
    step('apply', { phase: 'Running' }),
    step('apply[us]', { phase: 'Running' }),
    step('test', { phase: 'Pending' }),
  ];
  const running = summaryMessage({ ...deployment, steps }, START + 5000);
  assert.equal(titleOf(running), 'Deployment Running');
  assert.equal(fieldsOf(running).Status, 'Running (1/3): apply');
  assert.equal(fieldsOf(running).Duration, '5s');
});

test('a run that has no steps yet has only started', () => {
  assert.equal(titleOf(summaryMessage({ ...deployment, steps: [] }, START)), 'Deployment Started');
});

test('a failure is told with the step and what it said, before the run has ended', () => {
  const steps = [
    step('announce', { type: 'slack', phase: 'Failed', message: 'not sent' }),
    step('apply', {
      phase: 'Failed',
      reason: 'ExitCode',
      message: 'exited with 1:\n<!channel> quota & more',
    }),
    step('apply[us]', { phase: 'Failed' }),
    step('test', { phase: 'Failed' }),
    step('notify', { type: 'slack', phase: 'Running' }),
  ];
  const message = summaryMessage({ ...deployment, outcome: 'Failed', steps }, END);
  assert.deepEqual(problemsOf(message), []);
  assert.equal(titleOf(message), 'Deployment Failed');
  assert.equal(
    noteOf(message),
    'Step *apply* failed:\n> exited with 1:\n> &lt;!channel&gt; quota &amp; more\nAlso failed: test, announce',
  );
  assert.ok(message.text.endsWith(noteOf(message) ?? 'nothing'));
});

test('once the run has ended, its own message says which failure counted', () => {
  const steps = [step('lint', { phase: 'Failed', message: 'forgiven' }), step('apply', { phase: 'Failed' })];
  const message = 'Step apply failed: exited with 1';
  const ended = { ...deployment, outcome: 'Failed' as const, ended: true, message, steps };
  assert.equal(noteOf(summaryMessage(ended, END)), '> Step apply failed: exited with 1');
});

test('each way in which a run goes on or ends has its words', () => {
  const told = (outcome: RunFacts['outcome'], message?: string) => {
    const run = { ...deployment, outcome, ended: true, ...(message === undefined ? {} : { message }) };
    const summary = summaryMessage(run, END);
    return [titleOf(summary), fieldsOf(summary).Status, noteOf(summary)];
  };
  assert.deepEqual(told('Cancelled', 'by jane'), ['Deployment Cancelled', 'Cancelled', '> by jane']);
  assert.deepEqual(told('TimedOut', 'after 1h'), ['Deployment Timed Out', 'Timed out', '> after 1h']);
  assert.deepEqual(told('Queued', 'behind run a'), ['Deployment Waiting', 'Waiting', '> behind run a']);
  assert.deepEqual(told('Pending'), ['Deployment Waiting', 'Waiting', undefined]);
  assert.deepEqual(told('Succeeded', 'All done'), ['Deployment Complete', 'Succeeded', undefined]);
});

test("a message of one's own keeps its links and mentions", () => {
  assert.deepEqual(textMessage('<!here> *done*'), { text: '<!here> *done*' });
  assert.equal(textMessage('x'.repeat(5000)).text.length, 4000);
});

/** Texts as somebody from outside would write them to make Slack do more than show them. */
const hostile = fc.oneof(
  { weight: 3, arbitrary: fc.string({ unit: 'binary', maxLength: 1100 }) },
  fc.constantFrom(
    '<!channel>',
    '<@U123>',
    '<https://evil.example|log in>',
    '\n*Status*\nSucceeded',
    '&lt;!here&gt;',
  ),
  fc.constantFrom('<', '&', '>', '😀').map((letter) => letter.repeat(1024)),
);

const hostileStep = fc.record(
  {
    name: fc.oneof(fc.constantFrom('apply', 'apply[us]'), hostile),
    type: fc.constantFrom('script' as const, 'slack' as const),
    phase: fc.constantFrom('Pending', 'Running', 'Succeeded', 'Failed', 'Cancelled', 'Skipped'),
    message: hostile,
    outputs: fc.record({ added: fc.oneof(fc.nat(), hostile), changed: fc.double() }),
  },
  { requiredKeys: ['name', 'type', 'phase'] },
);

const hostileRun = fc.record({
  namespace: fc.constant('api'),
  name: hostile,
  workflow: fc.oneof(fc.constant('deploy'), hostile),
  environment: hostile,
  outcome: fc.constantFrom('Pending', 'Queued', 'Running', 'Succeeded', 'Failed', 'Cancelled', 'TimedOut'),
  ended: fc.boolean(),
  message: hostile,
  startedAt: fc.nat(END),
  trigger: fc.record(
    {
      type: fc.constantFrom('Manual' as const, 'GitPush' as const, 'Workflow' as const),
      name: hostile,
      by: hostile,
      git: fc.record({ branch: hostile, commit: hostile, message: hostile }),
    },
    { requiredKeys: ['type'] },
  ),
  steps: fc.array(hostileStep, { maxLength: 40 }),
});

const textsIn = ({ text, blocks = [] }: SlackMessage): string[] => [
  text,
  ...blocks.flatMap((block) => {
    if ('fields' in block) return block.fields.map((field) => field.text);
    return 'elements' in block ? block.elements.map((element) => element.text) : [block.text.text];
  }),
];

test('whatever a run is called and says, Slack accepts its summary and finds no command in it', () => {
  fc.assert(
    fc.property(hostileRun, (run) => {
      const message = summaryMessage(run, END);
      assert.deepEqual(problemsOf(message), []);
      for (const text of textsIn(message)) {
        // A quotation begins with the only > that there is.
        const shown = text.replace(/^> /gm, '');
        assert.doesNotMatch(shown, /[<>]|&(?!(?:amp|lt|gt);)/);
        assert.ok(text.isWellFormed());
      }
    }),
    { numRuns: 300 },
  );
});

test('no value can pass for a field of its own', () => {
  fc.assert(
    fc.property(hostileRun, (run) => {
      const { blocks = [] } = summaryMessage(run, END);
      const fields = blocks.flatMap((block) => ('fields' in block ? block.fields : []));
      for (const { text } of fields) assert.match(text, /^\*[A-Z][a-z ]+\*\n[^\n\r\u2028\u2029]+$/);
    }),
  );
});

test('five hundred steps that fail with long messages fit into one message', () => {
  const steps = Array.from({ length: 500 }, (_, index) =>
    step(`deploy-to-region-number-${index}`, { phase: 'Failed', message: '&<>'.repeat(341) }),
  );
  const message = summaryMessage({ ...deployment, outcome: 'Failed', steps }, END);
  assert.deepEqual(problemsOf(message), []);
  assert.ok(message.text.length <= 4000);
});

test('the checker of these tests refuses what Slack refuses', () => {
  const text = (type: string, length: number) => ({ type, text: 'x'.repeat(length) });
  const field = text('mrkdwn', 2000);
  const refused: [unknown, RegExp][] = [
    [{}, /text or blocks/],
    [{ text: 'x'.repeat(40_001) }, /longer than 40000/],
    [{ blocks: Array.from({ length: 51 }, () => ({ type: 'divider' })) }, /more than 50/],
    [{ blocks: [{ type: 'header', text: text('plain_text', 151) }] }, /longer than 150/],
    [{ blocks: [{ type: 'header', text: text('mrkdwn', 1) }] }, /must be plain_text/],
    [{ blocks: [{ type: 'section' }] }, /needs text or fields/],
    [{ blocks: [{ type: 'section', text: text('mrkdwn', 3001) }] }, /longer than 3000/],
    [{ blocks: [{ type: 'section', text: text('mrkdwn', 0) }] }, /must be a text/],
    [{ blocks: [{ type: 'section', fields: Array.from({ length: 11 }, () => field) }] }, /more than 10/],
    [{ blocks: [{ type: 'section', fields: [text('mrkdwn', 2001)] }] }, /longer than 2000/],
    [{ blocks: [{ type: 'section', fields: [] }] }, /something in it/],
    [{ blocks: [{ type: 'context', elements: Array.from({ length: 11 }, () => field) }] }, /more than 10/],
    [{ blocks: [{ type: 'header', text: { ...text('plain_text', 1), verbatim: true } }] }, /unknown member/],
    [
      {
        blocks: [
          { type: 'divider', block_id: 'a' },
          { type: 'divider', block_id: 'a' },
        ],
      },
      /twice/,
    ],
    [{ blocks: [{ type: 'banner' }] }, /unknown block/],
  ];
  for (const [message, problem] of refused) assert.match(problemsOf(message).join('\n'), problem);
});
