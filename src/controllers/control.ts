import type { WorkflowRunStatus } from '../api/workflow-run.ts';
import { cut, MAX_QUOTE } from '../engine/text.ts';
import { annotationOf, type RunView } from './views.ts';

// What people ask of a run by annotations. The table of docs/control-table.md shows all of it.

/** One annotation of a run that asks for something. */
export interface Request {
  name: 'cancel' | 'retry';
  value: string;
}

/** What a request comes to. */
export type Order =
  | { type: 'Cancel' }
  | { type: 'Retry'; from: 'failed' | { step: string } }
  /** Nothing is done; the sentence says why, and what would be. */
  | { type: 'Refuse'; message: string };

/** What is asked of the run; of two requests the one that ends it goes first. */
export function requestOf({ control }: RunView): Request | undefined {
  if (control.cancel !== undefined) return { name: 'cancel', value: control.cancel };
  if (control.retry !== undefined) return { name: 'retry', value: control.retry };
  return undefined;
}

/** The request as `status.handled` names it, cut to what fits there. */
export const textOf = ({ name, value }: Request): string => `${name}=${value}`.slice(0, 256);

/** What is to be done about a request, as far as it can be told without the steps of the run. */
export function orderOf({ name, value }: Request, { deletedAt, status }: RunView): Order {
  if (deletedAt !== undefined) return refuse('The run is being deleted.');
  switch (name) {
    case 'cancel':
      return cancelOrder(value, status);
    case 'retry':
      return retryOrder(value, status);
    default:
      return name satisfies never;
  }
}

function cancelOrder(value: string, { finishedAt, phase }: WorkflowRunStatus): Order {
  if (value !== 'true')
    return refuse(`${annotationOf('cancel')} must be true, and is "${cut(value, MAX_QUOTE)}".`);
  if (finishedAt !== undefined) return refuse(`The run has ended already: it is ${phase}.`);
  return { type: 'Cancel' };
}

function retryOrder(value: string, { finishedAt, phase }: WorkflowRunStatus): Order {
  const step = /^from:(.+)$/.exec(value)?.[1];
  if (value !== 'failed' && step === undefined) {
    const allowed = 'failed, or from:<step> with the name of a step';
    return refuse(`${annotationOf('retry')} must be ${allowed}, and is "${cut(value, MAX_QUOTE)}".`);
  }
  if (finishedAt === undefined) {
    const where = phase === undefined ? 'has not begun' : `is ${phase}`;
    return refuse(`Only a run that has ended can be continued, and this one ${where}.`);
  }
  return { type: 'Retry', from: step === undefined ? 'failed' : { step } };
}

const refuse = (message: string): Order => ({ type: 'Refuse', message });

/** What came of a request, as an Event tells it. */
export interface Answer {
  type: 'Normal' | 'Warning';
  reason: string;
  note: string;
}

const WORD: Record<Request['name'], string> = { cancel: 'Cancel', retry: 'Retry' };

export const refusal = ({ name }: Request, note: string): Answer => ({
  type: 'Warning',
  reason: `${WORD[name]}Refused`,
  note,
});

/** What came of a request that was acted on, as the status shows it. */
export function acceptance(request: Request, status: WorkflowRunStatus): Answer {
  const { name } = request;
  if (name === 'cancel' && !status.cancellation)
    return refusal(request, status.message ?? 'The run has ended.');
  const note = name === 'cancel' ? cancelNote(status) : retryNote(status);
  return { type: 'Normal', reason: `${WORD[name]}Accepted`, note };
}

function cancelNote({ cancellation, finishedAt }: WorkflowRunStatus): string {
  if (cancellation?.terminatedAt) return 'The run was ended at once, without what was left of finally.';
  if (finishedAt !== undefined) return 'The run was cancelled.';
  return 'The run is being cancelled: steps that run are stopped, and finally runs to its end. Ask again to end it at once.';
}

function retryNote({ round = 1, phase, message }: WorkflowRunStatus): string {
  const wait = phase === 'Queued' && message ? ` ${message}` : '';
  return `The run goes on: round ${round + 1}.${wait}`;
}
