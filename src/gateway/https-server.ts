import type { RequestListener } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { ClientAuthorities } from './client-authorities.ts';
import type { Serving } from './serving.ts';

export interface HttpsServerOptions {
  /** 0: any free one. */
  port: number;
  serving: Pick<Serving, 'current' | 'subscribe'>;
  /** Whose certificates callers have to show. Default: they need none. */
  clients?: Pick<ClientAuthorities, 'current' | 'subscribe'> | undefined;
  /** A request has to arrive within this time. */
  requestTimeoutMs: number;
}

/** A server that goes on with the next certificate when there is one. */
export interface HttpsServer {
  readonly port: number;
  /** From now on answers as before, and asks whoever called to connect anew, so that they find another replica. */
  drain(): void;
  /** Lets the requests that are being answered come to their end, for a short time. */
  close(): Promise<void>;
}

/** Longer than runners pause between two requests, and than the API server keeps a connection that it does not use. */
const KEEP_ALIVE_MS = 120_000;
const CLOSE_GRACE_MS = 5_000;
/** How often is looked for requests that take too long. Node's own default lets each take half a minute more. */
const CHECK_MS = 1000;

export async function startHttpsServer(
  { port, serving, clients, requestTimeoutMs }: HttpsServerOptions,
  listener: RequestListener,
): Promise<HttpsServer> {
  let isDraining = false;
  const tlsOf = () => {
    const { cert, key } = serving.current();
    return { cert, key, ...(clients ? { ca: clients.current() } : {}) };
  };
  const server = createServer(
    {
      ...tlsOf(),
      requestCert: clients !== undefined,
      rejectUnauthorized: clients !== undefined,
      requestTimeout: requestTimeoutMs,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: CHECK_MS,
      minVersion: 'TLSv1.2',
    },
    (incoming, response) => {
      if (isDraining) response.setHeader('connection', 'close');
      listener(incoming, response);
    },
  );
  for (const one of [serving, clients]) one?.subscribe(() => server.setSecureContext(tlsOf()));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    drain: () => void (isDraining = true),
    close: () => close(server),
  };
}

async function close(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS);
  await closed;
  clearTimeout(timer);
}
