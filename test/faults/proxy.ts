import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Dispatcher, Pool } from 'undici';
import type { Connection } from '../../src/kube/config.ts';
import { type ApiCall, apiCall } from './api-call.ts';
import type { CallFault, Faults } from './faults.ts';
import { type Refusal, statusObject } from './refusal.ts';
import { relayWatch } from './watch-relay.ts';

/** Stands between one operator and the API server, understands what passes, and gets in its way. */
export interface FaultProxy extends AsyncDisposable {
  /** Where the operator connects to, without TLS and without credentials: the proxy has them. */
  url: string;
  /** While true, all connections break. */
  partitioned: boolean;
}

export interface ProxyOptions {
  /** The API server, and who the operator is to it. */
  target: Connection;
  /** User agent of all that is forwarded, so that the audit log tells the replicas apart. */
  client: string;
  faults: Faults;
  /** Told when the API server itself says that it has forgotten what is asked for. */
  onForgotten: (call: ApiCall) => void;
}

interface Answer {
  status: number;
  headers: Record<string, string | string[]>;
  body: Buffer;
}

/** Of one connection, and not of the message. */
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'transfer-encoding', 'content-length', 'host']);

/** Starts a proxy on a free port of this machine. */
export async function startFaultProxy(options: ProxyOptions): Promise<FaultProxy> {
  const { client, faults, onForgotten } = options;
  const { server, ca, cert, key } = options.target;
  const connect = { ...(ca ? { ca } : {}), ...(cert && key ? { cert, key } : {}) };
  const pool = new Pool(server, { allowH2: false, headersTimeout: 0, bodyTimeout: 0, connect });

  const token = await options.target.token?.read();
  const outgoing = (request: IncomingMessage, body: Buffer): Dispatcher.RequestOptions => ({
    method: request.method as Dispatcher.HttpMethod,
    path: request.url ?? '/',
    headers: {
      ...withoutHops(request.headers),
      'user-agent': client,
      ...(token ? { authorization: `Bearer ${token}` } : {}),
    },
    ...(body.length > 0 ? { body } : {}),
  });

  /** A request that has been let through is carried out, whatever becomes of the one who sent it. */
  async function forward(request: IncomingMessage, body: Buffer): Promise<Answer> {
    const incoming = await pool.request(outgoing(request, body));
    return {
      status: incoming.statusCode,
      headers: withoutHops(incoming.headers),
      body: Buffer.from(await incoming.body.arrayBuffer()),
    };
  }

  async function watch(request: IncomingMessage, response: ServerResponse, call: ApiCall): Promise<void> {
    const fault = faults.opening(call);
    if (fault) return fault.kind === 'Reset' ? abandon(response) : refuse(response, fault);
    const stop = new AbortController();
    response.once('close', () => stop.abort());
    const { statusCode, headers, body } = await pool.request({
      ...outgoing(request, Buffer.alloc(0)),
      signal: stop.signal,
    });
    response.writeHead(statusCode, withoutHops(headers));
    response.flushHeaders();
    body.on('data', (chunk: Buffer) => {
      if (chunk.includes('"reason":"Expired"')) onForgotten(call);
    });
    relayWatch(body, response, faults.stream(call));
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = Buffer.concat(await request.toArray());
    const call = apiCall(request.method ?? '', request.url ?? '/');
    if (call.verb === 'watch') return watch(request, response, call);
    await answerCall(response, faults.call(call), () => forward(request, body));
  }

  const listener = createServer((request, response) => {
    if (proxy.partitioned) return abandon(response);
    handle(request, response).catch(() => abandon(response));
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');

  let partitioned = false;
  const proxy: FaultProxy = {
    url: `http://127.0.0.1:${(listener.address() as AddressInfo).port}`,
    get partitioned() {
      return partitioned;
    },
    set partitioned(value) {
      partitioned = value;
      if (value) listener.closeAllConnections();
    },
    async [Symbol.asyncDispose]() {
      listener.closeAllConnections();
      listener.close();
      await pool.destroy();
    },
  };
  return proxy;
}

async function answerCall(
  response: ServerResponse,
  fault: CallFault | undefined,
  forward: () => Promise<Answer>,
): Promise<void> {
  switch (fault?.kind) {
    case undefined:
      return answer(response, await forward());
    case 'Refused':
      return refuse(response, fault);
    case 'Reset':
      return abandon(response);
    case 'Lost':
      await forward();
      await sleep(fault.afterMs);
      return abandon(response);
    case 'Cut':
      return cut(response, await forward());
    case 'Broken':
      await forward();
      return refuse(response, { kind: 'Refused', status: 500 });
    case 'Slow':
      await sleep(fault.beforeMs);
      return answerLater(response, await forward(), fault.afterMs);
    case 'KillBefore':
      fault.kill();
      return abandon(response);
    case 'KillAfter':
      await forward();
      fault.kill();
      return abandon(response);
    default:
      fault satisfies never;
  }
}

async function answerLater(response: ServerResponse, whole: Answer, afterMs: number): Promise<void> {
  await sleep(afterMs);
  answer(response, whole);
}

function answer(response: ServerResponse, { status, headers, body }: Answer): void {
  response.writeHead(status, { ...headers, 'content-length': body.length });
  response.end(body);
}

/** Half of an answer, and then nothing: the receiver sees that the connection broke. */
function cut(response: ServerResponse, { status, headers, body }: Answer): void {
  response.writeHead(status, { ...headers, 'content-length': body.length });
  response.write(body.subarray(0, body.length / 2), () => abandon(response));
}

function abandon(response: ServerResponse): void {
  response.destroy();
}

function refuse(response: ServerResponse, { status }: Refusal): void {
  const body = Buffer.from(JSON.stringify(statusObject(status)));
  const headers = { 'content-type': 'application/json', ...(status === 429 ? { 'retry-after': '1' } : {}) };
  answer(response, { status, headers, body });
}

function withoutHops(
  headers: Readonly<Record<string, string | string[] | undefined>>,
): Record<string, string | string[]> {
  const kept = Object.entries(headers).filter(
    (entry): entry is [string, string | string[]] => entry[1] !== undefined && !HOP_BY_HOP.has(entry[0]),
  );
  return Object.fromEntries(kept);
}
