import type { StepStatus, WorkflowRunStatus } from '../api/workflow-run.ts';
import { hasEnded } from './summary.ts';
import { cut } from './text.ts';

/** Largest status, in bytes of JSON: well below what the API server takes, and quick to read and write. */
export const MAX_STATUS = 262_144;
/** What the row of a step takes without its outputs, in characters, its name and that of its Job being long. */
const ROW = 300;
/** What the rest of a status takes. */
const REST = 8192;
/** What is left of the message of a step that has ended, where there is no room for more. */
const SHORT_MESSAGE = 80;

/** How much room the outputs of all steps have, in characters. */
export const room = (rows: number): number => Math.max(4096, MAX_STATUS - REST - rows * ROW);

/** The status as it fits: whole, or with shorter messages; or why it does not. */
export function shorten(
  status: WorkflowRunStatus,
): { ok: true; status: WorkflowRunStatus } | { ok: false; message: string } {
  if (sizeOf(status) <= MAX_STATUS) return { ok: true, status };
  const short = { ...status, steps: (status.steps ?? []).map(shortRow) };
  const size = sizeOf(short);
  if (size <= MAX_STATUS) return { ok: true, status: short };
  const message = `The status of the run would come to ${size} bytes, and at most ${MAX_STATUS} are kept: use fewer steps or instances, fewer retries, or smaller outputs.`;
  return { ok: false, message };
}

function shortRow(row: StepStatus): StepStatus {
  if (!hasEnded(row)) return row;
  const { attempts: _attempts, message, ...rest } = row;
  return message === undefined ? rest : { ...rest, message: cut(message, SHORT_MESSAGE) };
}

const encoder = new TextEncoder();
const sizeOf = (status: WorkflowRunStatus): number => {
  const text = JSON.stringify(status);
  // No character takes more than three bytes for each of its code units.
  return text.length * 3 <= MAX_STATUS ? text.length : encoder.encode(text).length;
};
