import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Metrics } from './metrics.ts';

export interface Gateway {
  /** Port that it listens on. */
  readonly port: number;
  close(): Promise<void>;
}

export interface GatewayOptions {
  /** 0: any free one. */
  port: number;
  metrics: Metrics;
  /** Why the operator can not take work yet, or any more; undefined when it can. */
  notReady: () => string | undefined;
}

/** The requests that there are have no body: who takes longer wants to hold the connection. */
const REQUEST_TIMEOUT_MS = 5000;
const CHECK_MS = 1000;

/** Serves `/metrics`, `/livez` (the process answers) and `/readyz` (it can take work). */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const limits = { requestTimeout: REQUEST_TIMEOUT_MS, connectionsCheckingInterval: CHECK_MS };
  const server = createServer(limits, (request, response) => {
    answer(options, request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, resolve);
  });
  return { port: (server.address() as AddressInfo).port, close: () => close(server) };
}

async function answer(
  options: GatewayOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  switch (request.url) {
    case '/livez':
      return send(response, 200, 'ok\n');
    case '/readyz':
      return sendReadiness(response, options.notReady());
    case '/metrics':
      return send(response, 200, await options.metrics.text(), options.metrics.contentType);
    default:
      return send(response, 404, 'not found\n');
  }
}

function sendReadiness(response: ServerResponse, trouble: string | undefined): void {
  if (trouble === undefined) send(response, 200, 'ok\n');
  else send(response, 503, `${trouble}\n`);
}

function send(
  response: ServerResponse,
  status: number,
  body: string,
  type = 'text/plain; charset=utf-8',
): void {
  response.writeHead(status, { 'content-type': type }).end(body);
}

function close(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}
