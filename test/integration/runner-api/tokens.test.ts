import assert from 'node:assert/strict';
import { createHmac, createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { decodeJwt, decodeProtectedHeader, type JWTPayload, SignJWT } from 'jose';
import { bootSite, type Caller, type Site } from './setup.ts';

// Forgeries of what Kubernetes gives to a pod. Some are signed with the API server's own key, which nobody has but the API
// server: so it is known that they are refused for what they say.

let site: Site;
let caller: Caller;
let key: KeyObject;
let publicKey: string;

before(async () => {
  site = await bootSite('runner-tokens', 18_473);
  await site.start();
  caller = await site.pod();
  const file = (name: string) => path.join(site.cluster.folder, 'certificates', name);
  key = createPrivateKey(await readFile(file('service-accounts.key')));
  publicKey = await readFile(file('service-accounts.pub'), 'utf8');
});
after(() => site[Symbol.asyncDispose]());

async function outcomeOf(token: string): Promise<string> {
  const { grant } = caller;
  const { outcome } = await site.call({ token, grant }, { method: 'GET', path: '/v1/state' });
  return outcome;
}

/** The token of the pod, with other claims, signed by the API server's key or another. */
function signed(changes: object, { signer = key, header = {} } = {}): Promise<string> {
  const { alg = '', ...others } = { ...decodeProtectedHeader(caller.token), ...header };
  const claims: JWTPayload = { ...decodeJwt(caller.token), ...changes };
  return new SignJWT(claims).setProtectedHeader({ alg, ...others }).sign(signer);
}

const encoded = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

test('what a pod is given is accepted, and so is the same when it is signed again', async () => {
  assert.equal(await outcomeOf(caller.token), '204');
  assert.equal(await outcomeOf(await signed({})), '204');
});

test('what the API server would not say is refused, although it is signed with its key', async () => {
  const now = Math.floor(Date.now() / 1000);
  const { 'kubernetes.io': bound } = decodeJwt<{ 'kubernetes.io': object }>(caller.token);
  const cases: [string, object, string][] = [
    ['for the API server', { aud: ['https://kubernetes.default.svc.cluster.local'] }, '401 TokenRefused'],
    ['for nobody', { aud: undefined }, '401 TokenRefused'],
    ['of another issuer', { iss: 'https://other.example.com' }, '401 TokenRefused'],
    ['that has ended', { exp: now - 120 }, '401 TokenRefused'],
    ['that never ends', { exp: undefined }, '401 TokenRefused'],
    ['that has not begun', { nbf: now + 120 }, '401 TokenRefused'],
    ['of no pod', { 'kubernetes.io': { ...bound, pod: undefined } }, '401 TokenUnbound'],
    [
      'of another pod',
      { 'kubernetes.io': { ...bound, pod: { name: 'other', uid: caller.uid } } },
      '403 WrongPod',
    ],
    ['of another namespace', { 'kubernetes.io': { ...bound, namespace: 'team-b' } }, '403 WrongPod'],
    [
      'of an earlier pod',
      { 'kubernetes.io': { ...bound, pod: { name: caller.claims.pod, uid: 'x' } } },
      '403 PodGone',
    ],
  ];
  for (const [what, changes, expected] of cases) {
    assert.equal(await outcomeOf(await signed(changes)), expected, what);
  }
});

test('what the API server has not signed is refused, although it says what it should', async () => {
  const [header = '', payload = '', signature = ''] = caller.token.split('.');
  const { kid } = decodeProtectedHeader(caller.token);
  const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const content = `${encoded({ alg: 'HS256', kid })}.${payload}`;
  const secretly = createHmac('sha256', publicKey).update(content).digest('base64url');
  const altered = encoded({ ...decodeJwt(caller.token), sub: 'system:serviceaccount:team-a:other' });
  const forged = {
    'signed by somebody else': await signed({}, { signer: stranger }),
    'signed by somebody else, under a name of their own': await signed(
      {},
      { signer: stranger, header: { kid: 'x' } },
    ),
    'not signed': `${encoded({ alg: 'none', kid })}.${payload}.`,
    'signed with the public key as a secret': `${content}.${secretly}`,
    'with another payload': `${header}.${altered}.${signature}`,
    'without its signature': `${header}.${payload}.`,
    nonsense: 'x',
  };
  for (const [what, token] of Object.entries(forged)) {
    assert.equal(await outcomeOf(token), '401 TokenRefused', what);
  }
  assert.equal(await outcomeOf(caller.token), '204');
});
