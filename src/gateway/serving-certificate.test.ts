import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { fakeSecrets } from '../storage/fake-secrets.ts';
import { createServing, type ServingOptions } from './serving-certificate.ts';

const DAY_MS = 24 * 60 * 60_000;

function optionsOf(transport: ServingOptions['transport'], clock: { now: number }): ServingOptions {
  return {
    transport,
    namespace: 'system',
    name: 'serving',
    names: ['signalbox.system.svc', '127.0.0.1'],
    now: () => clock.now,
    onError: (error) => assert.ifError(error),
  };
}

const authorities = (ca: string) => ca.split(/(?<=-----END CERTIFICATE-----\n)/);

test('replicas that start together share one certificate', async (t) => {
  const { transport, secrets } = await fakeSecrets(t);
  const options = optionsOf(transport, { now: Date.now() });
  const all = await Promise.all([1, 2, 3].map(() => createServing(options)));
  const [first, ...others] = all.map((serving) => serving.current());
  for (const other of others) assert.deepEqual(other, first);
  assert.equal(secrets.size, 1);
  assert.ok(first);
  assert.ok(new X509Certificate(first.cert).verify(new X509Certificate(first.ca).publicKey));
});

test('the certificate is renewed once when a third of its time is left, and every replica takes it', async (t) => {
  const { transport, calls } = await fakeSecrets(t);
  const clock = { now: Date.now() };
  const [one, two] = [
    await createServing(optionsOf(transport, clock)),
    await createServing(optionsOf(transport, clock)),
  ];
  const before = one.current();
  const told: string[] = [];
  two.subscribe(({ cert }) => told.push(cert));
  clock.now += 59 * DAY_MS;
  await Promise.all([one.check(), two.check()]);
  assert.deepEqual([one.current(), told], [before, []]);
  clock.now += 2 * DAY_MS;
  await Promise.all([one.check(), two.check()]);
  const after = one.current();
  assert.notEqual(after.cert, before.cert);
  assert.equal(after.ca, before.ca);
  assert.deepEqual(two.current(), after);
  assert.deepEqual(told, [after.cert]);
  await Promise.all([one.check(), two.check()]);
  assert.deepEqual(two.current(), after);
  assert.ok(calls.filter((call) => call.startsWith('PATCH')).length <= 2);
});

test('whoever trusted the authorities at any time trusts the operator for a month at least', async (t) => {
  const { transport } = await fakeSecrets(t);
  const clock = { now: Date.now() };
  const serving = await createServing(optionsOf(transport, clock));
  const trusted: { at: number; ca: string }[] = [];
  const seen = new Set<string>();
  for (let day = 0; day < 22 * 365; day += 10) {
    clock.now += 10 * DAY_MS;
    await serving.check();
    const { cert, ca } = serving.current();
    const leaf = new X509Certificate(cert);
    assert.ok(Date.parse(leaf.validTo) > clock.now);
    trusted.push({ at: clock.now, ca });
    for (const known of trusted.filter(({ at }) => clock.now - at <= 30 * DAY_MS)) {
      const signers = authorities(known.ca).map((pem) => new X509Certificate(pem));
      const signer = signers.find((authority) => leaf.verify(authority.publicKey));
      assert.ok(signer && Date.parse(signer.validTo) > clock.now);
    }
    for (const pem of authorities(ca)) seen.add(pem);
    assert.ok(authorities(ca).length <= 2);
  }
  assert.ok(seen.size >= 3);
});

test('another name, or a Secret that somebody emptied, gets a new certificate', async (t) => {
  const { transport, secrets } = await fakeSecrets(t);
  const options = optionsOf(transport, { now: Date.now() });
  const before = (await createServing(options)).current();
  const named = (await createServing({ ...options, names: [...options.names, 'other.svc'] })).current();
  assert.notEqual(named.cert, before.cert);
  assert.equal(named.ca, before.ca);
  assert.ok(new X509Certificate(named.cert).checkHost('other.svc'));
  const secret = secrets.get('serving');
  assert.ok(secret);
  secret.data = { 'tls.crt': 'bm9uZQ==' };
  assert.notEqual((await createServing(options)).current().ca, before.ca);
});
