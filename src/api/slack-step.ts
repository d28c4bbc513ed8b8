import * as z from 'zod';
import { checks, secretKey } from './common.ts';

/** The Secret that holds the bot token of steps that name none. */
export const DEFAULT_TOKEN = { name: 'slack', key: 'token' } as const;

/** Sends a message to a Slack channel. */
export const slackStep = z
  .strictObject({
    channel: z.string().min(1).max(256).optional().meta({
      description:
        'Where the message goes: the name of a channel such as "#deployments", or the ID of a channel or person. ${{ expression }} in it is replaced. Sent with a bot token.',
    }),
    message: z.string().min(1).max(4096).optional().meta({
      description:
        "The text of the message, in Slack's mrkdwn. ${{ expression }} in it is replaced by its value, in which nothing is taken for a mention or a link. Of what is longer than 4000 characters, the beginning is sent. Default: a summary of the run, with its status, duration, changes, trigger and commit.",
    }),
    token: secretKey.optional().meta({
      description:
        'The bot token of the Slack app (xoxb-…), in a Secret that carries the label signalbox.dev/use: "true". Default: key token of the Secret slack.',
    }),
    webhook: secretKey.optional().meta({
      description:
        'The URL of an incoming webhook, instead of channel and token, in a Secret that carries the label signalbox.dev/use: "true". A webhook has its channel, and gives no outputs.',
    }),
    thread: z.string().max(1024).optional().meta({
      description:
        'The ts of the message to answer in a thread, for example ${{ steps.announce.outputs.ts }}. Default, also when it comes to nothing: no thread.',
    }),
    update: z.boolean().optional().meta({
      description:
        'Whether the summary that was sent is kept up to date as the run goes on, until its end. Default false.',
    }),
    failOnError: z.boolean().optional().meta({
      description:
        'Whether the run fails when the message can not be sent. Default false: the step is shown as Failed, and the run goes on as if it had succeeded.',
    }),
    onInterrupt: z.enum(['Retry', 'Fail']).optional().meta({
      description:
        'What happens when the operator was killed while it sent the message. Retry: it is sent again, marked as a repeat for Slack; through a webhook it may be shown twice. Fail: the step fails, and the message may be missing. Default Retry.',
    }),
  })
  .meta({
    description:
      'Sends a message to Slack. It is sent by the operator, without a pod. Outputs of one with a bot token: ts and channel, by which later steps find the message.',
    ...checks(
      {
        rule: 'has(self.channel) != has(self.webhook)',
        message:
          'exactly one of channel and webhook must be set: channel goes with a bot token, a webhook has its own channel',
      },
      {
        rule: '!has(self.token) || !has(self.webhook)',
        message: 'token and webhook can not both be set: a webhook needs no token, remove one of the two',
        fieldPath: '.token',
      },
      {
        rule: '!has(self.update) || !self.update || !has(self.webhook) && !has(self.message)',
        message:
          'update goes with a channel and without message: it is the summary of the run that is kept up to date, and what a webhook sent can not be changed',
        fieldPath: '.update',
      },
    ),
  });
export type SlackStep = z.infer<typeof slackStep>;
