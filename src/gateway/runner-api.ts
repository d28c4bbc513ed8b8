import type { IncomingMessage, ServerResponse } from 'node:http';
import { isIPv6 } from 'node:net';
import type { Transport } from '../kube/transport.ts';
import type { Storage } from '../storage/storage.ts';
import { createRoom } from './body.ts';
import { startHttpsServer } from './https-server.ts';
import { createIdentifier } from './pod-token.ts';
import { Refusal, refusalOf, RETRY_AFTER_SECONDS } from './refusal.ts';
import { type AuthenticatorOptions, type Caller, createAuthenticator } from './runner-auth.ts';
import { createRoutes, type RunnerAnswer } from './runner-routes.ts';
import type { Serving } from './serving.ts';

/** A request that was answered, for metrics and the log. */
export interface AnsweredRequest {
  /** `<method> <path>` of those that there are, or `other`. */
  route: string;
  status: number;
  seconds: number;
  caller?: Caller;
  /** Why the answer is no. */
  refusal?: Refusal;
}

export interface RunnerApiOptions {
  /** 0: any free one. */
  port: number;
  /** Under which the pods reach it; the first one is in its address. */
  names: readonly string[];
  serving: Serving;
  storage: Storage;
  /** To read who signs tokens. Not held back by a lease: every replica serves. */
  transport: Transport;
  findPod: AuthenticatorOptions['findPod'];
  /** Milliseconds since the epoch, by the API server, which has made the tokens. */
  now: () => number;
  onAnswered: (request: AnsweredRequest) => void;
}

/** The HTTPS server by which the operator and the runners in the pods of steps talk. See docs/runner-api.md. */
export interface RunnerApi {
  readonly port: number;
  /** Base of its address for the pods, without a slash at its end. */
  readonly url: string;
  /** The authorities that its certificate is to be checked with, in PEM. */
  ca(): string;
  close(): Promise<void>;
}

/** Bodies that are held at once; each of them is in memory about twice. */
const ROOM_BYTES = 192 * 2 ** 20;
/** A body of the largest size has to arrive within this time. */
const REQUEST_TIMEOUT_MS = 5 * 60_000;

export async function startRunnerApi(options: RunnerApiOptions): Promise<RunnerApi> {
  const { names, serving, storage, transport, findPod, now } = options;
  const identify = createIdentifier({ transport, now });
  const authenticate = createAuthenticator({ identify, grants: storage.grants, findPod });
  const routes = createRoutes(storage, createRoom(ROOM_BYTES));
  const answer = async (incoming: IncomingMessage, seen: Seen): Promise<RunnerAnswer> => {
    const url = URL.parse(incoming.url ?? '', 'https://runner-api');
    const route = `${incoming.method} ${url?.pathname}`;
    const handle = Object.hasOwn(routes, route) ? routes[route] : undefined;
    if (!url || !handle) throw new Refusal(404, 'NotFound', `there is no ${route}`);
    seen.route = route;
    seen.caller = await authenticate(incoming.headers);
    return handle({ caller: seen.caller, incoming, query: url.searchParams });
  };
  const { port, close } = await startHttpsServer(
    { port: options.port, serving, requestTimeoutMs: REQUEST_TIMEOUT_MS },
    (incoming, response) => void serve(incoming, response, answer, options.onAnswered),
  );
  const [name = 'localhost'] = names;
  return {
    port,
    url: `https://${isIPv6(name) ? `[${name}]` : name}:${port}`,
    ca: () => serving.current().ca,
    close,
  };
}

/** What is learned of a request while it is answered. */
interface Seen {
  route: string;
  caller?: Caller;
}

async function serve(
  incoming: IncomingMessage,
  response: ServerResponse,
  answer: (incoming: IncomingMessage, seen: Seen) => Promise<RunnerAnswer>,
  onAnswered: (request: AnsweredRequest) => void,
): Promise<void> {
  const start = performance.now();
  const seen: Seen = { route: 'other' };
  let refusal: Refusal | undefined;
  const outcome = await answer(incoming, seen).catch((error: unknown) => {
    refusal = refusalOf(error);
    return refused(refusal);
  });
  send(response, outcome);
  // A client that is still sending learns the answer only when its body is taken off its hands.
  incoming.resume();
  const seconds = (performance.now() - start) / 1000;
  onAnswered({ ...seen, status: outcome.status, seconds, ...(refusal ? { refusal } : {}) });
}

function refused({ status, reason, message }: Refusal): RunnerAnswer {
  const headers: Record<string, string> =
    status === 503 ? { 'retry-after': String(RETRY_AFTER_SECONDS) } : {};
  return { status, headers, body: { reason, message } };
}

function send(response: ServerResponse, { status, headers = {}, body }: RunnerAnswer): void {
  if (body === undefined) {
    response.writeHead(status, { ...headers, ...(status === 204 ? {} : { 'content-length': '0' }) }).end();
    return;
  }
  const isBytes = Buffer.isBuffer(body);
  const bytes = isBytes ? body : Buffer.from(JSON.stringify(body));
  const type = isBytes ? 'application/octet-stream' : 'application/json';
  response.writeHead(status, { ...headers, 'content-type': type, 'content-length': bytes.length }).end(bytes);
}
