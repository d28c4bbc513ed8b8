import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request that was made to the site. */
export interface Visit {
  method: string;
  /** Path and query. */
  path: string;
  headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** A real HTTP server that answers when a test says so. */
export interface HoldingSite extends AsyncDisposable {
  url: string;
  /** All requests so far, also those that were broken off. */
  visits: readonly Visit[];
  /** Requests that wait for their answer. */
  readonly held: number;
  /** Answers all that wait, and from now on at once. */
  release(): void;
  /** Lets requests wait again. */
  hold(): void;
}

/** @param body what it answers with, as JSON */
export async function startHoldingSite(body: unknown = { ok: true }): Promise<HoldingSite> {
  const visits: Visit[] = [];
  const waiting = new Set<ServerResponse>();
  let holding = true;
  const answer = (response: ServerResponse) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  const server = createServer((request, response) => {
    const { method = '', url = '', headers } = request;
    request.resume();
    visits.push({ method, path: url, headers });
    response.once('close', () => waiting.delete(response));
    if (holding) waiting.add(response);
    else answer(response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    visits,
    get held() {
      return waiting.size;
    },
    release() {
      holding = false;
      for (const response of waiting) answer(response);
    },
    hold: () => void (holding = true),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
