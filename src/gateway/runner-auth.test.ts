import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fakeKeys } from '../storage/fake-keys.ts';
import { grantOf } from '../storage/fake-storage.ts';
import { createGrants } from '../storage/grants.ts';
import { refusalOf } from './refusal.ts';
import { type CallingPod, createAuthenticator } from './runner-auth.ts';

const grant = grantOf();

/** An authenticator for whom `world` says whose token it is, and what becomes of its pod. */
function authenticator() {
  const world = {
    bound: { namespace: grant.namespace, name: grant.pod, uid: 'pod-uid-1' },
    pod: { over: false, isOf: (run: string) => run === grant.run.uid } as CallingPod | undefined,
  };
  const grants = createGrants(fakeKeys('a'));
  const asked: string[] = [];
  const authenticate = createAuthenticator({
    grants,
    identify: async (token) => {
      asked.push(token);
      return world.bound;
    },
    findPod: async ({ namespace, name }, uid) => {
      asked.push(`${namespace}/${name} ${uid}`);
      return world.pod;
    },
  });
  const call = (headers: object = {}) =>
    authenticate({ authorization: 'Bearer token', 'signalbox-grant': grants.sign(grant), ...headers });
  const refused = (headers?: object) =>
    call(headers).then(
      () => 'accepted',
      (error: unknown) => `${refusalOf(error).status} ${refusalOf(error).reason}`,
    );
  return { world, call, refused, asked };
}

test('a pod is who its token says, and may do what its grant says', async () => {
  const { call, asked } = authenticator();
  assert.deepEqual(await call(), { grant, podUid: 'pod-uid-1' });
  assert.deepEqual(asked, ['token', 'team-a/deploy-1-plan-1 pod-uid-1']);
});

test('who has no grant is not looked at any further', async () => {
  const { refused, asked } = authenticator();
  assert.equal(await refused({ 'signalbox-grant': undefined }), '401 GrantInvalid');
  assert.equal(await refused({ 'signalbox-grant': 'x.y' }), '401 GrantInvalid');
  assert.equal(await refused({ authorization: undefined }), '401 TokenMissing');
  assert.deepEqual(asked, []);
});

test('each thing that does not fit is refused with its reason', async () => {
  const { world, refused } = authenticator();
  const { bound, pod } = world;
  for (const change of [{ namespace: 'team-b' }, { name: 'other' }]) {
    world.bound = { ...bound, ...change };
    assert.equal(await refused(), '403 WrongPod');
  }
  world.bound = bound;
  assert.equal(await refused(), 'accepted');
  world.pod = { over: true, isOf: () => true };
  assert.equal(await refused(), '403 PodEnded');
  world.pod = { over: false, isOf: () => false };
  assert.equal(await refused(), '403 WrongPod');
  world.pod = undefined;
  assert.equal(await refused(), '403 PodGone');
  world.pod = pod;
  assert.equal(await refused(), 'accepted');
});
