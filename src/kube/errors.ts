import type { Status } from 'kubernetes-types/meta/v1.d.ts';

/** What a request was about, as errors and metrics name it. */
export interface RequestName {
  /** `get`, `list`, `watch`, `create`, `patch`, `apply`, `delete`. */
  verb: string;
  /** Plural name and, after a slash, the subresource: `jobs`, `workflowruns/status`. */
  resource: string;
}

/**
 * The API server answered, and the answer is no. `reason` is the machine's word for why (`NotFound`,
 * `Conflict`, `Invalid`, ...), and the message is the server's own sentence.
 */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  /** HTTP status code, or the code in the Status that a watch sent. */
  readonly status: number;
  readonly reason: string;
  readonly details: NonNullable<Status['details']>;
  /** How long the server asks to wait before the next try. */
  readonly retryAfterMs: number | undefined;

  constructor(request: RequestName, status: Status, retryAfterMs?: number) {
    const reason = status.reason || 'Unknown';
    super(`${request.verb} ${request.resource}: ${reason}: ${status.message ?? 'no message'}`);
    this.status = status.code ?? 0;
    this.reason = reason;
    this.details = status.details ?? {};
    this.retryAfterMs = retryAfterMs;
  }
}

/** No answer came: the connection could not be made, broke, or stayed silent for too long. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
  /** The operating system's or HTTP client's code, such as `ECONNREFUSED`, or `Timeout`. */
  readonly reason: string;
  /** False when it is certain that the server never saw the request. */
  readonly sent: boolean;

  constructor(request: RequestName, cause: Error, sent: boolean) {
    super(`${request.verb} ${request.resource}: no answer from the API server: ${cause.message}`, { cause });
    this.reason = 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.name;
    this.sent = sent;
  }
}

/** A write was held back because this process may no longer be the leader. Nothing was sent. */
export class FencedError extends Error {
  override readonly name = 'FencedError';
  readonly reason = 'NotLeader';

  constructor(request: RequestName) {
    super(`${request.verb} ${request.resource}: not sent: this process does not hold the lease any more`);
  }
}

/** The object does not exist. */
export const isNotFound = withReason('NotFound');
/** The resourceVersion or uid that the write named is not the current one: read again, decide again. */
export const isConflict = withReason('Conflict');
/** An object with that name exists. */
export const isAlreadyExists = withReason('AlreadyExists');
/** The resourceVersion is no longer kept, or never was: list again. */
export const isExpired = withReason('Expired', 'Gone');
/** The object breaks a rule of its schema; sending it again is no use. */
export const isInvalid = withReason('Invalid', 'BadRequest');
/** RBAC, a quota or an admission policy refuses. */
export const isForbidden = withReason('Forbidden');

function withReason(...reasons: string[]): (error: unknown) => error is ApiError {
  return (error): error is ApiError => error instanceof ApiError && reasons.includes(error.reason);
}
