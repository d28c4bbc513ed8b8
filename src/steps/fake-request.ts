import type { Egress, OutgoingRequest } from './egress.ts';
import { CallError } from './step-type.ts';

/** A request of a test: a GET that takes a response of at most 1000 bytes. */
export const outgoing = (url: string, more: Partial<OutgoingRequest> = {}): OutgoingRequest => ({
  method: 'GET',
  url: new URL(url),
  headers: {},
  signal: new AbortController().signal,
  connectTimeoutMs: 5000,
  maxBytes: 1000,
  ...more,
});

/**
 * Why a request fails.
 * @throws {Error} when it does not, or with something else than it may
 */
export async function errorOf(egress: Egress, request: OutgoingRequest): Promise<CallError> {
  const error: unknown = await egress.request(request).then(
    ({ status }) => new Error(`it was answered with ${status}`),
    (reason: unknown) => reason,
  );
  if (error instanceof CallError) return error;
  throw error;
}
