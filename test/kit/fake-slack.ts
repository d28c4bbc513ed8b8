/**
 * A fake Slack: real HTTP, and the answers that Slack documents for chat.postMessage, chat.update and incoming webhooks.
 * Tests start it in their own process. In a pod, `node fake-slack.ts` serves on $PORT with the token $SLACK_TOKEN:
 * `GET /received` gives what was sent to it, and `POST /rate-limit` and `POST /refuse` make it answer like that. It needs
 * nothing but Node and the file beside it.
 */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { problemsOf, problemsOfBlocks } from './block-kit.ts';

/** One request as it came in, also when it was refused. */
export interface ReceivedBySlack {
  path: string;
  headers: IncomingHttpHeaders;
  body: Record<string, unknown>;
  /** What was answered: `ok`, or the code of an error. */
  answer: string;
}

/** A message as it stands in its channel now. */
export interface FakeMessage {
  channel: string;
  ts: string;
  text?: unknown;
  blocks?: unknown;
  thread_ts?: unknown;
  clientId?: unknown;
  /** How often it has been changed. */
  updates: number;
}

export interface FakeChannel {
  id: string;
  name: string;
  /** Whether the app is in it; messages to others are refused. */
  member: boolean;
  archived: boolean;
}

export interface FakeSlackOptions {
  host?: string;
  port?: number;
  token?: string;
  /** Path of the incoming webhook. */
  webhookPath?: string;
}

export interface FakeSlack extends AsyncDisposable {
  /** Base of the Web API. */
  apiUrl: string;
  webhookUrl: string;
  token: string;
  channels: FakeChannel[];
  /** All requests in the order in which they came. */
  received: ReceivedBySlack[];
  messages: FakeMessage[];
  /** Answers the next requests with 429. */
  rateLimit(count: number, retryAfterSeconds: number): void;
  /** Answers the next request with an error. */
  refuse(error: string, more?: Record<string, unknown>): void;
}

const WEBHOOK_PATH = '/services/T00000000/B00000000/fakefakefakefakefakefake';

/** What the fake answers next instead of what it would. */
interface Orders {
  rateLimits: { retryAfter: number }[];
  refusals: { error: string; more: Record<string, unknown> }[];
}

interface Answer {
  status: number;
  headers?: Record<string, string>;
  /** An object is sent as JSON. */
  body: string | Record<string, unknown>;
}

export async function startFakeSlack(options: FakeSlackOptions = {}): Promise<FakeSlack> {
  const { host = '127.0.0.1', port = 0, token = 'xoxb-fake-token', webhookPath = WEBHOOK_PATH } = options;
  const orders: Orders = { rateLimits: [], refusals: [] };
  const workspace = createWorkspace(token, webhookPath);
  const server = createServer((request, response) => void serve(request, response));

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const path = request.url ?? '/';
    const { status, headers = {}, body } = answer(request, path, Buffer.concat(chunks).toString());
    const isText = typeof body === 'string';
    response.writeHead(status, {
      'content-type': isText ? 'text/html' : 'application/json; charset=utf-8',
      ...headers,
    });
    response.end(isText ? body : JSON.stringify(body));
  }

  function answer({ method, headers }: IncomingMessage, path: string, text: string): Answer {
    if (method === 'GET' && path === '/received')
      return { status: 200, body: { received: workspace.received } };
    const body = parse(text);
    if (path === '/rate-limit') return order(() => rateLimit(Number(body?.count), Number(body?.retryAfter)));
    if (path === '/refuse') return order(() => refuse(String(body?.error)));
    const given = ordered(orders, path) ?? workspace.answer(path, headers, body);
    workspace.received.push({ path, headers, body: body ?? {}, answer: codeOf(given) });
    return given;
  }

  const rateLimit = (count: number, retryAfter: number) =>
    void orders.rateLimits.push(...Array.from({ length: count }, () => ({ retryAfter })));
  const refuse = (error: string, more = {}) => void orders.refusals.push({ error, more });

  server.listen(port, host);
  await once(server, 'listening');
  const url = `http://${host}:${(server.address() as AddressInfo).port}`;
  const { channels, received, messages } = workspace;
  return {
    apiUrl: `${url}/api`,
    webhookUrl: `${url}${webhookPath}`,
    token,
    channels,
    received,
    messages,
    rateLimit,
    refuse,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function order(carryOut: () => void): Answer {
  carryOut();
  return { status: 200, body: { ok: true } };
}

function ordered({ rateLimits, refusals }: Orders, path: string): Answer | undefined {
  const limit = rateLimits.shift();
  const headers = limit && { 'retry-after': String(limit.retryAfter) };
  if (headers) return { ...refusal(path, 'ratelimited'), status: 429, headers };
  const refused = refusals.shift();
  return refused && refusal(path, refused.error, refused.more);
}

/** The Web API answers errors with 200, webhooks with the code as text. */
function refusal(path: string, error: string, more: Record<string, unknown> = {}): Answer {
  if (path.startsWith('/api/')) return { status: 200, body: { ok: false, error, ...more } };
  return { status: WEBHOOK_STATUS[error] ?? 400, body: error };
}

const WEBHOOK_STATUS: Record<string, number> = {
  action_prohibited: 403,
  invalid_token: 403,
  no_service: 404,
  channel_not_found: 404,
  channel_is_archived: 410,
  rollup_error: 500,
};

const codeOf = ({ body }: Answer): string => {
  if (typeof body === 'string') return body;
  return body.ok === true ? 'ok' : String(body.error);
};

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

/** Channels with messages, and what Slack's methods do with them. */
function createWorkspace(token: string, webhookPath: string) {
  const channels: FakeChannel[] = [
    { id: 'C0000000001', name: 'deployments', member: true, archived: false },
    { id: 'C0000000002', name: 'random', member: false, archived: false },
    { id: 'C0000000003', name: 'old', member: true, archived: true },
  ];
  const messages: FakeMessage[] = [];
  const received: ReceivedBySlack[] = [];

  function post(body: Record<string, unknown>): Answer {
    const { channel: to, text, blocks, thread_ts, client_msg_id: clientId } = body;
    const channel = channels.find(({ id, name }) => to === id || to === name || to === `#${name}`);
    if (!channel) return failure('channel_not_found');
    if (!channel.member) return failure('not_in_channel');
    if (channel.archived) return failure('is_archived');
    const wrong = contentError(body);
    if (wrong) return wrong;
    const same = messages.find((one) => clientId !== undefined && one.clientId === clientId);
    if (same) return posted(same);
    const ts = `${1_700_000_000 + messages.length}.000100`;
    const message = { channel: channel.id, ts, text, blocks, thread_ts, clientId, updates: 0 };
    messages.push(message);
    return posted(message);
  }

  function update(body: Record<string, unknown>): Answer {
    if (!channels.some(({ id }) => id === body.channel)) return failure('channel_not_found');
    const message = messages.find(({ channel, ts }) => channel === body.channel && ts === body.ts);
    if (!message) return failure('message_not_found');
    const wrong = contentError(body);
    if (wrong) return wrong;
    Object.assign(message, { text: body.text, blocks: body.blocks, updates: message.updates + 1 });
    return posted(message);
  }

  function webhook(body: Record<string, unknown> | undefined): Answer {
    if (!body) return { status: 400, body: 'invalid_payload' };
    const wrong = contentError(body);
    if (wrong) return { status: 400, body: codeOf(wrong) };
    const ts = `${1_700_000_000 + messages.length}.000100`;
    messages.push({ channel: 'C0000000001', ts, ...body, updates: 0 });
    return { status: 200, body: 'ok' };
  }

  function api(
    method: string,
    headers: IncomingHttpHeaders,
    body: Record<string, unknown> | undefined,
  ): Answer {
    if (headers.authorization === undefined) return failure('not_authed');
    if (headers.authorization !== `Bearer ${token}`) return failure('invalid_auth');
    if (!headers['content-type']?.startsWith('application/json')) return failure('invalid_post_type');
    if (!body) return failure('invalid_json');
    if (method === 'chat.postMessage') return post(body);
    return method === 'chat.update' ? update(body) : failure('unknown_method');
  }

  return {
    channels,
    messages,
    received,
    answer(path: string, headers: IncomingHttpHeaders, body: Record<string, unknown> | undefined): Answer {
      if (path.startsWith('/api/')) return api(path.slice('/api/'.length), headers, body);
      if (path === webhookPath) return webhook(body);
      return refusal(path, 'no_service');
    },
  };
}

const failure = (error: string, more: Record<string, unknown> = {}): Answer => ({
  status: 200,
  body: { ok: false, error, ...more },
});

const posted = ({ channel, ts, text, blocks }: FakeMessage): Answer => ({
  status: 200,
  body: { ok: true, channel, ts, message: { type: 'message', subtype: 'bot_message', ts, text, blocks } },
});

function contentError(body: Record<string, unknown>): Answer | undefined {
  const inBlocks = body.blocks === undefined ? [] : problemsOfBlocks(body.blocks);
  if (inBlocks.length > 0) return failure('invalid_blocks', { response_metadata: { messages: inBlocks } });
  const problems = problemsOf(body);
  if (problems.length === 0) return undefined;
  return failure(problems.some((problem) => problem.includes('longer')) ? 'msg_too_long' : 'no_text');
}

if (import.meta.main) {
  const { PORT = '8080', SLACK_TOKEN } = process.env;
  const { apiUrl } = await startFakeSlack({
    host: '0.0.0.0',
    port: Number(PORT),
    ...(SLACK_TOKEN ? { token: SLACK_TOKEN } : {}),
  });
  process.once('SIGTERM', () => process.exit());
  console.log(`The fake Slack listens on ${apiUrl}`);
}
