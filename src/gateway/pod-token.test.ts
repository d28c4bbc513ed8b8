import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { type CryptoKey, exportJWK, exportSPKI, generateKeyPair, type JWK, SignJWT } from 'jose';
import { RUNNER_AUDIENCE } from '../api/runner.ts';
import { fakeClock, settled } from '../kube/fake-clock.ts';
import { reply, startFakeServer } from '../kube/fake-server.ts';
import { createTransport } from '../kube/transport.ts';
import { createIdentifier } from './pod-token.ts';
import { refusalOf } from './refusal.ts';

const ISSUER = 'https://kubernetes.default.svc';
const NOW_SECONDS = 1_800_000_000;
const pod = { name: 'deploy-1-plan-1', uid: 'pod-uid-1' };

/** What Kubernetes says in a token for a pod. */
const good = {
  iss: ISSUER,
  aud: [RUNNER_AUDIENCE],
  sub: 'system:serviceaccount:team-a:default',
  iat: NOW_SECONDS - 60,
  nbf: NOW_SECONDS - 60,
  exp: NOW_SECONDS + 3540,
  'kubernetes.io': { namespace: 'team-a', pod, serviceaccount: { name: 'default', uid: 'sa-uid-1' } },
};

interface Signer {
  kid: string;
  alg: string;
  privateKey: CryptoKey;
  publicKey: CryptoKey;
  published: JWK;
}

async function signerOf(kid: string, alg = 'RS256'): Promise<Signer> {
  const pair = await generateKeyPair(alg);
  const published = { ...(await exportJWK(pair.publicKey)), kid, alg, use: 'sig' };
  return { kid, alg, ...pair, published };
}

const sign = ({ kid, alg, privateKey }: Signer, claims: object = good) =>
  new SignJWT({ ...claims }).setProtectedHeader({ alg, kid }).sign(privateKey);

const encoded = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Asks about tokens of an API server that publishes what `world` says. */
async function identifier(t: TestContext, ...signers: Signer[]) {
  const world = { issuer: ISSUER, keys: signers.map(({ published }) => published), status: 200 };
  const api = await startFakeServer(({ url, headers }, response) => {
    const isKeys = url.pathname === '/openid/v1/jwks';
    // A real one gives the keys in no other form.
    assert.equal(headers.accept, isKeys ? 'application/jwk-set+json' : 'application/json');
    const found = isKeys ? { keys: world.keys } : { issuer: world.issuer };
    reply(response, world.status, world.status === 200 ? found : { kind: 'Status', reason: 'Forbidden' });
  });
  const transport = createTransport(api.connection, { userAgent: 'test', random: () => 0 });
  t.after(async () => {
    await transport.close();
    await api[Symbol.asyncDispose]();
  });
  const clock = fakeClock();
  const identify = createIdentifier({ transport, now: () => NOW_SECONDS * 1000, clock });
  const outcome = (token: string) =>
    identify(token).then(
      ({ namespace, name, uid }) => `${namespace}/${name} ${uid}`,
      (error: unknown) => `${refusalOf(error).status} ${refusalOf(error).reason}`,
    );
  /** The same while time passes, for those that are looked at again later. */
  const eventually = async (token: string) => {
    let found: string | undefined;
    void outcome(token).then((text) => (found = text));
    while (found === undefined) await clock.advance(1000);
    return found;
  };
  /** Waits until a token is to be looked at again. */
  const looksAgain = async () => {
    while (clock.pending.length === 0) await settled();
    return clock.pending;
  };
  /** How often it has read keys. */
  const reads = () => api.requests.filter(({ url }) => url.pathname === '/openid/v1/jwks').length;
  return { world, clock, outcome, eventually, looksAgain, reads };
}

const ACCEPTED = 'team-a/deploy-1-plan-1 pod-uid-1';

for (const alg of ['RS256', 'ES256', 'ES384', 'ES512']) {
  test(`a token signed with ${alg} says which pod it is of`, async (t) => {
    const signer = await signerOf('k1', alg);
    const { outcome } = await identifier(t, await signerOf('k0'), signer);
    assert.equal(await outcome(await sign(signer)), ACCEPTED);
  });
}

test('a token that does not say all that it should is refused', async (t) => {
  const signer = await signerOf('k1');
  const { eventually } = await identifier(t, signer);
  const cases: [object, string][] = [
    [{ aud: ['https://kubernetes.default.svc'] }, '401 TokenRefused'],
    [{ aud: undefined }, '401 TokenRefused'],
    [{ aud: ['other', RUNNER_AUDIENCE] }, ACCEPTED],
    [{ iss: 'https://other.example.com' }, '401 TokenRefused'],
    [{ iss: undefined }, '401 TokenRefused'],
    [{ exp: NOW_SECONDS - 61 }, '401 TokenRefused'],
    [{ exp: NOW_SECONDS - 59 }, ACCEPTED],
    [{ exp: undefined }, '401 TokenRefused'],
    [{ exp: 'never' }, '401 TokenRefused'],
    [{ nbf: NOW_SECONDS + 61 }, '401 TokenRefused'],
    [{ nbf: NOW_SECONDS + 59 }, ACCEPTED],
    [{ 'kubernetes.io': undefined }, '401 TokenUnbound'],
    [{ 'kubernetes.io': { namespace: 'team-a' } }, '401 TokenUnbound'],
    [{ 'kubernetes.io': { namespace: 'team-a', pod: { name: pod.name } } }, '401 TokenUnbound'],
    [{ 'kubernetes.io': { namespace: '', pod } }, '401 TokenUnbound'],
  ];
  for (const [change, expected] of cases) {
    const token = await sign(signer, { ...good, ...change });
    assert.equal(await eventually(token), expected, JSON.stringify(change));
  }
});

test('a token that nobody of the issuer has signed is refused', async (t) => {
  const [signer, stranger] = [await signerOf('k1'), await signerOf('k1')];
  const elliptic = await signerOf('k2', 'ES256');
  const { outcome, eventually } = await identifier(t, signer, elliptic);
  const token = await sign(signer);
  const [header = '', payload = '', signature = ''] = token.split('.');
  const withPublicKey = async (key: string) => {
    const content = `${encoded({ alg: 'HS256', kid: 'k1' })}.${payload}`;
    return `${content}.${createHmac('sha256', key).update(content).digest('base64url')}`;
  };
  const forged = {
    'the key of somebody else': await sign(stranger),
    'no algorithm': `${encoded({ alg: 'none', kid: 'k1' })}.${payload}.`,
    'no algorithm, and a signature': `${encoded({ alg: 'none', kid: 'k1' })}.${payload}.${signature}`,
    'the public key as a secret': await withPublicKey(await exportSPKI(signer.publicKey)),
    'the public key as a secret, as it is published': await withPublicKey(JSON.stringify(signer.published)),
    'the key of another algorithm': await sign({ ...elliptic, kid: 'k1' }),
    'a key in the header': await new SignJWT(good)
      .setProtectedHeader({ alg: 'RS256', kid: 'k1', jwk: stranger.published })
      .sign(stranger.privateKey),
    'another payload': `${header}.${encoded({ ...good, sub: 'system:serviceaccount:kube-system:admin' })}.${signature}`,
    'another header': `${encoded({ alg: 'RS256', kid: 'k2' })}.${payload}.${signature}`,
    'no signature': `${header}.${payload}.`,
    'half of it': `${header}.${payload}`,
    nonsense: 'x',
  };
  for (const [what, text] of Object.entries(forged)) {
    assert.equal(await eventually(text), '401 TokenRefused', what);
  }
  assert.equal(await outcome(token), ACCEPTED);
});

test('a new key is read when a token names it, once for all and not more often than every five seconds', async (t) => {
  const [old, next] = [await signerOf('k1'), await signerOf('k2')];
  const { world, clock, outcome, looksAgain, reads } = await identifier(t, old);
  assert.equal(await outcome(await sign(old)), ACCEPTED);
  world.keys.push(next.published);
  const waiting = Promise.all([next, next, next].map(async (signer) => outcome(await sign(signer))));
  assert.deepEqual([await looksAgain(), reads()], [[5000], 1]);
  // Those who show a key that is known do not wait.
  assert.equal(await outcome(await sign(old)), ACCEPTED);
  await clock.advance(5000);
  assert.deepEqual(await waiting, [ACCEPTED, ACCEPTED, ACCEPTED]);
  assert.equal(reads(), 2);
});

test('a key that is not published any more is worth nothing after a minute', async (t) => {
  const [old, next] = [await signerOf('k1'), await signerOf('k2')];
  const { world, clock, outcome, eventually } = await identifier(t, old, next);
  assert.equal(await outcome(await sign(old)), ACCEPTED);
  world.keys.shift();
  await clock.advance(60_000);
  assert.equal(await eventually(await sign(old)), '401 TokenRefused');
  assert.equal(await outcome(await sign(next)), ACCEPTED);
});

test('the issuer may get another name', async (t) => {
  const signer = await signerOf('k1');
  const { world, outcome, eventually } = await identifier(t, signer);
  assert.equal(await outcome(await sign(signer)), ACCEPTED);
  world.issuer = 'https://new.example.com';
  assert.equal(await eventually(await sign(signer, { ...good, iss: world.issuer })), ACCEPTED);
});

test('a key that is published twice is one key', async (t) => {
  const signer = await signerOf('k1');
  const { outcome } = await identifier(t, signer, signer);
  assert.equal(await outcome(await sign(signer)), ACCEPTED);
});

test('an API server that does not tell its keys is no reason to refuse for good', async (t) => {
  const signer = await signerOf('k1');
  const { world, outcome } = await identifier(t, signer);
  world.status = 403;
  assert.equal(await outcome(await sign(signer)), '503 ApiServerUnavailable');
  world.status = 200;
  assert.equal(await outcome(await sign(signer)), ACCEPTED);
});
