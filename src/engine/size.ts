import type { ApprovalStatus } from '../api/approval-status.ts';
import type { AnsibleDetails, TerraformDetails } from '../api/runner.ts';
import type { StepStatus, WorkflowRunStatus } from '../api/workflow-run.ts';
import { hasEnded } from './summary.ts';
import { cut } from './text.ts';

/** Largest status, in bytes of JSON: well below what the API server takes, and quick to read and write. */
export const MAX_STATUS = 262_144;
/** What the row of a step takes without its outputs, in characters, its name and that of its Job being long. */
const ROW = 300;
/** What the rest of a status takes. */
const REST = 8192;
/** What a UID takes, with its key. */
const UID = 45;
/** What is left of a message or a summary where there is no room for more. */
const SHORT_TEXT = 80;

/** How much room the outputs of all steps have, in characters. */
export const room = (rows: number): number => Math.max(4096, MAX_STATUS - REST - rows * ROW);

/** The status as it fits: whole, or without what can be missed first; or why it does not. */
export function shorten(
  status: WorkflowRunStatus,
): { ok: true; status: WorkflowRunStatus } | { ok: false; message: string } {
  if (sizeOf(status) <= MAX_STATUS) return { ok: true, status };
  const short = withRows(status, shortRow);
  if (sizeOf(short) <= MAX_STATUS) return { ok: true, status: short };
  const shortest = shortestOf(status);
  const size = sizeOf(shortest);
  if (size <= MAX_STATUS) return { ok: true, status: shortest };
  const message = `The status of the run would come to ${size} bytes, and at most ${MAX_STATUS} are kept: use fewer steps or instances, fewer retries, or smaller outputs.`;
  return { ok: false, message };
}

/** The status with what expressions read, and what its running steps need. */
export const shortestOf = (status: WorkflowRunStatus): WorkflowRunStatus => withRows(status, shortestRow);

const withRows = (status: WorkflowRunStatus, change: (row: StepStatus) => StepStatus): WorkflowRunStatus => ({
  ...status,
  steps: (status.steps ?? []).map(change),
});

/**
 * The ends of messages can be missed, UIDs, lists of single changes and hosts, and of the attempts of a running step all
 * but what they are counted by.
 */
function shortRow({ message, attempts, ...whole }: StepStatus): StepStatus {
  const row = withoutLists(whole);
  const short = message === undefined ? row : { ...row, message: cut(message, SHORT_TEXT) };
  if (!hasEnded(row)) return attempts ? { ...short, attempts: attempts.map(shortAttempt) } : short;
  const { job, run, ...rest } = short;
  return {
    ...rest,
    ...(job ? { job: { name: job.name } } : {}),
    ...(run ? { run: { name: run.name } } : {}),
  };
}

function withoutLists({ terraform, ansible, approval, ...row }: StepStatus): StepStatus {
  return {
    ...row,
    ...(approval ? { approval: withoutPlanChanges(approval) } : {}),
    ...(terraform ? { terraform: withoutChanges(terraform) } : {}),
    ...(ansible ? { ansible: withoutHosts(ansible) } : {}),
  };
}

function withoutChanges<T extends Pick<TerraformDetails, 'changes' | 'moreChanges'>>(details: T) {
  const { changes = [], moreChanges = 0, ...counts } = details;
  return { ...counts, moreChanges: moreChanges + changes.length };
}

const withoutPlanChanges = ({ plans, ...approval }: ApprovalStatus): ApprovalStatus => ({
  ...approval,
  ...(plans ? { plans: plans.map(withoutChanges) } : {}),
});

const withoutHosts = ({ hosts = [], moreHosts = 0, ...counts }: AnsibleDetails): AnsibleDetails => ({
  ...counts,
  moreHosts: moreHosts + hosts.length,
});

const shortAttempt = ({ startedAt, finishedAt, reason }: NonNullable<StepStatus['attempts']>[number]) => ({
  startedAt,
  finishedAt,
  reason,
});

/** Why a step does not run yet is told by the reason, and the Job of one that has ended is found by its labels. */
function shortestRow(row: StepStatus): StepStatus {
  const { message, ...going } = shortRow(row);
  if (!hasEnded(row)) return going;
  const { job: _job, run: _run, summary, ...rest } = going;
  return {
    ...rest,
    ...(message === undefined ? {} : { message }),
    ...(summary === undefined ? {} : { summary: cut(summary, SHORT_TEXT) }),
  };
}

const encoder = new TextEncoder();

/** Bytes that the status takes, with the UIDs that are added to its running steps once they are known. */
function sizeOf(status: WorkflowRunStatus): number {
  const text = JSON.stringify(status);
  const uids = (status.steps ?? []).filter(lacksUid).length * UID;
  // No character takes more than three bytes for each of its code units.
  return uids + (text.length * 3 <= MAX_STATUS ? text.length : encoder.encode(text).length);
}

const lacksUid = (row: StepStatus): boolean => {
  const object = row.job ?? row.run;
  return object !== undefined && object.uid === undefined && !hasEnded(row);
};
