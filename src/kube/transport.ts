import { Client, Pool } from 'undici';
import { type BackoffRange, backoff } from './backoff.ts';
import { type Clock, sleep, systemClock } from './clock.ts';
import type { Connection } from './config.ts';
import { ApiError, ConnectionError, FencedError, type RequestName } from './errors.ts';
import type { Outgoing } from './exchange.ts';
import { createSender, type FinishedRequest } from './sender.ts';

/** One call of the API. */
export interface ApiRequest extends RequestName {
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** Path and query. */
  path: string;
  /** Sent as JSON. */
  body?: unknown;
  /** @default application/json */
  contentType?: string;
  /** Form in which the answer is wanted. @default application/json */
  accept?: string;
  /** Whether sending it twice does the same as once, so that it may be repeated when the answer is lost. */
  idempotent: boolean;
  signal?: AbortSignal | undefined;
  /** Limit for one try. @default that of the transport */
  timeoutMs?: number;
  /** Asked in the tick in which a write is sent, each time that it is; when false, nothing is sent. */
  fence?: () => boolean;
}

/** A call whose answer is a stream without end. */
export interface StreamRequest extends RequestName {
  path: string;
  signal?: AbortSignal | undefined;
  /** The peer counts as dead when it sends nothing for so long. */
  idleTimeoutMs: number;
  /** Called in the tick in which the bytes arrive. */
  onChunk: (chunk: Buffer) => void;
}

export type { FinishedRequest } from './sender.ts';

/** Sends requests to one API server. */
export interface Transport {
  /**
   * Returns the parsed answer.
   *
   * Repeats up to five times, after the server's `Retry-After` or an exponential backoff: any request that the
   * server turned away unprocessed (429, or no connection at all), and idempotent ones also after a 5xx or a lost answer.
   *
   * @throws {ApiError} the server refused.
   * @throws {ConnectionError} there was no answer.
   * @throws {FencedError} a write under a fence that had fallen.
   */
  request(request: ApiRequest): Promise<unknown>;
  /** Resolves when the server ends the stream. Opens a connection of its own and never repeats. Throws as `request`. */
  stream(request: StreamRequest): Promise<void>;
  /** Ends all connections, without waiting for answers. */
  close(): Promise<void>;
}

export interface TransportOptions {
  /** Shown in the API server's audit log and in `managedFields`. */
  userAgent: string;
  /** Most connections for calls, watches not counted. @default 32 */
  connections?: number;
  /** Limit for one try. @default 30000 */
  timeoutMs?: number;
  /** Called after each try, also those that will be repeated. */
  onFinished?: (request: FinishedRequest) => void;
  /** @default systemClock */
  clock?: Clock;
  /** @default Math.random */
  random?: () => number;
}

const RETRIES = 5;
const RETRY_BACKOFF: BackoffRange = { initialMs: 100, maxMs: 5_000 };
/** A server in trouble may ask for more than a caller can wait; it decides by failing, not by hanging. */
const LONGEST_RETRY_AFTER_MS = 30_000;
/** The API server closes idle connections after 90 s; leaving first avoids writing into a closing one. */
const KEEP_ALIVE_MS = 60_000;

/** Opens the way to the API server. Connects when the first request is made. */
export function createTransport(connection: Connection, options: TransportOptions): Transport {
  const { timeoutMs = 30_000, clock = systemClock, random = Math.random } = options;
  const headers = fixedHeaders(connection, options.userAgent);
  const origin = new URL(connection.server);
  const basePath = origin.pathname.replace(/\/$/, '');
  const dispatcherOptions = clientOptions(connection);
  const pool = new Pool(origin.origin, { ...dispatcherOptions, connections: options.connections ?? 32 });
  const send = createSender(connection, clock, options.onFinished);
  const streams = new Set<Client>();
  const closing = new AbortController();

  async function request(call: ApiRequest): Promise<unknown> {
    for (let attempt = 0; ; attempt++) {
      try {
        const answer = await send(pool, call, outgoing(call));
        return JSON.parse(answer.body.toString());
      } catch (error) {
        const wait = attempt < RETRIES ? retryDelay(error, call.idempotent, attempt, random) : undefined;
        if (wait === undefined || closing.signal.aborted) throw error;
        const stop = call.signal ? AbortSignal.any([call.signal, closing.signal]) : closing.signal;
        await sleep(clock, wait, stop);
      }
    }
  }

  function outgoing(call: ApiRequest): Outgoing {
    const { method, body, contentType = 'application/json', accept, signal, fence } = call;
    const common = accept === undefined ? headers : { ...headers, accept };
    return {
      method,
      path: basePath + call.path,
      timeoutMs: call.timeoutMs ?? timeoutMs,
      ...(body === undefined
        ? { headers: { ...common } }
        : { headers: { ...common, 'content-type': contentType }, body: JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
      ...(fence && method !== 'GET' ? { beforeSend: () => assertOpen(fence, call) } : {}),
    };
  }

  async function stream(call: StreamRequest): Promise<void> {
    const client = new Client(origin.origin, { ...dispatcherOptions, headersTimeout: timeoutMs });
    streams.add(client);
    try {
      await send(client, call, {
        method: 'GET',
        path: basePath + call.path,
        headers: { ...headers },
        idleTimeoutMs: call.idleTimeoutMs,
        onChunk: call.onChunk,
        ...(call.signal ? { signal: call.signal } : {}),
      });
    } finally {
      streams.delete(client);
      await client.destroy();
    }
  }

  return {
    request,
    stream,
    async close() {
      closing.abort(new Error('the transport was closed'));
      await Promise.all([pool, ...streams].map((dispatcher) => dispatcher.destroy()));
    },
  };
}

/** The same transport, whose writes are held back as soon as `mayWrite` says no. */
export function withFence(transport: Transport, mayWrite: () => boolean): Transport {
  return { ...transport, request: (call) => transport.request({ ...call, fence: mayWrite }) };
}

/**
 * How long to wait before sending a failed request again, or undefined when it must not be sent again:
 * because the answer is final, or because the first may have been carried out and a second would do it twice.
 */
function retryDelay(
  error: unknown,
  idempotent: boolean,
  attempt: number,
  random: () => number,
): number | undefined {
  if (error instanceof ConnectionError) {
    return idempotent || !error.sent ? backoff(attempt, RETRY_BACKOFF, random) : undefined;
  }
  if (!(error instanceof ApiError)) return undefined;
  const turnedAway = error.status === 429;
  const broken = error.status >= 500 && idempotent;
  if (!turnedAway && !broken) return undefined;
  if (error.retryAfterMs === undefined) return backoff(attempt, RETRY_BACKOFF, random);
  return error.retryAfterMs <= LONGEST_RETRY_AFTER_MS ? error.retryAfterMs : undefined;
}

function assertOpen(fence: () => boolean, name: RequestName): void {
  if (!fence()) throw new FencedError(name);
}

function fixedHeaders(connection: Connection, userAgent: string): Record<string, string> {
  const headers: Record<string, string> = { accept: 'application/json', 'user-agent': userAgent };
  if (connection.impersonate) headers['impersonate-user'] = connection.impersonate;
  return headers;
}

function clientOptions({ ca, cert, key, insecure, serverName }: Connection): Client.Options {
  return {
    // HTTP/2 would put every call and watch on one TCP connection, where one slow watch holds up all.
    allowH2: false,
    keepAliveTimeout: KEEP_ALIVE_MS,
    // Calls have a limit of their own for the whole exchange; streams set theirs.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: {
      keepAlive: true,
      keepAliveInitialDelay: 30_000,
      rejectUnauthorized: !insecure,
      ...(ca ? { ca } : {}),
      ...(cert && key ? { cert, key } : {}),
      ...(serverName ? { servername: serverName } : {}),
    },
  };
}
