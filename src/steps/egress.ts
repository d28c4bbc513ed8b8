import dns, { type LookupAddress, type LookupOptions } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { type Dispatcher, EnvHttpProxyAgent } from 'undici';
import { type AddressPolicy, type AddressRules, createAddressRules } from './addresses.ts';
import { decode } from './content-encoding.ts';
import { callErrorOf } from './egress-errors.ts';
import { CallError } from './step-type.ts';

/** One request of a call. */
export interface OutgoingRequest {
  method: string;
  url: URL;
  headers: Record<string, string>;
  body?: string;
  signal: AbortSignal;
  /** How long the connection may take, with TLS, in milliseconds. */
  connectTimeoutMs: number;
  /** Certificates to trust instead of the public ones, in PEM. */
  ca?: string;
  /** Most bytes of the body of the response. */
  maxBytes: number;
}

/** What came back. */
export interface IncomingResponse {
  status: number;
  /** Names in lower case; several of a name are joined with a comma. */
  headers: Record<string, string>;
  body: Buffer;
}

/** The way out of the cluster for the calls of steps. */
export interface Egress {
  /**
   * Makes one request, and follows no redirect.
   * @throws {CallError} AddressRefused, NameNotResolved, ConnectFailed, ConnectTimeout, TlsFailed, ConnectionLost,
   * InvalidResponse, ResponseTooLarge, InvalidProxy
   * @throws the reason of the signal when it is aborted
   */
  request(request: OutgoingRequest): Promise<IncomingResponse>;
  /** Breaks off what is under way. */
  close(): Promise<void>;
}

/** Finds the addresses of a name, as `dns.lookup` does when asked for all of them. */
export type Lookup = (
  host: string,
  options: LookupOptions & { all: true },
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/**
 * The way out past what `policy` refuses, through the proxy that HTTP_PROXY, HTTPS_PROXY and NO_PROXY name, if any.
 *
 * Each request has connections of its own, so that what was allowed for one is never used for another, none is found
 * to have been closed meanwhile, and the address is judged by what its name means now.
 *
 * @throws {RangeError} when the policy has an entry that is no address, network or host name
 */
export function createEgress(policy: AddressPolicy, lookup: Lookup = dns.lookup): Egress {
  const rules = createAddressRules(policy);
  const guarded = guard(lookup, rules);
  const open = new Set<AbortController>();

  /** Runs with a signal of its own: listeners that sockets leave on a signal that lives longer would pile up. */
  async function whileOpen<T>(outer: AbortSignal, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const stop = new AbortController();
    const onAbort = () => stop.abort(outer.reason);
    outer.addEventListener('abort', onAbort);
    if (outer.aborted) onAbort();
    open.add(stop);
    try {
      return await run(stop.signal);
    } finally {
      open.delete(stop);
      outer.removeEventListener('abort', onAbort);
    }
  }

  async function send(request: OutgoingRequest): Promise<IncomingResponse> {
    const agent = agentFor(request, guarded);
    try {
      return await exchange(agent, request);
    } catch (error) {
      throw request.signal.aborted ? request.signal.reason : callErrorOf(error, request.url);
    } finally {
      await agent.destroy();
    }
  }

  return {
    async request(request) {
      refuseAddress(rules, request.url);
      return whileOpen(request.signal, (signal) => send({ ...request, signal }));
    },

    async close() {
      for (const stop of open) stop.abort(new CallError('Stopped', 'The operator was stopped.'));
    },
  };
}

/** URLs have every spelling of an address, such as `0x7f.1`, in its usual form. No name is looked up for one. */
function refuseAddress(rules: AddressRules, { hostname }: URL): void {
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  const kind = isIP(host) === 0 ? undefined : rules.refusal(host, host);
  if (kind !== undefined) throw refused(`${host} is ${kind}`);
}

/**
 * Looks names up for the connection that is being made, which is to what this gives and nothing else. A name with one
 * address that is refused is refused altogether: an honest one has none.
 */
function guard(lookup: Lookup, rules: AddressRules): LookupFunction {
  return (host, options, callback) =>
    lookup(host, { ...options, all: true }, (error, found) => {
      const [first] = found ?? [];
      if (error || !first) {
        callback(error ?? notFound(host), '', 0);
        return;
      }
      const kinds = found.map(({ address }) => ({ address, kind: rules.refusal(host, address) }));
      const bad = kinds.find(({ kind }) => kind !== undefined);
      if (bad) callback(refused(`${host} resolves to ${bad.address}, ${bad.kind}`), '', 0);
      else if (options.all) callback(null, found);
      else callback(null, first.address, first.family);
    });
}

const notFound = (host: string) => Object.assign(new Error(`no address of ${host}`), { code: 'ENOTFOUND' });

const refused = (what: string) =>
  new CallError(
    'AddressRefused',
    `${what}, to which steps may not connect. An administrator can allow it with --http-allow (http.allow in the chart).`,
  );

/** The target is checked on the way to it; a proxy is where the administrator says, and checks what it resolves. */
function agentFor({ connectTimeoutMs, ca, signal }: OutgoingRequest, lookup: LookupFunction): Dispatcher {
  // undici looks at the signal of a request only once there is a connection; the socket itself heeds it before.
  const socket = { signal, timeout: connectTimeoutMs };
  const target = { ...socket, allowH2: false, ...(ca === undefined ? {} : { ca }) };
  try {
    return new EnvHttpProxyAgent({
      allowH2: false,
      connect: { ...target, lookup },
      proxyTls: socket,
      requestTls: target,
    });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new CallError('InvalidProxy', `HTTP_PROXY or HTTPS_PROXY of the operator can not be used: ${why}.`);
  }
}

async function exchange(agent: Dispatcher, request: OutgoingRequest): Promise<IncomingResponse> {
  const { method, url, headers, body, signal, maxBytes } = request;
  const response = await agent.request({
    origin: url.origin,
    path: `${url.pathname}${url.search}`,
    method,
    headers,
    body: body ?? null,
    signal,
    // The signal alone ends a request: steps have a timeout of their own.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response.body) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > maxBytes) throw tooLarge(maxBytes);
  }
  const entries = Object.entries(response.headers).map(([name, value = '']) => [
    name,
    [value].flat().join(', '),
  ]);
  const joined: Record<string, string> = Object.fromEntries(entries);
  const decoded = await decode(Buffer.concat(chunks), joined['content-encoding'], maxBytes);
  if (decoded === undefined) throw tooLarge(maxBytes);
  return { status: response.statusCode, headers: joined, body: decoded };
}

const tooLarge = (maxBytes: number) =>
  new CallError(
    'ResponseTooLarge',
    `The response is longer than ${maxBytes} bytes: ask for less, or fetch it in a script step.`,
  );
