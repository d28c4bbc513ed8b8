import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { suite, test } from 'node:test';
import { ApiError, ConnectionError, isConflict, isExpired } from '../../src/kube/errors.ts';
import { type FakeServer, reply, startFakeServer, stream } from '../../src/kube/fake-server.ts';
import { type ResourceClient, resourceClient } from '../../src/kube/resource.ts';
import { createTransport } from '../../src/kube/transport.ts';
import { apiCall } from './api-call.ts';
import { type CallFault, createFaults, type Faults, type StreamFault } from './faults.ts';
import { startFaultProxy } from './proxy.ts';
import { createRandom } from './random.ts';

interface Pod {
  metadata: { name: string; namespace: string; resourceVersion?: string };
}

const pods = { group: '', version: 'v1', kind: 'Pod', plural: 'pods', namespaced: true };
const pod: Pod = { metadata: { name: 'p', namespace: 'n' } };
const line = (resourceVersion: string) => ({
  type: 'ADDED',
  object: { metadata: { ...pod.metadata, resourceVersion } },
});

/** Runs `work` with a client of the API that is given to it through the proxy. */
async function through<T>(
  faults: Partial<Faults>,
  work: (client: ResourceClient<Pod>, server: FakeServer) => Promise<T>,
  answer: (response: ServerResponse) => void = (response) => reply(response, 201, pod),
): Promise<T> {
  await using server = await startFakeServer((_, response) => answer(response));
  const none = createFaults(createRandom('none'), () => {});
  none.active = false;
  const options = { target: server.connection, client: 'tested', onForgotten: () => {} };
  await using proxy = await startFaultProxy({ ...options, faults: { ...none, ...faults } });
  const transport = createTransport({ server: proxy.url, insecure: true }, { userAgent: 'operator' });
  try {
    return await work(resourceClient<Pod>(transport, pods), server);
  } finally {
    await transport.close();
  }
}

/** What becomes of a creation that meets the fault, and how often the server is asked. */
const creation = (fault: CallFault | undefined) =>
  through({ call: () => fault }, async (client, server) => {
    const outcome = await client.create(pod).catch((error: unknown) => error);
    return { outcome, asked: server.requests.length };
  });

suite('a call', () => {
  test('passes under the name of its replica', async () => {
    await through({}, async (client, server) => {
      assert.deepEqual(await client.create(pod), pod);
      assert.equal(server.requests[0]?.headers['user-agent'], 'tested');
    });
  });

  test('is refused without having been made', async () => {
    const { outcome, asked } = await creation({ kind: 'Refused', status: 409 });
    assert.ok(isConflict(outcome));
    assert.equal(asked, 0);
  });

  for (const fault of [{ kind: 'Lost', afterMs: 0 }, { kind: 'Cut' }] as const) {
    test(`is carried out, and its answer does not arrive: ${fault.kind}`, async () => {
      const { outcome, asked } = await creation(fault);
      assert.ok(outcome instanceof ConnectionError && outcome.sent);
      assert.equal(asked, 1);
    });
  }

  test('is carried out, and answered with an error', async () => {
    const { outcome, asked } = await creation({ kind: 'Broken' });
    assert.ok(outcome instanceof ApiError && outcome.status === 500);
    assert.equal(asked, 1);
  });

  test('breaks before it is forwarded', async () => {
    const { outcome, asked } = await creation({ kind: 'Reset' });
    assert.ok(outcome instanceof ConnectionError);
    assert.equal(asked, 0);
  });

  test('is slow, and still right', async () => {
    const { outcome, asked } = await creation({ kind: 'Slow', beforeMs: 5, afterMs: 5 });
    assert.deepEqual(outcome, pod);
    assert.equal(asked, 1);
  });

  for (const [kind, wanted] of [
    ['KillBefore', 0],
    ['KillAfter', 1],
  ] as const) {
    test(`kills the operator: ${kind}`, async () => {
      let killed = 0;
      const { asked } = await creation({ kind, kill: () => (killed += 1) });
      assert.deepEqual([killed, asked], [1, wanted]);
    });
  }
});

suite('a watch', () => {
  /** The versions that arrive, and how the watch ends. */
  const watched = async (fault: StreamFault | undefined, answer: (response: ServerResponse) => void) => {
    const faults = [fault];
    const draw = () => faults.shift();
    const versions: (string | undefined)[] = [];
    const end = await through(
      { stream: () => ({ draw, struck: () => {} }) },
      (client) =>
        client
          .watch({}, { timeoutSeconds: 60, idleTimeoutMs: 60_000 }, ({ object }) => {
            versions.push(object.metadata.resourceVersion);
          })
          .catch((error: unknown) => error),
      answer,
    );
    return { versions, end };
  };
  const open = (response: ServerResponse) => stream(response, line('1'), line('2'));
  const ending = (response: ServerResponse) => {
    open(response);
    response.end();
  };

  test('passes to its end', async () => {
    assert.deepEqual(await watched(undefined, ending), { versions: ['1', '2'], end: undefined });
  });

  test('is told that its version is too old', async () => {
    const { versions, end } = await watched({ kind: 'Expire', afterMs: 50 }, open);
    assert.deepEqual(versions, ['1', '2']);
    assert.ok(isExpired(end));
  });

  test('breaks between two events', async () => {
    const { end } = await watched({ kind: 'Drop', afterMs: 50 }, open);
    assert.ok(end instanceof ConnectionError);
  });

  test('breaks in the middle of an event, which is then not seen', async () => {
    const { versions, end } = await watched({ kind: 'CutLine', afterMs: 50 }, (response) => {
      open(response);
      setTimeout(() => stream(response, line('3')), 100);
    });
    assert.deepEqual(versions, ['1', '2']);
    assert.ok(end instanceof ConnectionError);
  });

  test('ends early without an error', async () => {
    assert.equal((await watched({ kind: 'End', afterMs: 50 }, open)).end, undefined);
  });

  test('is stalled, and then goes on with all that it was not told', async () => {
    assert.deepEqual(await watched({ kind: 'Stall', afterMs: 0, forMs: 100 }, ending), {
      versions: ['1', '2'],
      end: undefined,
    });
  });
});

test('the proxy can be cut off', async () => {
  await using server = await startFakeServer((_, response) => reply(response, 200, pod));
  const faults = createFaults(createRandom('none'), () => {});
  faults.active = false;
  const options = { target: server.connection, client: 'tested', faults, onForgotten: () => {} };
  await using proxy = await startFaultProxy(options);
  const get = () => fetch(`${proxy.url}/version`).then(({ status }) => status);
  assert.equal(await get(), 200);
  proxy.partitioned = true;
  await assert.rejects(get);
  proxy.partitioned = false;
  assert.equal(await get(), 200);
});

suite('the faults', () => {
  const create = apiCall('POST', '/api/v1/namespaces/n/pods');

  test('are the same for the same seed', () => {
    const draw = () => {
      const faults = createFaults(createRandom('seed'), () => {});
      return Array.from({ length: 200 }, () => faults.call(create));
    };
    assert.deepEqual(draw(), draw());
    assert.ok(draw().some((fault) => fault !== undefined));
  });

  test('stop when they are told to', () => {
    const faults = createFaults(createRandom('seed'), () => {});
    faults.active = false;
    assert.deepEqual(Array.from({ length: 200 }, () => faults.call(create)).filter(Boolean), []);
  });

  test('never hit a lease twice in a row', () => {
    const faults = createFaults(createRandom('seed'), () => {});
    const lease = apiCall('PATCH', '/apis/coordination.k8s.io/v1/namespaces/n/leases/l');
    const hits = Array.from({ length: 2000 }, () => faults.call(lease) !== undefined);
    assert.ok(hits.includes(true));
    assert.ok(!hits.some((hit, index) => hit && hits[index + 1]));
  });

  test('kill at the write that was chosen, and count neither reads nor leases', () => {
    const faults = createFaults(createRandom('seed'), () => {});
    faults.active = false;
    faults.killAtWrite(2, 'KillBefore', () => {});
    const calls = [
      'GET /api/v1/namespaces/n/pods',
      'PATCH /apis/coordination.k8s.io/v1/namespaces/n/leases/l',
    ];
    const writes = ['POST /api/v1/namespaces/n/pods', 'PATCH /apis/batch/v1/namespaces/n/jobs/j/status'];
    const met = [...calls, ...writes, ...writes].map((text) => {
      const [method = '', target = ''] = text.split(' ');
      return faults.call(apiCall(method, target))?.kind;
    });
    assert.deepEqual(met, [undefined, undefined, undefined, 'KillBefore', undefined, undefined]);
  });
});

test('a call is told by its path', () => {
  const told = (method: string, target: string) => Object.values(apiCall(method, target));
  assert.deepEqual(told('GET', '/version'), ['list', '', '', false]);
  assert.deepEqual(told('GET', '/api/v1/namespaces/n/pods/p'), ['get', 'pods', 'p', false]);
  assert.deepEqual(told('PATCH', '/apis/batch/v1/namespaces/n/jobs/j/status'), [
    'patch',
    'jobs/status',
    'j',
    false,
  ]);
  assert.deepEqual(told('GET', '/apis/batch/v1/jobs?watch=true'), ['watch', 'jobs', '', false]);
  const one = '/api/v1/namespaces/n/pods?watch=true&fieldSelector=metadata.name%3Dp';
  assert.deepEqual(told('GET', one), ['watch', 'pods', 'p', true]);
});
