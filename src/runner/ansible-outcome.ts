import type { AnsibleDetails, RunnerReport } from '../api/runner.ts';
import { type AnsibleRecord, type Recap, recapLine, recapsOf, summarize, totalOf } from './ansible-record.ts';
import type { Mask } from './mask.ts';
import { describeExit, type Exit, succeeded } from './process.ts';
import { cut } from './report.ts';
import type { Outcome } from './work.ts';

/** How a run of ansible-playbook ended. */
export interface Ended {
  exit: Exit;
  record: AnsibleRecord | undefined;
  /** What Ansible printed as its first error; it gives the words, never the outcome. */
  error: string | undefined;
  mode: 'run' | 'check';
  wasStopped: boolean;
  commit: string;
  mask: Mask;
}

/** Exit code for a playbook that Ansible can not read; the same as for hosts that it did not reach. */
const NOT_UNDERSTOOD = 4;
const HOST_KEY = /host key verification failed|no .*host key is known|host identification has changed/i;
const VAULT = /no vault secrets|decryption failed/i;
/** So many troubled hosts are in the message; the recap has more. */
const SHOWN_HOSTS = 3;
const SHOWN_TEXT = 300;
const HOST_LENGTH = 253;

type Words = Pick<RunnerReport, 'reason' | 'message'>;

/** The outcome of a run: by the exit code and the statistics, and never by the log. */
export function ansibleOutcome(given: Ended): Outcome {
  const ended = hidden(given);
  const { record, exit, mode, commit } = ended;
  const recaps = recapsOf(record?.hosts ?? {});
  const failure = failureOf(ended, recaps);
  return {
    succeeded: failure === undefined && succeeded(exit),
    report: {
      ...(failure ?? { reason: 'Completed' }),
      commit,
      ...(record?.hosts ? { summary: summarize(recaps, mode), ansible: detailsOf(recaps, commit) } : {}),
      ...(record === undefined ? {} : outputsOf(record)),
    },
  };
}

/** Before anything is cut: of a secret that is cut in two, nobody would know the halves. */
function hidden({ record, error, ...ended }: Ended): Ended {
  const { mask } = ended;
  const troubles = Object.entries(record?.troubles ?? {}).map(([host, { task, message }]) => {
    return [host, { task: mask.text(task), message: mask.text(message) }] as const;
  });
  return {
    ...ended,
    error: error === undefined ? undefined : mask.text(error),
    record: record && {
      ...record,
      task: record.task === null ? null : mask.text(record.task),
      troubles: Object.fromEntries(troubles),
    },
  };
}

const detailsOf = (recaps: readonly Recap[], commit: string): AnsibleDetails => ({
  commit,
  hosts: recaps.map((recap) => ({ ...recap, host: cut(recap.host, HOST_LENGTH) })),
  recap: totalOf(recaps),
});

function outputsOf({ outputs }: AnsibleRecord): Pick<RunnerReport, 'outputs'> {
  return Object.keys(outputs).length > 0 ? { outputs } : {};
}

function failureOf(ended: Ended, recaps: readonly Recap[]): Words | undefined {
  const { exit, record, wasStopped } = ended;
  if (wasStopped && !succeeded(exit)) return interrupted(record);
  if (!record?.hosts) return endedEarly(ended);
  if (record.plays > 0 && record.plays === record.unmatched) return noHosts;
  const troubled = recaps.filter(({ failed, unreachable }) => failed + unreachable > 0);
  if (troubled.length > 0) return troubles(troubled, record.troubles);
  if (succeeded(exit)) return undefined;
  return { reason: 'PlaybookFailed', message: withError(`Ansible ended with ${describeExit(exit)}.`, ended) };
}

function interrupted(record: AnsibleRecord | undefined): Words {
  const task = record?.task;
  const during =
    task === undefined || task === null
      ? 'before the first task began: no host was changed'
      : `during the task "${cut(task, SHOWN_TEXT)}": what it and those before it have done stays`;
  return { reason: 'Interrupted', message: `The step was stopped ${during}.` };
}

const noHosts: Words = {
  reason: 'NoHosts',
  message:
    'No host matched: the inventory is empty, or no play names hosts of it. Check inventory and limit, and hosts in the playbook.',
};

/** Ansible gave up before it came to its statistics. */
function endedEarly(ended: Ended): Words {
  const { error = '', exit } = ended;
  const message = withError(`Ansible ended early, with ${describeExit(exit)}.`, ended);
  if (error.includes('leaves us with no hosts to target')) return noHosts;
  if (error.includes('Completely failed to parse inventory')) return { reason: 'InventoryInvalid', message };
  if (VAULT.test(error)) return vaultDenied(error);
  if ('code' in exit && exit.code === NOT_UNDERSTOOD) return { reason: 'SyntaxError', message };
  return { reason: 'PlaybookFailed', message };
}

const withError = (sentence: string, { error }: Ended) =>
  error === undefined ? sentence : `${sentence} ${cut(error, 2 * SHOWN_TEXT)}`;

const vaultDenied = (error: string): Words => ({
  reason: 'VaultDenied',
  message: `Something is encrypted with Ansible Vault, and the password is missing or wrong: check ansible.vault of the Project. ${cut(error, SHOWN_TEXT)}`,
});

/** The recap of the first hosts, and of the first that has one, what went wrong. */
function troubles(troubled: readonly Recap[], known: AnsibleRecord['troubles']): Words {
  const first = Object.entries(known).find(([host]) => troubled.some((recap) => recap.host === host));
  const text = first?.[1].message ?? '';
  if (VAULT.test(text)) return vaultDenied(text);
  const cause = first === undefined ? '' : ` ${causeOf(first)}`;
  const lines = troubled.slice(0, SHOWN_HOSTS).map(recapLine);
  const rest = troubled.length - lines.length;
  const more = rest > 0 ? [`${rest} more`] : [];
  return { reason: reasonOf(troubled, known), message: `${[...lines, ...more].join('; ')}.${cause}` };
}

const causeOf = ([host, { task, message }]: [string, AnsibleRecord['troubles'][string]]) =>
  `Task "${cut(task, SHOWN_TEXT / 2)}" on ${host}: ${cut(message, SHOWN_TEXT)}`;

function reasonOf(troubled: readonly Recap[], known: AnsibleRecord['troubles']): string {
  if (troubled.some(({ failed }) => failed > 0)) return 'PlaybookFailed';
  const isUnknown = troubled.some(({ host }) => HOST_KEY.test(known[host]?.message ?? ''));
  return isUnknown ? 'HostKeyUnknown' : 'HostUnreachable';
}
