import type { RequestListener } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Serving } from './serving.ts';

export interface HttpsServerOptions {
  /** 0: any free one. */
  port: number;
  serving: Pick<Serving, 'current' | 'subscribe'>;
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

export async function startHttpsServer(
  { port, serving, requestTimeoutMs }: HttpsServerOptions,
  listener: RequestListener,
): Promise<HttpsServer> {
  let isDraining = false;
  const server = createServer(
    {
      ...tlsOf(serving),
      requestTimeout: requestTimeoutMs,
      keepAliveTimeout: KEEP_ALIVE_MS,
      minVersion: 'TLSv1.2',
    },
    (incoming, response) => {
      if (isDraining) response.setHeader('connection', 'close');
      listener(incoming, response);
    },
  );
  serving.subscribe(() => server.setSecureContext(tlsOf(serving)));
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

function tlsOf(serving: HttpsServerOptions['serving']): { cert: string; key: string } {
  const { cert, key } = serving.current();
  return { cert, key };
}

async function close(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS);
  await closed;
  clearTimeout(timer);
}
