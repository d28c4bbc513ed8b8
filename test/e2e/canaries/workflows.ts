import type { Step } from '../../../src/api/step.ts';
import { allSpellings } from '../../kit/canary.ts';
import type { Spec } from '../../kit/kit.ts';

/** Where the workflows call. */
export interface Addresses {
  echo: string;
  /** Nobody listens there. */
  nowhere: string;
}

const toChannel = [{ slack: { channel: '#deployments' } }];
const byWebhook = [{ slack: { webhook: { name: 'slack-webhook', key: 'url' } } }];
/** A message about all that there can be one about. */
const notifications = {
  onStart: toChannel,
  onWaiting: toChannel,
  onApproved: toChannel,
  onRejected: toChannel,
  onSuccess: [...toChannel, ...byWebhook],
  onFailure: [...toChannel, ...byWebhook],
};

const aside = { dependsOn: [] };
const web = { groups: '{"web": ["web1"]}' };

const plan = (workspace: string): Step => ({
  name: 'plan',
  terraform: { project: 'infra', action: 'plan', workspace, vars: { mode: 'good' } },
});
const apply = (workspace: string): Step => ({
  name: 'apply',
  terraform: { project: 'infra', action: 'apply', workspace, plan: 'plan' },
});
/** The code in one of its modes, in a workspace of its own. */
const inMode = (mode: string): Step => ({
  name: mode,
  ...aside,
  terraform: { project: 'infra', action: 'apply', autoApprove: true, workspace: mode, vars: { mode } },
});
const playbook = (name: string, project: string, file: string): Step => ({
  name,
  ...aside,
  ansible: { project, playbook: file, inventory: web },
});

/** Everything that has something to do with a secret, by workflow, in success and in failure. */
export function workflowsOf({ echo, nowhere }: Addresses): Record<string, Spec> {
  const secretHeaders = { 'X-Secret': { name: 'header', key: 'value', prefix: 'Token ' } };
  const call = (name: string, url: string, more: object = {}): Step => ({
    name,
    ...aside,
    http: { url, secretHeaders, ...more },
  });
  const slack = (name: string, message: object): Step => ({
    name,
    ...aside,
    slack: { message: 'hello', failOnError: true, ...message },
  });
  const script = (name: string, bash: string, more: object = {}): Step => ({
    name,
    ...aside,
    script: { bash, secrets: { TOKEN: { name: 'script', key: 'token' } } },
    ...more,
  });
  return {
    deploy: {
      notifications,
      steps: [
        plan('deploy'),
        { name: 'approval', approval: { approvers: ['team:platform'], message: 'Apply?' } },
        apply('deploy'),
        {
          name: 'use',
          script: { env: { VALUE: '${{ steps.apply.outputs.open.plain }}' }, bash: 'echo "used $VALUE"' },
        },
        {
          name: 'tell',
          slack: { channel: '#deployments', message: 'Deployed ${{ steps.apply.outputs.open.json }}' },
        },
        { name: 'summary', slack: { channel: '#deployments', update: true } },
      ],
    },
    refused: {
      notifications,
      steps: [
        plan('refused'),
        { name: 'approval', approval: { approvers: ['team:platform'] } },
        apply('refused'),
      ],
    },
    broken: {
      notifications,
      steps: [inMode('refusing'), inMode('failing')],
    },
    cancelled: { notifications, steps: [inMode('waiting')] },
    configure: {
      notifications,
      steps: [
        playbook('good', 'web', 'good.yml'),
        playbook('failing', 'web', 'failing.yml'),
        playbook('vault', 'web-wrong-vault', 'good.yml'),
        playbook('login', 'web-wrong-key', 'good.yml'),
      ],
    },
    calls: {
      notifications,
      steps: [
        call('good', `${echo}/echo`, {
          outputs: { body: 'response.body', json: 'response.json', header: 'response.headers["x-base64"]' },
        }),
        call('refused', `${echo}/echo?status=500`),
        call('unexpected', `${echo}/echo`, { expect: 'response.json.plain == "something else"' }),
        call('expression', `${echo}/echo`, { outputs: { number: 'int(response.json.plain)' } }),
        call('away', `${echo}/away`),
        call('nowhere', `${nowhere}/`),
        call('untrusted', `${echo.replace('http:', 'https:')}/`),
        { ...call('silent', `${echo}/silent`), timeout: '2s' },
        call('unlabelled', `${echo}/echo`, {
          secretHeaders: { 'X-Secret': { name: 'script', key: 'token' } },
        }),
        call('unfit', `${echo}/echo`, { secretHeaders: { 'X-Secret': { name: 'unfit', key: 'lines' } } }),
      ],
    },
    messages: {
      notifications,
      steps: [
        slack('channel', { channel: '#deployments' }),
        slack('webhook', { webhook: { name: 'slack-webhook', key: 'url' } }),
        slack('refused', { channel: '#deployments', token: { name: 'slack-wrong', key: 'token' } }),
        slack('gone', { webhook: { name: 'webhooks-wrong', key: 'gone' } }),
        slack('broken', { webhook: { name: 'webhooks-wrong', key: 'broken' } }),
        slack('echoing', { webhook: { name: 'webhooks-wrong', key: 'echoing' } }),
        slack('unfit-token', { channel: '#deployments', token: { name: 'unfit', key: 'lines' } }),
        slack('unfit-url', { webhook: { name: 'unfit', key: 'lines' } }),
      ],
    },
    scripts: {
      notifications,
      steps: [
        script('good', 'test -n "$TOKEN"; echo "length=${#TOKEN}" >> "$SIGNALBOX_OUTPUT"'),
        script('failing', 'test -z "$TOKEN"', { retry: { limit: 1, backoff: { initial: '1s' } } }),
        script('slow', 'test -n "$TOKEN"; sleep 60', { timeout: '2s' }),
        script('unreadable', 'test -n "$TOKEN"; echo hello > "$SIGNALBOX_OUTPUT"'),
      ],
    },
  };
}

/** Plans and applies, for where plans and states are kept in an object store. */
export const storedWorkflow: Spec = { notifications, steps: [plan('stored'), apply('stored')] };

/** The same where the store refuses the operator; it does not wait long for that to change when it is stopped. */
export const refusedByStore: Spec = {
  notifications,
  steps: [
    {
      name: 'plan',
      terraform: { ...plan('stored').terraform, project: 'infra', action: 'plan', gracePeriod: '1s' },
    },
  ],
};

/**
 * Shows a text wherever there is something to be found: in a log in all spellings, in a status, an Event and a message.
 */
export function controlWorkflow(text: string): Spec {
  const lines = allSpellings(text).map(([, content]) => content.toString());
  const bash = 'echo "$LINES_TO_SHOW"; echo "$CONTROL" > "$SIGNALBOX_OUTPUT"';
  const env = { CONTROL: text, LINES_TO_SHOW: lines.join('\n') };
  return { notifications, steps: [{ name: 'show', script: { env, bash } }] };
}

/** What comes of each step, in the order of the workflow. */
export const outcomes: Readonly<Record<string, readonly string[]>> = {
  deploy: ['Completed', 'Approved', 'Completed', 'Completed', 'Sent', 'Sent'],
  refused: ['Completed', 'Rejected', 'UpstreamFailed'],
  broken: ['PlanFailed', 'ApplyFailed'],
  cancelled: ['RunCancelled'],
  configure: ['Completed', 'PlaybookFailed', 'VaultDenied', 'HostUnreachable'],
  calls: [
    'Completed',
    'UnexpectedStatus',
    'ExpectationFailed',
    'ExpressionError',
    'AddressRefused',
    'ConnectFailed',
    'TlsFailed',
    'DeadlineExceeded',
    'SecretNotAllowed',
    'InvalidHeader',
  ],
  messages: [
    'Sent',
    'Sent',
    'InvalidAuth',
    'NoService',
    'ServiceUnavailable',
    'UnexpectedAnswer',
    'InvalidToken',
    'InvalidWebhook',
  ],
  scripts: ['Completed', 'ExitCode', 'DeadlineExceeded', 'InvalidOutput'],
  stored: ['Completed', 'Completed'],
};
