import { KeyError } from '../storage/keys.ts';
import { StorageError, type StorageReason } from '../storage/errors.ts';
import { TeamsError } from './teams-file.ts';
import { ApiError, ConnectionError } from '../kube/errors.ts';

/** An answer that is no: HTTP status, reason in CamelCase, and a sentence. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly status: number;
  readonly reason: string;

  constructor(status: number, reason: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
    this.reason = reason;
  }
}

/** After so many seconds it may be better. */
export const RETRY_AFTER_SECONDS = 2;

/** What may pass, or what an administrator can mend while the caller goes on trying, is 503. */
const STATUS: Record<StorageReason, number> = {
  KeyMissing: 503,
  StoreRefused: 503,
  StoreUnavailable: 503,
  Contention: 503,
  TooLate: 503,
  Altered: 409,
  Missing: 409,
  PlanMissing: 404,
  PlanReplaced: 409,
  PlanAltered: 409,
  StateInvalid: 400,
  LockInvalid: 400,
  LockLost: 409,
  SerialConflict: 409,
  LineageConflict: 409,
};

/** The answer to a request that failed. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  const cause = { cause: error };
  if (error instanceof StorageError) {
    return new Refusal(STATUS[error.reason], error.reason, error.message, cause);
  }
  if (error instanceof ApiError || error instanceof ConnectionError) {
    return new Refusal(
      503,
      'ApiServerUnavailable',
      `the cluster does not do it now: ${error.message}`,
      cause,
    );
  }
  if (error instanceof TeamsError) return new Refusal(503, 'TeamsUnreadable', error.message, cause);
  if (error instanceof KeyError) return new Refusal(503, 'KeyMissing', error.message, cause);
  if (error instanceof Error && error.name === 'TimeoutError') {
    return new Refusal(503, 'TimedOut', 'it took too long: try again', cause);
  }
  return new Refusal(500, 'InternalError', 'the operator failed: its log says how', cause);
}
