import type { Status } from 'kubernetes-types/meta/v1.d.ts';
import type { Dispatcher } from 'undici';
import type { Clock } from './clock.ts';
import type { Connection } from './config.ts';
import { ApiError, ConnectionError, type RequestName } from './errors.ts';
import { ExchangeFailure, exchange, type Incoming, type Outgoing } from './exchange.ts';

/** A try that has ended, for metrics. */
export interface FinishedRequest extends RequestName {
  /** HTTP status code, or the reason of the `ConnectionError` when there was none. */
  code: string;
  seconds: number;
  /** The time of day at the server, as the answer says it. */
  date?: string;
}

/** One try of a request. Resolves with a 2xx answer; throws as `Transport.request`. */
export type Send = (dispatcher: Dispatcher, name: RequestName, outgoing: Outgoing) => Promise<Incoming>;

/** Sends single requests as who we are: with the token of the moment, counted, and with errors typed. */
export function createSender(
  { token }: Connection,
  clock: Clock,
  onFinished?: (request: FinishedRequest) => void,
): Send {
  const sendOnce: Send = async (dispatcher, name, outgoing) => {
    const bearer = await token?.read();
    if (bearer) outgoing.headers['authorization'] = `Bearer ${bearer}`;
    const { verb, resource } = name;
    const start = clock.now();
    const finished = (code: string, date?: string) => {
      const seconds = (clock.now() - start) / 1000;
      onFinished?.({ verb, resource, code, seconds, ...(date === undefined ? {} : { date }) });
    };
    try {
      const incoming = await exchange(dispatcher, outgoing, clock);
      finished(String(incoming.status), incoming.headers.date);
      if (incoming.status >= 300) throw apiError(name, incoming);
      return incoming;
    } catch (error) {
      if (!(error instanceof ExchangeFailure)) throw error;
      const failure = new ConnectionError(name, error.cause, error.sent);
      finished(failure.reason);
      throw failure;
    }
  };

  return async (dispatcher, name, outgoing) => {
    try {
      return await sendOnce(dispatcher, name, outgoing);
    } catch (error) {
      // The token may have been replaced since it was read: one more try with a fresh one.
      if (!token || !(error instanceof ApiError) || error.status !== 401) throw error;
      token.forget();
      return sendOnce(dispatcher, name, outgoing);
    }
  };
}

function apiError(name: RequestName, { status, headers, body }: Incoming): ApiError {
  const retryAfter = Number(headers['retry-after']);
  const retryAfterMs = Number.isFinite(retryAfter) ? retryAfter * 1000 : undefined;
  return new ApiError(name, { ...statusOf(body.toString()), code: status }, retryAfterMs);
}

/** What stands between client and server, such as a load balancer, answers without a Status. */
function statusOf(body: string): Status {
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed === 'object' && parsed !== null && 'kind' in parsed && parsed.kind === 'Status')
      return parsed as Status;
  } catch {
    // Not JSON: the text itself is the message.
  }
  return { reason: 'Unknown', message: body.slice(0, 500) };
}
