/** An answer that the API server never gave. */
export interface Refusal {
  kind: 'Refused';
  status: 409 | 410 | 429 | 500;
}

const REASONS: Record<Refusal['status'], string> = {
  409: 'Conflict',
  410: 'Expired',
  429: 'TooManyRequests',
  500: 'InternalError',
};

/** The Status that the API server sends with such an answer, also in the middle of a watch. */
export function statusObject(code: Refusal['status']): object {
  const message = 'injected by the fault campaign';
  return { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason: REASONS[code], message };
}
