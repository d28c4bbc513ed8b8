import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';

/** Where npm asks for advisories about many packages at once. */
const BULK = '/-/npm/v1/security/advisories/bulk';

/** A fake of the registry of npm that knows of advisories and of no package. Disposing of it stops it. */
export interface FakeNpmRegistry extends AsyncDisposable {
  url: string;
  /** The versions that it was asked about, by package, of each request. */
  asked: Record<string, string[]>[];
}

/** An advisory as the registry gives it. */
export interface FakeAdvisory {
  id: number;
  url: string;
  title: string;
  severity: string;
  vulnerable_versions: string;
}

/** @param answer advisories by package, or the status that it answers to such questions */
export async function startFakeNpmRegistry(
  answer: Record<string, FakeAdvisory[]> | number,
): Promise<FakeNpmRegistry> {
  const asked: FakeNpmRegistry['asked'] = [];
  async function reply(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await buffer(request);
    if (request.url !== BULK || request.method !== 'POST') return void response.writeHead(404).end('{}');
    if (typeof answer === 'number') return void response.writeHead(answer).end();
    const text = request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body;
    asked.push(JSON.parse(text.toString()) as Record<string, string[]>);
    return void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  }
  const server = createServer((request, response) => void reply(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    asked,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
