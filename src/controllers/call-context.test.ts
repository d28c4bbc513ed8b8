import assert from 'node:assert/strict';
import { suite, test, type TestContext } from 'node:test';
import { reply, status } from '../kube/fake-server.ts';
import type { Egress } from '../steps/egress.ts';
import { CallError } from '../steps/step-type.ts';
import { createCallContexts } from './call-context.ts';
import { type Answer, fakeCluster } from './fake-cluster.ts';
import { revisionOf, runOf, running, startOf } from './fake-run.ts';

const request = {
  method: 'GET',
  url: new URL('http://service.example.com'),
  headers: {},
  signal: new AbortController().signal,
  connectTimeoutMs: 1,
  maxBytes: 1,
};

interface Given {
  isLeader?: boolean;
  run?: ReturnType<typeof runOf>;
  spec?: Parameters<typeof revisionOf>[0];
}

async function contextOf(
  t: TestContext,
  answer: Answer,
  { isLeader = true, run = runOf(), spec = {} }: Given = {},
) {
  const { cluster, calls } = await fakeCluster(t, answer);
  const egress: Egress = {
    request: async () => ({ status: 200, headers: {}, body: Buffer.from('') }),
    close: async () => {},
  };
  const make = createCallContexts({ cluster, egress, isLeader: () => isLeader, now: () => 7 });
  const start = startOf({ name: 's', script: { bash: 'true' } }, 'r-s-1');
  return { context: make(run, start, revisionOf(spec), request.signal), calls };
}

const secret =
  (labels: Record<string, string>, data: Record<string, string> = {}): Answer =>
  (_, response) =>
    reply(response, 200, { metadata: { namespace: 'ns', name: 'token', labels }, data });
const allowed = { 'signalbox.dev/use': 'true' };

/** The reason and message of what is refused. */
async function refusal(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => assert.fail('nothing was refused'),
    (error: unknown) => error,
  );
  assert.ok(error instanceof CallError, String(error));
  return `${error.reason}: ${error.message}`;
}

suite('a Secret', () => {
  const token = { name: 'token', key: 'password' };

  test('is read from the namespace of the run when it is asked for', async (t) => {
    const password = Buffer.from('grün').toString('base64');
    const { context, calls } = await contextOf(t, secret(allowed, { password }));
    assert.deepEqual(calls(), []);
    assert.equal(await context.secret(token), 'grün');
    assert.deepEqual(calls(), ['GET secrets/token']);
    await context.secret(token);
    assert.equal(calls().length, 2, 'it is kept nowhere');
  });

  test('without the label is refused, and the refusal says how to allow it', async (t) => {
    for (const labels of [{}, { 'signalbox.dev/use': 'false' }]) {
      const { context } = await contextOf(t, secret(labels, { password: 'eA==' }));
      assert.match(
        await refusal(context.secret(token)),
        /^SecretNotAllowed: .*kubectl label secret token signalbox\.dev\/use=true$/,
      );
    }
  });

  test('that is not there, or has no such key, is named', async (t) => {
    const missing = await contextOf(t, (_, response) => reply(response, 404, status(404, 'NotFound')));
    assert.match(await refusal(missing.context.secret(token)), /^SecretNotFound: .* token in namespace ns/);
    const other = await contextOf(t, secret(allowed, { user: 'eA==' }));
    assert.match(
      await refusal(other.context.secret(token)),
      /^SecretKeyNotFound: Secret token has no key password\. Its keys: user\.$/,
    );
    const inherited = await contextOf(t, secret(allowed));
    const key = { name: 'token', key: 'constructor' };
    assert.match(await refusal(inherited.context.secret(key)), /^SecretKeyNotFound/);
  });

  test('that the operator may not read is named', async (t) => {
    const { context } = await contextOf(t, () => {});
    assert.match(await refusal(context.secret(token)), /^SecretUnreadable: .*Forbidden/);
  });
});

test('a ConfigMap needs no label', async (t) => {
  const { context, calls } = await contextOf(t, secret({}, { 'ca.crt': 'PEM' }));
  assert.equal(await context.configMap({ name: 'token', key: 'ca.crt' }), 'PEM');
  assert.deepEqual(calls(), ['GET configmaps/token']);
});

test('a request is not sent once the lease is lost', async (t) => {
  const leader = await contextOf(t, () => {});
  assert.equal((await leader.context.egress.request(request)).status, 200);
  const { context } = await contextOf(t, () => {}, { isLeader: false });
  assert.match(await refusal(context.egress.request(request)), /^NotLeader/);
});

test('who started a run is whom the API server knew, whatever the run says', async (t) => {
  const spec = { workflowRef: { name: 'w' }, trigger: { type: 'Manual' as const, by: 'somebody else' } };
  for (const [status, by] of [
    [{ startedBy: 'ada' }, 'ada'],
    [{}, 'somebody else'],
  ] as const) {
    const run = runOf({ phase: 'Running', ...status }, { spec });
    const { context } = await contextOf(t, () => {}, { run });
    assert.deepEqual(context.run.trigger, { type: 'Manual', by });
  }
});

test('a call knows its run as it stands', async (t) => {
  const steps = [running('s', 'script')];
  const startedAt = '2030-01-01T00:00:00.000Z';
  const run = runOf({ phase: 'Running', startedAt, steps });
  const { context } = await contextOf(t, () => {}, { run, spec: { environment: 'production' } });
  assert.equal(context.idempotencyKey, 'r-s-1');
  assert.deepEqual(context.run, {
    namespace: 'ns',
    name: 'r',
    workflow: 'w',
    environment: 'production',
    outcome: 'Succeeded',
    ended: false,
    startedAt: Date.parse(startedAt),
    trigger: { type: 'Manual' },
    steps,
  });
});
