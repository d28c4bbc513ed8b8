import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { cut } from '../engine/text.ts';
import type { IncomingResponse } from './egress.ts';
import { createMask, type Mask } from './mask.ts';
import { type SlackFailure, slackFailure } from './slack-errors.ts';
import { type CallContext, CallError } from './step-type.ts';

const CONNECT_TIMEOUT_MS = 10_000;
/** How long Slack may take to answer one request. */
const ANSWER_TIMEOUT_MS = 30_000;
const MAX_BYTES = 1 << 20;
/** Longest wait that is sat out within a call; a longer one is left to the step's retry. */
const MAX_WAIT_MS = 60_000;
/** The wait when Slack limits the rate without saying for how long. */
const DEFAULT_WAIT_MS = 10_000;
const MAX_DETAILS = 256;
/** Shorter parts of an address are words such as `services`, or say which workspace it is. */
const SHORTEST_PART = 16;

/** A message on its way: to a method of the Web API, or to an incoming webhook. */
export interface Delivery {
  url: URL;
  /** Bot token; none for a webhook. */
  token?: string;
  body: object;
}

/** Where a message is now. A webhook does not say. */
export interface PostedMessage {
  ts: string;
  /** ID of the channel. */
  channel: string;
}

/** What did not work. */
export interface Failure extends SlackFailure {
  /** How long Slack wants to be left alone, in milliseconds. */
  retryAfterMs?: number;
}

export type Delivered = { ok: true; posted?: PostedMessage } | { ok: false; failure: Failure };

type World = Pick<CallContext, 'egress' | 'signal' | 'idempotencyKey'>;

/** Hides what a delivery shows of who sends it: the token, or the address of the webhook, whole and in its parts. */
export function maskOf({ url, token }: Delivery): Mask {
  if (token !== undefined) return createMask([token]);
  const parts = [...url.pathname.split('/'), ...url.searchParams.values()];
  const whole = [url.href, `${url.pathname}${url.search}`, url.pathname].filter((text) => text !== '/');
  return createMask([...whole, ...parts.filter((part) => part.length >= SHORTEST_PART)]);
}

/**
 * Sends a message. What is told of the answer holds nothing that {@link maskOf} hides: a server may send back what it was
 * sent. When Slack limits the rate it waits as long as Slack asks and sends it again, so that a limit alone
 * loses no message; `signal` bounds how often.
 *
 * @throws {CallError} when Slack can not be reached
 */
export async function deliver(delivery: Delivery, world: World): Promise<Delivered> {
  const mask = maskOf(delivery);
  for (;;) {
    const { body, ...rest } = await send(delivery, world);
    const response = { ...rest, body: Buffer.from(mask(body.toString())) };
    const answer = delivery.token === undefined ? webhookAnswer(response) : apiAnswer(response);
    const waitMs = answer.ok ? undefined : waitOf(response, answer.code);
    if (waitMs === undefined) return answer.ok ? answer : { ok: false, failure: failureOf(answer, response) };
    if (waitMs > MAX_WAIT_MS || !(await waited(waitMs, world.signal))) return rateLimited(waitMs);
  }
}

async function send({ url, token, body }: Delivery, world: World): Promise<IncomingResponse> {
  const limit = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
  try {
    return await world.egress.request({
      method: 'POST',
      url,
      headers: {
        'content-type': 'application/json; charset=utf-8',
        'idempotency-key': world.idempotencyKey,
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify(body),
      signal: AbortSignal.any([world.signal, limit]),
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      maxBytes: MAX_BYTES,
    });
  } catch (error) {
    if (!limit.aborted || world.signal.aborted) throw error;
    throw new CallError(
      'NoAnswer',
      `Slack did not answer within ${ANSWER_TIMEOUT_MS / 1000}s: whether the message was sent is not known.`,
    );
  }
}

/** Whether the time has passed, and not the attempt. */
const waited = (ms: number, signal: AbortSignal): Promise<boolean> =>
  sleep(ms, true, { signal }).catch(() => false);

const rateLimited = (retryAfterMs: number): Delivered => ({
  ok: false,
  failure: {
    reason: 'RateLimited',
    message: `Slack takes no more messages for another ${Math.ceil(retryAfterMs / 1000)}s: send fewer, or let the step try again with retry.`,
    retryAfterMs,
  },
});

/** How long Slack asks to wait, in milliseconds; nothing when it does not limit the rate. */
function waitOf({ status, headers }: IncomingResponse, code: string | undefined): number | undefined {
  if (status !== 429 && code !== 'ratelimited' && code !== 'rate_limited') return undefined;
  const seconds = Number(headers['retry-after'] ?? Number.NaN);
  // At least a second: a server that answers 0 is not to be asked without pause.
  return Number.isFinite(seconds) && seconds >= 0 ? Math.max(1, seconds) * 1000 : DEFAULT_WAIT_MS;
}

type Answer =
  | { ok: true; posted?: PostedMessage }
  | { ok: false; code: string | undefined; details: readonly string[] };

/** What is read of the answer of the Web API, which is HTTP 200 also for errors. */
const apiResponse = z.object({
  ok: z.boolean(),
  error: z.string().optional(),
  needed: z.string().optional(),
  ts: z.string().max(64).optional(),
  channel: z.string().max(64).optional(),
  response_metadata: z.object({ messages: z.array(z.string()).optional() }).optional(),
});

function apiAnswer({ body }: IncomingResponse): Answer {
  const parsed = apiResponse.safeParse(parseJson(body));
  if (!parsed.success) return { ok: false, code: undefined, details: [] };
  const { ok, error, needed, ts, channel, response_metadata: metadata } = parsed.data;
  if (ok) return { ok, ...(ts && channel ? { posted: { ts, channel } } : {}) };
  const details = [...(needed ? [`the scope ${needed} is needed`] : []), ...(metadata?.messages ?? [])];
  return { ok, code: error, details };
}

/** A webhook answers in plain text: `ok`, or the code of an error. */
function webhookAnswer({ status, body }: IncomingResponse): Answer {
  if (status === 200) return { ok: true };
  return { ok: false, code: body.toString().trim(), details: [] };
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString());
  } catch {
    return undefined;
  }
}

function failureOf({ code, details }: Answer & { ok: false }, { status }: IncomingResponse): SlackFailure {
  // Anything else than a code is the page of something between here and Slack.
  if (code !== undefined && /^[a-z][a-z0-9_]{1,63}$/.test(code)) {
    return slackFailure(code, details.length > 0 ? [cut(details.join('; '), MAX_DETAILS)] : []);
  }
  if (status >= 500) return { ...slackFailure('service_unavailable'), infrastructure: true };
  return {
    reason: 'UnexpectedAnswer',
    message: `The answer, HTTP ${status}, is not one of Slack: check the address that the message is sent to, and the proxy on the way.`,
  };
}
