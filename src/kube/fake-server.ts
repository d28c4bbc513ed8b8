import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Connection } from './config.ts';

/** A request as the fake server saw it. */
export interface FakeRequest {
  method: string;
  url: URL;
  headers: IncomingMessage['headers'];
  body: string;
}

/** A fake API server for tests: real HTTP, and each test writes the answers that a real server gives only in trouble. */
export interface FakeServer extends AsyncDisposable {
  connection: Connection;
  /** All requests so far. */
  requests: FakeRequest[];
}

/** Starts a fake server on a free port of this machine. `answer` must end the response, or leave it open as a watch. */
export async function startFakeServer(
  answer: (request: FakeRequest, response: ServerResponse, count: number) => void | Promise<void>,
): Promise<FakeServer> {
  const requests: FakeRequest[] = [];
  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const request: FakeRequest = {
        method: incoming.method ?? '',
        url: new URL(incoming.url ?? '', 'http://fake'),
        headers: incoming.headers,
        body: Buffer.concat(chunks).toString(),
      };
      requests.push(request);
      void answer(request, response, requests.length);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    connection: { server: `http://127.0.0.1:${port}`, insecure: false },
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Ends a response with a JSON body. */
export function reply(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}

/** The body that the API server sends when it refuses. */
export function status(code: number, reason: string, message = reason): object {
  return { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message };
}

/** Writes watch events and leaves the response open. */
export function stream(response: ServerResponse, ...events: object[]): void {
  if (!response.headersSent) response.writeHead(200, { 'content-type': 'application/json' });
  response.write(events.map((event) => `${JSON.stringify(event)}\n`).join(''));
}
