import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { type FakeRequest, reply, startFakeServer, status } from './kube/fake-server.ts';

/** Gives the operator its lease, and no answer to whatever else it asks. */
function answerLeases({ method, url, body }: FakeRequest, response: ServerResponse): void {
  if (url.pathname === '/version') return reply(response, 200, { major: '1', minor: '34' });
  if (!url.pathname.includes('/leases')) return;
  if (method === 'GET') return reply(response, 404, status(404, 'NotFound'));
  const lease: unknown = JSON.parse(body);
  reply(response, method === 'POST' ? 201 : 200, lease);
}

test('asked to stop before it has read the cluster, the operator ends without an error', async () => {
  const holdsLease = Promise.withResolvers<void>();
  await using server = await startFakeServer((request, response) => {
    answerLeases(request, response);
    // It renews what it holds.
    if (request.method === 'PATCH') holdsLease.resolve();
  });
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(path.join(tmpdir(), 'signalbox-main-'));
  stack.defer(() => rm(folder, { recursive: true }));
  const kubeconfig = path.join(folder, 'kubeconfig');
  await writeFile(kubeconfig, JSON.stringify(kubeconfigOf(server.connection.server)));

  const program = path.join(import.meta.dirname, 'main.ts');
  const operator = spawn(process.execPath, [program, '--http-port=0', '--identity=stopped'], {
    env: { ...process.env, KUBECONFIG: kubeconfig },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  stack.defer(() => void operator.kill('SIGKILL'));
  let printed = '';
  operator.stderr.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  const ended = once(operator, 'close');

  await Promise.race([holdsLease.promise, ended]);
  operator.kill('SIGTERM');
  assert.deepEqual(await ended, [0, null], printed);
  assert.equal(printed, '');
});

const kubeconfigOf = (server: string) => ({
  apiVersion: 'v1',
  kind: 'Config',
  'current-context': 'fake',
  clusters: [{ name: 'fake', cluster: { server, 'insecure-skip-tls-verify': true } }],
  users: [{ name: 'fake', user: {} }],
  contexts: [{ name: 'fake', context: { cluster: 'fake', user: 'fake' } }],
});
