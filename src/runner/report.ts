import type { AnsibleDetails, RunnerReport, TerraformDetails } from '../api/runner.ts';
import { type Mask, maskDeep } from './mask.ts';

/** The kubelet keeps 4096 bytes of a termination message, and the operator refuses one that may have been cut. */
export const REPORT_LIMIT = 4095;
const MESSAGE_LENGTH = 1024;
const SUMMARY_LENGTH = 256;
const ADDRESS_LENGTH = 256;
const CHANGES = 20;
const HOSTS = 32;
/** So many entries of a list are worth more than outputs, and a message may not be shorter than this for their sake. */
const FEW = 5;
const SHORT_MESSAGE = 256;

/** A report that fits, and what did not. */
export interface FittedReport {
  text: string;
  /** Names of the outputs that had to be left out. */
  droppedOutputs: string[];
}

/**
 * Makes a report fit into a termination message, with secrets hidden. Given up are, in this order: the ends of long
 * lists, the end of the message, the largest outputs, the rest of the lists.
 */
export function fitReport(report: RunnerReport, mask: Mask): FittedReport {
  const draft = shorten(maskDeep(report, mask) as RunnerReport);
  const droppedOutputs: string[] = [];
  const tooBig = () => Buffer.byteLength(JSON.stringify(draft)) > REPORT_LIMIT;
  while (tooBig() && dropListEntry(draft, FEW));
  while (tooBig() && shortenMessage(draft, SHORT_MESSAGE));
  while (tooBig() && dropOutput(draft, droppedOutputs));
  while (tooBig() && (dropListEntry(draft, 0) || shortenMessage(draft, 0)));
  return { text: JSON.stringify(draft), droppedOutputs };
}

/** Cuts a text to so many UTF-16 units, and no character in two. */
export function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1).replace(/[\uD800-\uDBFF]$/, '')}…`;
}

/** Brings every part to the length that its schema allows. */
function shorten(report: RunnerReport): RunnerReport {
  const { message, summary, outputs, terraform, ansible } = report;
  return {
    ...report,
    ...(message === undefined ? {} : { message: cut(message, MESSAGE_LENGTH) }),
    ...(summary === undefined ? {} : { summary: cut(summary, SUMMARY_LENGTH) }),
    ...(outputs === undefined ? {} : { outputs: { ...outputs } }),
    ...(terraform === undefined ? {} : { terraform: shortenTerraform(terraform) }),
    ...(ansible === undefined ? {} : { ansible: shortenAnsible(ansible) }),
  };
}

function shortenTerraform(details: TerraformDetails): TerraformDetails {
  const { changes, moreChanges = 0 } = details;
  if (changes === undefined) return { ...details };
  const kept = changes
    .slice(0, CHANGES)
    .map(({ address, action }) => ({ address: cut(address, ADDRESS_LENGTH), action }));
  const more = moreChanges + changes.length - kept.length;
  return { ...details, changes: kept, ...(more > 0 ? { moreChanges: more } : {}) };
}

function shortenAnsible(details: AnsibleDetails): AnsibleDetails {
  const { hosts, moreHosts = 0 } = details;
  if (hosts === undefined) return { ...details };
  const kept = hosts.slice(0, HOSTS);
  const more = moreHosts + hosts.length - kept.length;
  return { ...details, hosts: kept, ...(more > 0 ? { moreHosts: more } : {}) };
}

function dropListEntry({ terraform, ansible }: RunnerReport, least: number): boolean {
  if (terraform?.changes !== undefined && terraform.changes.length > least) {
    terraform.changes.pop();
    terraform.moreChanges = (terraform.moreChanges ?? 0) + 1;
    return true;
  }
  if (ansible?.hosts !== undefined && ansible.hosts.length > least) {
    ansible.hosts.pop();
    ansible.moreHosts = (ansible.moreHosts ?? 0) + 1;
    return true;
  }
  return false;
}

function shortenMessage(report: RunnerReport, least: number): boolean {
  const { message = '' } = report;
  if (message.length <= least || message === '…' || message === '') return false;
  report.message = cut(message, Math.max(least, Math.floor(message.length * 0.8), 1));
  return true;
}

function dropOutput({ outputs = {} }: RunnerReport, dropped: string[]): boolean {
  const size = (name: string) => Buffer.byteLength(JSON.stringify(outputs[name]) ?? '') + name.length;
  const [largest] = Object.keys(outputs).sort((a, b) => size(b) - size(a));
  if (largest === undefined) return false;
  delete outputs[largest];
  dropped.push(largest);
  return true;
}
