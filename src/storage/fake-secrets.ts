import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { TestContext } from 'node:test';
import type { Secret } from 'kubernetes-types/core/v1.d.ts';
import { type FakeRequest, reply, startFakeServer, status } from '../kube/fake-server.ts';
import { createTransport, type Transport } from '../kube/transport.ts';

/** A fake API server that keeps Secrets as the real one does, over real HTTP. */
export interface FakeSecrets {
  transport: Transport;
  /** All Secrets, by name; tests change what is in it. */
  secrets: Map<string, Secret>;
  /** `GET name`, `POST name`, ... of each request. */
  calls: string[];
  /** Called before a request is answered; may answer it, and must end the response then. */
  before: (request: FakeRequest, response: ServerResponse) => void;
}

/** A fake of one namespace, until the test is over. */
export async function fakeSecrets(t: TestContext): Promise<FakeSecrets> {
  const secrets = new Map<string, Secret>();
  let revision = 0;

  function put(secret: Secret): Secret {
    revision += 1;
    const metadata = { ...secret.metadata, resourceVersion: String(revision) };
    const kept: Secret = { ...secret, metadata };
    secrets.set(metadata.name ?? '', kept);
    return kept;
  }

  function post(response: ServerResponse, body: string): void {
    const secret = JSON.parse(body) as Secret;
    if (secrets.has(secret.metadata?.name ?? '')) return reply(response, 409, status(409, 'AlreadyExists'));
    const created = { uid: randomUUID(), creationTimestamp: new Date().toISOString() };
    reply(response, 201, put({ ...secret, metadata: { ...secret.metadata, ...created } }));
  }

  function patch(response: ServerResponse, found: Secret, body: string): void {
    const { metadata, data } = JSON.parse(body) as Secret;
    if (metadata?.resourceVersion !== found.metadata?.resourceVersion) {
      return reply(response, 409, status(409, 'Conflict'));
    }
    reply(response, 200, put({ ...found, data: { ...found.data, ...data } }));
  }

  function list(response: ServerResponse, { url, headers }: FakeRequest): void {
    const selector = url.searchParams.get('labelSelector') ?? '';
    const wanted = selector.split(',').map((pair) => pair.split('='));
    const items = [...secrets.values()].filter(({ metadata }) =>
      wanted.every(([name = '', value]) => metadata?.labels?.[name] === value),
    );
    // An empty list of metadata alone is null, as the real server has it.
    const empty = headers.accept?.includes('PartialObjectMetadataList') ? null : [];
    const metadata = { resourceVersion: String(revision) };
    reply(response, 200, { items: items.length === 0 ? empty : items, metadata });
  }

  const fake: Omit<FakeSecrets, 'transport'> = { secrets, calls: [], before: () => {} };
  const server = await startFakeServer((request, response) => {
    const { method, url, body } = request;
    const name = url.pathname.split('/secrets/')[1] ?? '';
    const posted = method === 'POST' ? (JSON.parse(body) as Secret).metadata?.name : undefined;
    fake.calls.push(`${method} ${posted ?? name}`);
    fake.before(request, response);
    if (response.writableEnded || response.destroyed) return;
    if (method === 'POST') return post(response, body);
    if (name === '') return list(response, request);
    const found = secrets.get(name);
    if (!found) return reply(response, 404, status(404, 'NotFound'));
    if (method === 'GET') return reply(response, 200, found);
    if (method === 'PATCH') return patch(response, found, body);
    secrets.delete(name);
    reply(response, 200, {});
  });
  const transport = createTransport(server.connection, { userAgent: 'test' });
  t.after(async () => {
    await transport.close();
    await server[Symbol.asyncDispose]();
  });
  return Object.assign(fake, { transport });
}
