import { createHash } from 'node:crypto';
import { DEFAULT_TOKEN, type SlackStep } from '../api/slack-step.ts';
import type { FinallyStep, Step } from '../api/step.ts';
import type { Result } from '../engine/model.ts';
import { mapOf, STRING } from '../engine/type.ts';
import type { Mask } from './mask.ts';
import { escapeText } from './mrkdwn.ts';
import { type Delivery, deliver, type Failure, maskOf, type PostedMessage } from './slack-delivery.ts';
import { summaryMessage, textMessage } from './slack-message.ts';
import { type CallContext, CallError, type CallStepType, type KeyReference } from './step-type.ts';

export type { PostedMessage } from './slack-delivery.ts';

export interface SlackSettings {
  /** Base of Slack's Web API, for example `https://slack.com/api`. */
  apiUrl: string;
}

export interface SlackStepType extends CallStepType {
  /**
   * Brings the summary that a step sent up to date. Never throws: what goes wrong is a result.
   *
   * @param posted the outputs of the step
   */
  update(
    spec: Step | FinallyStep,
    posted: Readonly<Record<string, unknown>>,
    context: CallContext,
  ): Promise<Result>;
}

/** Failures of the network rather than of the step. */
const OF_NETWORK = new Set([
  'NameNotResolved',
  'ConnectFailed',
  'ConnectTimeout',
  'ConnectionLost',
  'NoAnswer',
]);

/** Sends messages to Slack: https://docs.slack.dev/reference/methods/chat.postMessage */
export function createSlack({ apiUrl }: SlackSettings): SlackStepType {
  return {
    kind: 'Call',

    resolve(spec, { text }) {
      const step = slackOf(spec);
      const { channel, message, thread } = step;
      return {
        ...spec,
        slack: {
          ...step,
          ...(channel === undefined ? {} : { channel: text('slack.channel', channel) }),
          ...(message === undefined ? {} : { message: text('slack.message', message, escapeText) }),
          ...(thread === undefined ? {} : { thread: text('slack.thread', thread) }),
        },
      };
    },

    outputs: () => mapOf({ ts: STRING, channel: STRING }),

    forgives: (spec) => slackOf(spec).failOnError !== true,

    onInterrupt: (spec) => slackOf(spec).onInterrupt ?? 'Retry',

    call(spec, context) {
      const step = slackOf(spec);
      const to = step.channel === undefined ? '' : ` to ${step.channel}`;
      return settle(context, { done: `Message sent${to}`, undone: `Message${to} not sent` }, () =>
        step.webhook ? toWebhook(step, step.webhook, context) : toChannel(step, apiUrl, context),
      );
    },

    update(spec, posted, context) {
      const told = { done: 'Message updated', undone: 'Message not updated' };
      return settle(context, told, () => toMessage(slackOf(spec), messageOf(posted), apiUrl, context));
    },
  };
}

/** What a step gave says where its message is. */
function messageOf({ ts, channel }: Readonly<Record<string, unknown>>): PostedMessage {
  if (typeof ts === 'string' && typeof channel === 'string') return { ts, channel };
  throw new CallError('NoMessage', 'the step gave no ts and channel of a message');
}

function slackOf({ name, slack }: Step | FinallyStep): SlackStep {
  if (slack) return slack;
  throw new TypeError(`step ${name} sends nothing to Slack`);
}

async function toChannel(step: SlackStep, apiUrl: string, context: CallContext): Promise<Delivery> {
  const body = {
    channel: step.channel,
    ...contentOf(step, context),
    // By this Slack tells that a message which is sent again is the same.
    client_msg_id: uuidOf(context.idempotencyKey),
  };
  return { url: methodUrl(apiUrl, 'chat.postMessage'), token: await tokenOf(step, context), body };
}

async function toWebhook(step: SlackStep, key: KeyReference, context: CallContext): Promise<Delivery> {
  const url = URL.parse((await context.secret(key)).trim());
  if (url?.protocol === 'https:' || url?.protocol === 'http:') return { url, body: contentOf(step, context) };
  const message = `Key ${key.key} of Secret ${key.name} is not the URL of a webhook: it begins with https://hooks.slack.com/services/.`;
  throw new CallError('InvalidWebhook', message);
}

async function toMessage(
  step: SlackStep,
  { ts, channel }: PostedMessage,
  apiUrl: string,
  context: CallContext,
): Promise<Delivery> {
  // Without parse, chat.update makes links and mentions of names in the text, which chat.postMessage does not.
  const body = { channel, ts, ...summaryMessage(context.run, context.now()), parse: 'none' };
  return { url: methodUrl(apiUrl, 'chat.update'), token: await tokenOf(step, context), body };
}

const methodUrl = (apiUrl: string, method: string): URL => new URL(`${apiUrl.replace(/\/+$/, '')}/${method}`);

function contentOf({ message, thread = '' }: SlackStep, { run, now }: CallContext): object {
  const content = message === undefined ? summaryMessage(run, now()) : textMessage(message);
  const threadTs = thread.trim();
  if (threadTs !== '' && !/^[0-9]{1,16}\.[0-9]{1,16}$/.test(threadTs)) {
    const hint = 'thread must be the ts of a message, for example ${{ steps.announce.outputs.ts }}.';
    throw new CallError('InvalidThread', hint);
  }
  return {
    ...content,
    ...(threadTs === '' ? {} : { thread_ts: threadTs }),
    unfurl_links: false,
    unfurl_media: false,
  };
}

async function tokenOf({ token: key = DEFAULT_TOKEN }: SlackStep, { secret }: CallContext): Promise<string> {
  const token = (await secret(key)).trim();
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  const message = `Key ${key.key} of Secret ${key.name} is not a token: put the Bot User OAuth Token of the Slack app (xoxb-…) into it.`;
  throw new CallError('InvalidToken', message);
}

/** A name-based UUID (version 5): the same text gives the same. */
function uuidOf(text: string): string {
  const hash = createHash('sha1').update(`signalbox.dev/slack/${text}`).digest().subarray(0, 16);
  hash.writeUInt8((hash.readUInt8(6) & 0x0f) | 0x50, 6);
  hash.writeUInt8((hash.readUInt8(8) & 0x3f) | 0x80, 8);
  return hash.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** Makes a delivery and sends it; the result never holds its token or the address of its webhook, whoever speaks of them. */
async function settle(
  context: CallContext,
  told: { done: string; undone: string },
  make: () => Promise<Delivery>,
): Promise<Result> {
  let mask: Mask = (text) => text;
  const finished = (outcome: Omit<Result, 'finishedAt'>): Result => ({
    ...outcome,
    finishedAt: context.now(),
  });
  const failed = ({ message, ...failure }: Failure): Result =>
    finished({ outcome: 'Failed', ...failure, message: `${told.undone}: ${mask(message)}` });
  try {
    const delivery = await make();
    mask = maskOf(delivery);
    const delivered = await deliver(delivery, context);
    if (!delivered.ok) return failed(delivered.failure);
    const outputs = delivered.posted ? { outputs: { ...delivered.posted } } : {};
    return finished({ outcome: 'Succeeded', reason: 'Sent', summary: told.done, ...outputs });
  } catch (error) {
    return failed(failureOf(error));
  }
}

function failureOf(error: unknown): Failure {
  if (!(error instanceof CallError)) {
    return { reason: 'InternalError', message: error instanceof Error ? error.message : String(error) };
  }
  const { reason, message } = error;
  return { reason, message, ...(OF_NETWORK.has(reason) ? { infrastructure: true } : {}) };
}
