import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import type { TestContext } from 'node:test';
import { type FakeRequest, reply, startFakeServer, status } from '../kube/fake-server.ts';
import { createTransport } from '../kube/transport.ts';
import { type Cluster, createCluster } from './cluster.ts';

/** Answers a request, or leaves it to the fake cluster, which refuses it as Forbidden. */
export type Answer = (request: FakeRequest, response: ServerResponse) => void;

/** A fake cluster whose API server gives the answers of a test, and whose stores hold what the test puts there. */
export async function fakeCluster(
  t: TestContext,
  answer: Answer,
): Promise<{ cluster: Cluster; requests: FakeRequest[]; calls: () => string[] }> {
  const server = await startFakeServer((request, response) => {
    answer(request, response);
    if (!response.writableEnded) reply(response, 403, status(403, 'Forbidden'));
  });
  const transport = createTransport(server.connection, { userAgent: 'test' });
  t.after(async () => {
    await transport.close();
    await server[Symbol.asyncDispose]();
  });
  const cluster = createCluster({ transport, now: () => 0, onError: (error) => assert.ifError(error) });
  // `GET jobs/j` for each request.
  const calls = () =>
    server.requests.map(({ method, url }) => {
      const parts = url.pathname.split('/');
      return `${method} ${parts.slice(parts.indexOf('namespaces') + 2).join('/')}`;
    });
  return { cluster, requests: server.requests, calls };
}
