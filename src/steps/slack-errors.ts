/** What did not work, as far as Slack is concerned: part of the result of a step. */
export interface SlackFailure {
  /** CamelCase, for example `ChannelNotFound`. */
  reason: string;
  /** A sentence that says what to do. */
  message: string;
  /** Slack is to blame, or the way to it. */
  infrastructure?: true;
}

const TOKEN =
  'put the Bot User OAuth Token of the app (xoxb-…), from its page OAuth & Permissions, into the Secret';
const WEBHOOK = 'make a new incoming webhook in the Slack app and put its URL into the Secret';
const ARCHIVED = 'The channel is archived: name another one, or unarchive it.';
const RESTRICTED = 'ask an administrator of the workspace, or name another channel';
const OVERLOADED = 'Slack could not do it at the moment: try again later, for example with retry.';

/** What Slack's errors mean and how to mend them, by the code that Slack answers. */
const FIXES: Readonly<Record<string, string>> = {
  // Channels
  channel_not_found:
    'Slack knows no such channel, or it is private and the app is not in it: correct its name, or invite the app there with /invite.',
  not_in_channel:
    'The app is not in the channel: invite it there with /invite, or give it the scope chat:write.public.',
  is_archived: ARCHIVED,
  channel_is_archived: ARCHIVED,
  restricted_action: `The workspace does not let the app write there: ${RESTRICTED}.`,
  restricted_action_read_only_channel: `The channel can only be read: ${RESTRICTED}.`,
  restricted_action_thread_only_channel: 'The channel takes answers in threads only: set thread.',
  restricted_action_non_threadable_channel: 'The channel has no threads: remove thread.',
  restricted_action_thread_locked: 'The thread is locked: answer in another one, or remove thread.',
  cannot_reply_to_message: 'The message that thread names can not be answered: remove thread.',
  ekm_access_denied: `Administrators have suspended writing there: ${RESTRICTED}.`,
  action_prohibited: `Administrators do not let the webhook write there: ${RESTRICTED}.`,
  posting_to_general_channel_denied: `The webhook may not write to the general channel: ${RESTRICTED}.`,
  team_not_found: 'A token of a whole organization needs the ID of the channel: use it instead of the name.',
  // Tokens and webhooks
  not_authed: `Slack got no token: ${TOKEN}.`,
  invalid_auth: `Slack does not accept the token: ${TOKEN}.`,
  token_revoked: `The token has been revoked: install the app again, then ${TOKEN}.`,
  token_expired: `The token has expired: turn token rotation off in the app, then ${TOKEN}.`,
  account_inactive: `The token is of an app or workspace that is no more: install the app, then ${TOKEN}.`,
  not_allowed_token_type: `This kind of token can not send messages: ${TOKEN}.`,
  missing_scope: 'The app may not send messages: give it the scope chat:write and install it again.',
  no_permission: 'The app may not send messages there: give it the scope chat:write, and invite it there.',
  org_login_required: 'The workspace is being moved to an organization: try again when that is done.',
  invalid_token: `Slack does not accept the webhook: ${WEBHOOK}.`,
  no_service: `The webhook has been removed or turned off: ${WEBHOOK}.`,
  no_service_id: `The webhook is not complete: ${WEBHOOK}.`,
  no_team: `The workspace of the webhook is no more: ${WEBHOOK}.`,
  team_disabled: `The workspace of the webhook is turned off: ${WEBHOOK}.`,
  // Messages
  no_text: 'The message is empty: see what the ${{ }} in it come to.',
  msg_too_long: 'The message is too long: shorten it.',
  msg_blocks_too_long: 'The message is too long: shorten it.',
  message_limit_exceeded: 'The workspace has used up its messages: see its plan.',
  message_not_found: 'The message to update is no longer there.',
  cant_update_message: 'The message to update is of another app: use the token that it was sent with.',
  edit_window_closed: 'The workspace does not let messages be changed any more after so long.',
  duplicate_message_not_found: 'The message was sent before, and has been deleted since.',
  // Slack itself
  internal_error: OVERLOADED,
  fatal_error: OVERLOADED,
  service_unavailable: OVERLOADED,
  request_timeout: OVERLOADED,
  team_added_to_org: OVERLOADED,
  rollup_error: OVERLOADED,
};

/**
 * What an error of Slack means for the step.
 *
 * @param code as Slack answers it, for example `not_in_channel`
 * @param details what Slack says beside, for example the scope that is missing
 */
export function slackFailure(code: string, details: readonly string[] = []): SlackFailure {
  const fix = FIXES[code];
  const beside = details.length > 0 ? ` Slack says: ${details.join('; ')}` : '';
  return {
    reason: code.replace(/(?:^|_)([a-z0-9])/g, (_, letter: string) => letter.toUpperCase()),
    message: `${fix ?? `Slack refused the message with ${code}.`}${beside}`,
    ...(fix === OVERLOADED ? { infrastructure: true } : {}),
  };
}
