import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import type { Clock } from './clock.ts';

/** One HTTP request, ready to be written. */
export interface Outgoing {
  method: string;
  path: string;
  headers: Record<string, string>;
  body?: string;
  /** Limit for the whole exchange, waiting for a free connection included. Absent for streams. */
  timeoutMs?: number;
  /** Limit for the silence between two pieces of the body. */
  idleTimeoutMs?: number;
  signal?: AbortSignal;
  /** Called in the tick in which the request is written. When it throws, nothing is written. */
  beforeSend?: () => void;
  /** Takes the body of a 2xx answer as it arrives; the answer's `body` is then empty. */
  onChunk?: (chunk: Buffer) => void;
}

/** One HTTP answer. */
export interface Incoming {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/** Why no whole answer came. */
export class ExchangeFailure extends Error {
  override readonly name = 'ExchangeFailure';
  override readonly cause: Error;
  /** Whether the request had been given to a connection. */
  readonly sent: boolean;

  constructor(cause: Error, sent: boolean) {
    super(cause.message);
    this.cause = cause;
    this.sent = sent;
  }
}

/**
 * Sends one request and gathers its answer. It uses undici's `dispatch` and not its `request`: no stream is
 * made for the body, and a watch gets its bytes in the tick in which they arrive.
 *
 * @throws {ExchangeFailure} when no whole answer came; the signal's own reason when it was aborted; what
 * `beforeSend` or `onChunk` threw.
 */
export function exchange(dispatcher: Dispatcher, outgoing: Outgoing, clock: Clock): Promise<Incoming> {
  const { promise, resolve, reject } = Promise.withResolvers<Incoming>();
  const { signal, timeoutMs, beforeSend, onChunk } = outgoing;
  const incoming: Incoming = { status: 0, headers: {}, body: Buffer.alloc(0) };
  const chunks: Buffer[] = [];
  let controller: Dispatcher.DispatchController | undefined;
  let ended = false;

  /** True for the first who ends the exchange; whatever undici reports after that is no news. */
  const finish = (): boolean => {
    if (ended) return false;
    ended = true;
    cancelTimer();
    signal?.removeEventListener('abort', onAbort);
    return true;
  };
  const fail = (reason: unknown) => {
    if (!finish()) return;
    reject(reason);
    controller?.abort(new Error('the exchange was given up'));
  };
  /** What the caller's functions throw ends their own exchange and nothing else. */
  const guarded = (call: () => void) => {
    try {
      call();
    } catch (error) {
      fail(error);
    }
  };
  const failed = (error: Error) => fail(new ExchangeFailure(error, controller !== undefined));
  const onAbort = () => fail(signal?.reason);
  const cancelTimer =
    timeoutMs === undefined ? () => {} : clock.after(timeoutMs, () => failed(late(timeoutMs)));
  signal?.addEventListener('abort', onAbort, { once: true });
  if (signal?.aborted) onAbort();
  if (ended) return promise;

  dispatcher.dispatch(dispatchOptions(outgoing), {
    onRequestStart(started) {
      if (!ended) guarded(() => beforeSend?.());
      // Thrown, and not aborted: undici then drops the request and keeps the connection, on which nothing was written.
      if (ended) throw new Error('the exchange was given up');
      controller = started;
    },
    onResponseStart(_, status, headers) {
      incoming.status = status;
      incoming.headers = headers;
    },
    onResponseData(_, chunk) {
      if (ended) return;
      if (!onChunk || incoming.status >= 300) {
        chunks.push(chunk);
        return;
      }
      guarded(() => onChunk(chunk));
    },
    onResponseEnd() {
      if (!finish()) return;
      incoming.body = Buffer.concat(chunks);
      resolve(incoming);
    },
    onResponseError: (_, error) => failed(error),
  });
  return promise;
}

function dispatchOptions({
  method,
  path,
  headers,
  body,
  idleTimeoutMs,
}: Outgoing): Dispatcher.DispatchOptions {
  const options = { method, path, headers, body: body ?? null };
  return idleTimeoutMs === undefined ? options : { ...options, bodyTimeout: idleTimeoutMs };
}

function late(timeoutMs: number): Error {
  const error = new Error(`it took longer than ${timeoutMs} ms`);
  error.name = 'Timeout';
  return error;
}
