import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { problemsOf } from '../../test/kit/block-kit.ts';
import { type FakeSlack, startFakeSlack } from '../../test/kit/fake-slack.ts';
import { type SlackStep, slackStep } from '../api/slack-step.ts';
import type { Egress } from './egress.ts';
import { createSlack } from './slack.ts';
import { CallError, type CallContext, type KeyReference, type RunFacts } from './step-type.ts';

const NOW = Date.UTC(2026, 0, 5, 12);

const run: RunFacts = {
  namespace: 'api',
  name: 'production-deploy-8x7y',
  workflow: 'production-deploy',
  environment: 'production',
  outcome: 'Succeeded',
  ended: true,
  startedAt: NOW - 1000,
  trigger: { type: 'Manual', by: 'jane' },
  steps: [],
};

/** The way out without the guards of the operator. */
const openEgress: Egress = {
  async request({ method, url, headers, body, signal }) {
    const response = await fetch(url, {
      method,
      headers,
      signal,
      redirect: 'manual',
      ...(body ? { body } : {}),
    });
    const { status } = response;
    const content = Buffer.from(await response.arrayBuffer());
    return { status, headers: Object.fromEntries(response.headers), body: content };
  },
  async close() {},
};

interface World {
  secrets?: Record<string, string>;
  more?: Partial<CallContext>;
}

function contextFor(slack: Pick<FakeSlack, 'token'>, { secrets = {}, more = {} }: World = {}): CallContext {
  const known: Record<string, string> = { 'slack/token': slack.token, ...secrets };
  return {
    idempotencyKey: 'deploy-notify-1',
    run,
    signal: new AbortController().signal,
    async secret({ name, key }: KeyReference) {
      const value = known[`${name}/${key}`];
      if (value !== undefined) return value;
      throw new CallError('SecretNotFound', `There is no Secret ${name} in namespace api.`);
    },
    configMap: async () => assert.fail('nothing of it is in a ConfigMap'),
    evaluate: () => assert.fail('there are no expressions'),
    egress: openEgress,
    now: () => NOW,
    ...more,
  };
}

const stepOf = (slack: SlackStep) => ({ name: 'notify', slack: slackStep.parse(slack) });

/** Sends one message by a fake Slack. */
const send = (slack: FakeSlack, step: SlackStep, world: World = {}) =>
  createSlack(slack).call(stepOf(step), contextFor(slack, world));

const toDeployments: SlackStep = { channel: '#deployments', message: 'Deploy complete' };
const viaWebhook: SlackStep = { webhook: { name: 'hook', key: 'url' }, message: 'Deploy complete' };

test('a message goes to its channel with the token of the Secret slack', async () => {
  await using slack = await startFakeSlack();
  assert.deepEqual(await send(slack, toDeployments), {
    outcome: 'Succeeded',
    reason: 'Sent',
    summary: 'Message sent to #deployments',
    outputs: { ts: '1700000000.000100', channel: 'C0000000001' },
    finishedAt: NOW,
  });
  const [received] = slack.received;
  assert.equal(received?.path, '/api/chat.postMessage');
  assert.equal(received?.headers.authorization, `Bearer ${slack.token}`);
  assert.equal(received?.headers['idempotency-key'], 'deploy-notify-1');
  const { client_msg_id: id, ...body } = received?.body ?? {};
  assert.match(String(id), /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.deepEqual(body, {
    channel: '#deployments',
    text: 'Deploy complete',
    unfurl_links: false,
    unfurl_media: false,
  });
});

test('a token of its own may end in a line break, as kubectl makes it from a file', async () => {
  await using slack = await startFakeSlack({ token: 'xoxb-other' });
  const secrets = { 'slack/token': 'xoxb-wrong', 'team/bot': 'xoxb-other\n' };
  const result = await send(slack, { ...toDeployments, token: { name: 'team', key: 'bot' } }, { secrets });
  assert.equal(result.outcome, 'Succeeded');
});

test('without a message, the summary of the run is sent', async () => {
  await using slack = await startFakeSlack();
  const { outcome } = await send(slack, { channel: 'C0000000001' });
  assert.equal(outcome, 'Succeeded');
  const { text, blocks } = slack.received[0]?.body ?? {};
  assert.deepEqual(problemsOf({ text, blocks }), []);
  assert.match(String(text), /^Deployment Complete\nWorkflow: production-deploy\n/);
});

test('an attempt that is made again shows one message, another attempt a second', async () => {
  await using slack = await startFakeSlack();
  const first = await send(slack, toDeployments);
  const repeated = await send(slack, toDeployments);
  assert.deepEqual(repeated.outputs, first.outputs);
  assert.equal(slack.messages.length, 1);
  await send(slack, toDeployments, { more: { idempotencyKey: 'deploy-notify-2' } });
  assert.equal(slack.messages.length, 2);
});

test('a message in a thread names the message that it answers', async () => {
  await using slack = await startFakeSlack();
  const { outputs } = await send(slack, toDeployments);
  const more = { idempotencyKey: 'deploy-answer-1' };
  await send(slack, { ...toDeployments, thread: String(outputs?.['ts']) }, { more });
  assert.equal(slack.messages[1]?.thread_ts, outputs?.['ts']);
});

test('a thread that comes to nothing is none, and one that is no ts is refused unsent', async () => {
  await using slack = await startFakeSlack();
  await send(slack, { ...toDeployments, thread: '' });
  assert.ok(!('thread_ts' in (slack.received[0]?.body ?? {})));
  const { outcome, reason } = await send(slack, { ...toDeployments, thread: 'announce' });
  assert.deepEqual([outcome, reason], ['Failed', 'InvalidThread']);
  assert.equal(slack.received.length, 1);
});

test('a rate limit is waited out within the call', async () => {
  await using slack = await startFakeSlack();
  slack.rateLimit(1, 1);
  assert.equal((await send(slack, toDeployments)).outcome, 'Succeeded');
  assert.deepEqual(
    slack.received.map(({ answer }) => answer),
    ['ratelimited', 'ok'],
  );
});

test('a rate limit that lasts too long is left to the retry of the step', async () => {
  await using slack = await startFakeSlack();
  slack.rateLimit(1, 600);
  const { outcome, reason, message, retryAfterMs } = await send(slack, toDeployments);
  assert.deepEqual([outcome, reason, retryAfterMs], ['Failed', 'RateLimited', 600_000]);
  assert.match(String(message), /^Message to #deployments not sent: .* another 600s/);
  assert.equal(slack.received.length, 1);
});

test('a rate limit is not waited out beyond the end of the attempt', async () => {
  await using slack = await startFakeSlack();
  slack.rateLimit(1, 50);
  const stopping = new AbortController();
  const egress: Egress = {
    ...openEgress,
    async request(request) {
      const response = await openEgress.request(request);
      setImmediate(() => stopping.abort());
      return response;
    },
  };
  const { reason, retryAfterMs } = await send(slack, toDeployments, {
    more: { signal: stopping.signal, egress },
  });
  assert.deepEqual([reason, retryAfterMs], ['RateLimited', 50_000]);
  assert.equal(slack.received.length, 1);
});

test('what Slack refuses is told with what to do, and never with the token', async () => {
  await using slack = await startFakeSlack();
  const cases: [Partial<SlackStep>, World, string, RegExp][] = [
    [{ channel: '#nowhere' }, {}, 'ChannelNotFound', /correct its name, or invite the app/],
    [{ channel: '#random' }, {}, 'NotInChannel', /invite it there/],
    [{ channel: '#old' }, {}, 'IsArchived', /unarchive/],
    [{ message: ' ' }, {}, 'NoText', /empty/],
    [{}, { secrets: { 'slack/token': 'xoxb-stale' } }, 'InvalidAuth', /xoxb-…/],
  ];
  for (const [step, world, reason, fix] of cases) {
    const result = await send(slack, { ...toDeployments, ...step }, world);
    assert.deepEqual([result.outcome, result.reason], ['Failed', reason]);
    assert.match(String(result.message), fix);
    assert.doesNotMatch(JSON.stringify(result), /xoxb-fake|xoxb-stale/);
  }
});

test('every error of Slack becomes a reason, also one that nobody has heard of', async () => {
  await using slack = await startFakeSlack();
  const refused = async (error: string, more = {}) => {
    slack.refuse(error, more);
    const { reason, message, infrastructure } = await send(slack, toDeployments);
    return { reason, message: String(message), infrastructure };
  };
  assert.equal((await refused('token_revoked')).reason, 'TokenRevoked');
  assert.match(
    (await refused('missing_scope', { needed: 'chat:write' })).message,
    /scope chat:write is needed/,
  );
  const invalid = await refused('invalid_blocks', {
    response_metadata: { messages: ['no more than 10 items'] },
  });
  assert.match(invalid.message, /invalid_blocks\. Slack says: no more than 10 items$/);
  assert.equal((await refused('service_unavailable')).infrastructure, true);
  assert.equal((await refused('is_archived')).infrastructure, undefined);
  assert.match((await refused('moon_phase')).message, /Slack refused the message with moon_phase/);
  // No code, so nothing that is repeated.
  const odd = await refused('<!channel> & more');
  assert.equal(odd.reason, 'UnexpectedAnswer');
  assert.doesNotMatch(odd.message, /channel>/);
});

test('an incoming webhook takes the message, and says nothing of where it is', async () => {
  await using slack = await startFakeSlack();
  const secrets = { 'hook/url': `${slack.webhookUrl}\n` };
  assert.deepEqual(await send(slack, viaWebhook, { secrets }), {
    outcome: 'Succeeded',
    reason: 'Sent',
    summary: 'Message sent',
    finishedAt: NOW,
  });
  const [received] = slack.received;
  assert.equal(received?.headers.authorization, undefined);
  assert.deepEqual(received?.body, { text: 'Deploy complete', unfurl_links: false, unfurl_media: false });
});

test('a webhook that fails is told without its address', async () => {
  await using slack = await startFakeSlack();
  const secrets = { 'hook/url': slack.webhookUrl };
  for (const [error, reason] of [
    ['no_service', 'NoService'],
    ['channel_is_archived', 'ChannelIsArchived'],
    ['action_prohibited', 'ActionProhibited'],
    ['rollup_error', 'RollupError'],
  ] as const) {
    slack.refuse(error);
    const result = await send(slack, viaWebhook, { secrets });
    assert.deepEqual([result.outcome, result.reason], ['Failed', reason]);
    assert.doesNotMatch(JSON.stringify(result), /services|fakefake/);
  }
});

test('a webhook is waited for when it limits the rate', async () => {
  await using slack = await startFakeSlack();
  slack.rateLimit(1, 0);
  const { outcome } = await send(slack, viaWebhook, { secrets: { 'hook/url': slack.webhookUrl } });
  assert.equal(outcome, 'Succeeded');
});

test('Secrets that hold something else are told by their names alone', async () => {
  await using slack = await startFakeSlack();
  const result = async (step: SlackStep, secrets: Record<string, string>) => {
    const { reason, message } = await send(slack, step, { secrets });
    assert.doesNotMatch(String(message), /hunter2/);
    return [reason, message?.match(/Key \w+ of Secret \w+/)?.[0]];
  };
  assert.deepEqual(await result(toDeployments, { 'slack/token': 'hunter2\nhunter2' }), [
    'InvalidToken',
    'Key token of Secret slack',
  ]);
  for (const url of ['hunter2', 'ftp://hunter2', '']) {
    assert.deepEqual(await result(viaWebhook, { 'hook/url': url }), [
      'InvalidWebhook',
      'Key url of Secret hook',
    ]);
  }
  assert.equal(slack.received.length, 0);
});

test('a Secret that is not there fails the step with the reason', async () => {
  await using slack = await startFakeSlack();
  const { outcome, reason, message } = await send(slack, viaWebhook);
  assert.deepEqual([outcome, reason], ['Failed', 'SecretNotFound']);
  assert.equal(message, 'Message not sent: There is no Secret hook in namespace api.');
});

/** Slack, or what stands in its place, with this answer to everything. */
const answering = (status: number, body: string): Egress => ({
  ...openEgress,
  request: () => Promise.resolve({ status, headers: {}, body: Buffer.from(body) }),
});

test('a server that repeats what it was sent tells nobody', async () => {
  await using slack = await startFakeSlack();
  const part = 'c0ffee00c0ffee00c0ffee00';
  const secrets = {
    'hook/url': `https://hooks.example.com/services/T1/B1/${part}?key=${part}x`,
    'slack/token': part,
  };
  const answers: [step: SlackStep, status: number, body: string, reason: string][] = [
    [viaWebhook, 400, part, 'UnexpectedAnswer'],
    [viaWebhook, 500, part, 'ServiceUnavailable'],
    [viaWebhook, 400, `${part}x`, 'UnexpectedAnswer'],
    [toDeployments, 200, JSON.stringify({ ok: false, error: part }), 'UnexpectedAnswer'],
    [toDeployments, 200, JSON.stringify({ ok: false, error: 'missing_scope', needed: part }), 'MissingScope'],
    [toDeployments, 200, JSON.stringify({ ok: true, ts: part, channel: `#${part}` }), 'Sent'],
  ];
  for (const [step, status, body, reason] of answers) {
    const result = await send(slack, step, { secrets, more: { egress: answering(status, body) } });
    assert.equal(result.reason, reason, JSON.stringify(result));
    assert.doesNotMatch(JSON.stringify(result), /c0ffee/i);
  }
});

test('an error on the way is told without what it repeats of the address or the token', async () => {
  await using slack = await startFakeSlack();
  const failing = (text: (url: URL, authorization: string) => Error): Egress => ({
    ...openEgress,
    request: ({ url, headers }) => Promise.reject(text(url, headers['authorization'] ?? '')),
  });
  const refused = failing((url) => new CallError('ConnectFailed', `${url.href} (${url.pathname}) refused`));
  const secrets = { 'hook/url': slack.webhookUrl };
  const unreachable = await send(slack, viaWebhook, { secrets, more: { egress: refused } });
  assert.deepEqual([unreachable.reason, unreachable.infrastructure], ['ConnectFailed', true]);
  assert.equal(unreachable.message, 'Message not sent: *** (***) refused');

  const broken = failing((_, authorization) => new Error(`header ${authorization} is odd`));
  const odd = await send(slack, toDeployments, { more: { egress: broken } });
  assert.deepEqual([odd.reason, odd.infrastructure], ['InternalError', undefined]);
  assert.match(String(odd.message), /header Bearer \*\*\* is odd/);
});

test('an address that is refused is no fault of the network', async () => {
  await using slack = await startFakeSlack();
  const request = () => Promise.reject(new CallError('AddressRefused', 'The address is refused.'));
  const result = await send(slack, toDeployments, { more: { egress: { ...openEgress, request } } });
  assert.deepEqual([result.reason, result.infrastructure], ['AddressRefused', undefined]);
});

test('a stopped step says why it was', async () => {
  await using slack = await startFakeSlack();
  const deadline = new CallError('DeadlineExceeded', 'The step ran longer than its timeout of 1s.');
  const result = await send(slack, toDeployments, { more: { signal: AbortSignal.abort(deadline) } });
  assert.deepEqual([result.outcome, result.reason], ['Failed', 'DeadlineExceeded']);
});

/** Something on the way that is not Slack. */
async function startStranger(t: TestContext, answer: (response: ServerResponse) => void): Promise<string> {
  const server = createServer((_, response) => answer(response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

test('an answer that is not of Slack is not taken for a success', async (t) => {
  for (const [status, reason, infrastructure] of [
    [200, 'UnexpectedAnswer', undefined],
    [302, 'UnexpectedAnswer', undefined],
    [503, 'ServiceUnavailable', true],
  ] as const) {
    const apiUrl = await startStranger(t, (response) => response.writeHead(status).end('<html>ok</html>'));
    const result = await createSlack({ apiUrl }).call(stepOf(toDeployments), contextFor({ token: 'xoxb-1' }));
    assert.deepEqual([result.reason, result.infrastructure], [reason, infrastructure]);
    assert.doesNotMatch(String(result.message), /html/);
  }
});

test('a Slack that never answers does not hold the step for ever', async (t) => {
  const apiUrl = await startStranger(t, () => {});
  const timeout = AbortSignal.timeout.bind(AbortSignal);
  t.mock.method(AbortSignal, 'timeout', () => timeout(20));
  const result = await createSlack({ apiUrl }).call(stepOf(toDeployments), contextFor({ token: 'xoxb-1' }));
  assert.deepEqual([result.reason, result.infrastructure], ['NoAnswer', true]);
});

test('the summary that was sent is kept up to date', async () => {
  await using slack = await startFakeSlack();
  const step: SlackStep = { channel: '#deployments', update: true };
  const running = {
    ...run,
    ended: false,
    steps: [{ name: 'apply', type: 'script', phase: 'Pending' }] as const,
  };
  const { outputs } = await send(slack, step, { more: { run: running } });
  assert.match(String(slack.messages[0]?.text), /^Deployment Started/);

  const posted = { ts: String(outputs?.['ts']), channel: String(outputs?.['channel']) };
  const result = await createSlack(slack).update(stepOf(step), posted, contextFor(slack));
  assert.deepEqual([result.outcome, result.summary], ['Succeeded', 'Message updated']);
  const { path, body } = slack.received[1] ?? {};
  assert.equal(path, '/api/chat.update');
  assert.equal(body?.['parse'], 'none');
  assert.match(String(slack.messages[0]?.text), /^Deployment Complete/);
  assert.equal(slack.messages.length, 1);

  const gone = await createSlack(slack).update(stepOf(step), { ...posted, ts: '1.1' }, contextFor(slack));
  assert.deepEqual([gone.outcome, gone.reason], ['Failed', 'MessageNotFound']);
  assert.match(String(gone.message), /^Message not updated: /);
});

test('values in a message are escaped, what the author wrote is not', () => {
  const step = {
    channel: '#${{ a }}',
    message: '<!here> ${{ b }} <https://example.com|log>',
    thread: '${{ c }}',
  };
  const fields: string[] = [];
  const resolved = createSlack({ apiUrl: 'https://slack.example.com/api' }).resolve(stepOf(step), {
    text(field, text, escape = (value) => value) {
      fields.push(field);
      return text.replace(/\$\{\{.*?\}\}/g, () => escape('<!channel> & co'));
    },
    scalar: (_, value) => value,
  });
  assert.deepEqual(fields, ['slack.channel', 'slack.message', 'slack.thread']);
  assert.deepEqual(resolved.slack, {
    channel: '#<!channel> & co',
    message: '<!here> &lt;!channel&gt; &amp; co <https://example.com|log>',
    thread: '<!channel> & co',
  });
});

test('a message that is not sent fails no run unless asked to, and is sent again after a crash', () => {
  const { forgives, onInterrupt } = createSlack({ apiUrl: 'https://slack.example.com/api' });
  assert.equal(forgives?.(stepOf(toDeployments)), true);
  assert.equal(forgives?.(stepOf({ ...toDeployments, failOnError: true })), false);
  assert.equal(onInterrupt(stepOf(toDeployments)), 'Retry');
  assert.equal(onInterrupt(stepOf({ ...toDeployments, onInterrupt: 'Fail' })), 'Fail');
});
