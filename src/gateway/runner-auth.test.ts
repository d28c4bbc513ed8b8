import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { RUNNER_AUDIENCE } from '../api/runner.ts';
import { reply, startFakeServer } from '../kube/fake-server.ts';
import { createTransport } from '../kube/transport.ts';
import { fakeKeys } from '../storage/fake-keys.ts';
import { grantOf } from '../storage/fake-storage.ts';
import { createGrants } from '../storage/grants.ts';
import { Refusal, refusalOf } from './refusal.ts';
import { type CallingPod, createAuthenticator } from './runner-auth.ts';

const grant = grantOf();
const bound = {
  'authentication.kubernetes.io/pod-name': [grant.pod],
  'authentication.kubernetes.io/pod-uid': ['pod-uid-1'],
};
const good = {
  authenticated: true,
  audiences: [RUNNER_AUDIENCE],
  user: { username: `system:serviceaccount:${grant.namespace}:default`, extra: bound },
};

/** An authenticator whose API server answers as `world` says. */
async function authenticator(t: TestContext) {
  const pod: CallingPod = { over: false, isOf: (run) => run === grant.run.uid };
  const world = { status: good as object, pod: pod as CallingPod | undefined, now: 0, httpStatus: 201 };
  const server = await startFakeServer((_, response) =>
    reply(response, world.httpStatus, { status: world.status }),
  );
  const transport = createTransport(server.connection, { userAgent: 'test', random: () => 0 });
  t.after(async () => {
    await transport.close();
    await server[Symbol.asyncDispose]();
  });
  const grants = createGrants(fakeKeys('a'));
  const asked: string[] = [];
  const authenticate = createAuthenticator({
    transport,
    grants,
    findPod: async ({ namespace, name }, uid) => {
      asked.push(`${namespace}/${name} ${uid}`);
      return world.pod;
    },
    now: () => world.now,
  });
  const call = (headers: object = {}) =>
    authenticate({ authorization: 'Bearer token', 'signalbox-grant': grants.sign(grant), ...headers });
  const refused = (headers?: object) =>
    call(headers).then(
      () => 'accepted',
      (error: unknown) => `${refusalOf(error).status} ${refusalOf(error).reason}`,
    );
  return { world, call, refused, asked, requests: server.requests };
}

test('a pod is who its token says, and may do what its grant says', async (t) => {
  const { call, asked, requests } = await authenticator(t);
  assert.deepEqual(await call(), { grant, podUid: 'pod-uid-1' });
  assert.deepEqual(asked, ['team-a/deploy-1-plan-1 pod-uid-1']);
  assert.deepEqual(JSON.parse(requests[0]?.body ?? ''), {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenReview',
    spec: { token: 'token', audiences: [RUNNER_AUDIENCE] },
  });
});

test('the word of the API server on a token is believed for ten seconds, that of the watch on a pod never', async (t) => {
  const { world, call, refused, requests } = await authenticator(t);
  await call();
  world.now = 9_999;
  await call();
  assert.equal(requests.length, 1);
  await call({ authorization: 'Bearer other' });
  assert.equal(requests.length, 2);
  world.pod = { over: true, isOf: () => true };
  assert.equal(await refused(), '403 PodEnded');
  world.now = 10_000;
  world.status = { authenticated: false, error: 'expired' };
  assert.equal(await refused(), '401 TokenRefused');
  assert.equal(requests.length, 3);
  // A refusal is not remembered.
  world.status = good;
  world.pod = { over: false, isOf: () => true };
  await call();
});

test('who has no grant does not make the operator ask the API server', async (t) => {
  const { refused, requests } = await authenticator(t);
  assert.equal(await refused({ 'signalbox-grant': undefined }), '401 GrantInvalid');
  assert.equal(await refused({ 'signalbox-grant': 'x.y' }), '401 GrantInvalid');
  assert.equal(await refused({ authorization: undefined }), '401 TokenMissing');
  assert.equal(requests.length, 0);
});

test('each thing that does not fit is refused with its reason', async (t) => {
  const { world, refused } = await authenticator(t);
  const user = good.user;
  const cases: [object, string][] = [
    [{ ...good, audiences: undefined }, '401 TokenRefused'],
    [{ ...good, audiences: ['other'] }, '401 TokenRefused'],
    [{ ...good, user: { ...user, extra: {} } }, '401 TokenUnbound'],
    [{ ...good, user: { ...user, username: 'jane' } }, '401 TokenUnbound'],
    [{ ...good, user: { ...user, username: 'system:serviceaccount:team-b:default' } }, '403 WrongPod'],
    [
      {
        ...good,
        user: { ...user, extra: { ...bound, 'authentication.kubernetes.io/pod-name': ['other'] } },
      },
      '403 WrongPod',
    ],
  ];
  for (const [index, [status, expected]] of cases.entries()) {
    world.status = status;
    assert.equal(await refused({ authorization: `Bearer ${index}` }), expected);
  }
  world.status = good;
  world.pod = undefined;
  assert.equal(await refused(), '403 PodGone');
  world.pod = { over: false, isOf: () => false };
  assert.equal(await refused(), '403 WrongPod');
});

test('an API server in trouble is no reason to refuse for good', async (t) => {
  const { world, call } = await authenticator(t);
  world.httpStatus = 403;
  const error = await call().then(
    () => undefined,
    (error: unknown) => refusalOf(error),
  );
  assert.ok(error instanceof Refusal);
  assert.equal(error.status, 503);
});
