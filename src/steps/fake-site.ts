import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';

/** A request as a fake site saw it. */
export interface SeenRequest {
  method: string;
  /** Path and query; of a request to a proxy the whole address. */
  target: string;
  headers: IncomingHttpHeaders;
  body: string;
}

/** A fake of somebody whom steps call: real HTTP on a port of this machine, with answers that the test writes. */
export interface FakeSite extends AsyncDisposable {
  port: number;
  /** `http://127.0.0.1:<port>`, or the same with https. */
  url: string;
  requests: SeenRequest[];
  /** How many connections were made to it. */
  connections: () => number;
}

export type Answer = (request: SeenRequest, response: ServerResponse, incoming: IncomingMessage) => void;

/** Starts a fake site on all addresses of this machine. */
export async function startFakeSite(
  answer: Answer = (_request, response) => response.end('ok'),
  tls?: { key: string; cert: string },
): Promise<FakeSite> {
  const requests: SeenRequest[] = [];
  const sockets: Socket[] = [];
  const onRequest = async (incoming: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const { method = '', url: target = '', headers } = incoming;
    const request = { method, target, headers, body: Buffer.concat(chunks).toString() };
    requests.push(request);
    answer(request, response, incoming);
  };
  const listener = (incoming: IncomingMessage, response: ServerResponse) =>
    void onRequest(incoming, response);
  const server = tls ? createTlsServer(tls, listener) : createServer(listener);
  server.on('connection', (socket) => sockets.push(socket));
  server.listen(0, '0.0.0.0');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${port}`,
    requests,
    connections: () => sockets.length,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
