import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { reply, status } from '../kube/fake-server.ts';
import { digestOf } from './blobs.ts';
import { isStorageError, type StorageReason } from './errors.ts';
import { ringOf } from './fake-keys.ts';
import { type FakeStorage, artifactsIn, fakeStorage, grantOf } from './fake-storage.ts';

const TWO_HOURS = 2 * 60 * 60_000;
const failsWith = (reason: StorageReason) => (error: unknown) => isStorageError(error, reason);
const apply = (digest: string, changes = {}) =>
  grantOf({ row: 'apply', action: 'apply', plan: { row: 'plan', digest }, ...changes });
const names = ({ secrets }: FakeStorage, part: string) =>
  [...secrets.keys()].filter((name) => name.includes(part)).sort();

test('a bundle comes back to the step that names it, in the same run alone', async (t) => {
  const { bundles } = (await fakeStorage(t)).storage;
  const content = randomBytes(2 * 2 ** 20);
  const digest = await bundles.put(grantOf(), content);
  assert.equal(digest, digestOf(content));
  assert.deepEqual(await bundles.get(apply(digest)), { content, digest });
  const elsewhere = { run: { name: 'deploy-2', uid: 'run-uid-2' } };
  await assert.rejects(bundles.get(apply(digest, elsewhere)), failsWith('PlanMissing'));
  await assert.rejects(
    bundles.get(apply(digest, { plan: { row: 'plan[us]', digest } })),
    failsWith('PlanMissing'),
  );
  await assert.rejects(bundles.get(grantOf()), failsWith('PlanMissing'));
});

test('a new attempt replaces the bundle of an earlier one, and never the other way round', async (t) => {
  const fake = await fakeStorage(t);
  const { bundles } = fake.storage;
  const first = await bundles.put(grantOf(), Buffer.from('first'));
  const second = await bundles.put(grantOf({ attempt: 2 }), Buffer.from('second'));
  await assert.rejects(bundles.get(apply(first)), failsWith('PlanReplaced'));
  await assert.rejects(bundles.put(grantOf(), Buffer.from('late')), failsWith('PlanReplaced'));
  assert.equal((await bundles.get(apply(second))).content.toString(), 'second');
  assert.equal(names(fake, '-blob-').length, 1);
});

test('a chunk that was altered, swapped or taken away is noticed', async (t) => {
  const fake = await fakeStorage(t);
  const { bundles } = fake.storage;
  const digest = await bundles.put(grantOf(), randomBytes(2 * 2 ** 20));
  const [first, second] = names(fake, '-blob-').map((name) => fake.secrets.get(name));
  assert.ok(first && second);
  const whole = { ...first.data };
  first.data = second.data ?? {};
  second.data = whole;
  await assert.rejects(bundles.get(apply(digest)), failsWith('PlanAltered'));
  second.data = first.data;
  first.data = { chunk: Buffer.from('x').toString('base64') };
  await assert.rejects(bundles.get(apply(digest)), failsWith('PlanAltered'));
  fake.secrets.delete(first.metadata?.name ?? '');
  await assert.rejects(bundles.get(apply(digest)), failsWith('PlanAltered'));
});

test('a bundle that is written anew while it is read is read again', async (t) => {
  const fake = await fakeStorage(t);
  const { bundles } = fake.storage;
  const digest = await bundles.put(grantOf(), Buffer.from('one'));
  let chunksRead = 0;
  fake.before = ({ method, url }, response) => {
    if (method !== 'GET' || !url.pathname.includes('-blob-')) return;
    chunksRead += 1;
    // As if the sweep had moved it after the head was read.
    if (chunksRead === 1) reply(response, 404, status(404, 'NotFound'));
  };
  assert.equal((await bundles.get(apply(digest))).content.toString(), 'one');
  assert.equal(chunksRead, 2);
});

test('the first commit that is told for a source holds for the whole run', async (t) => {
  const { commits } = (await fakeStorage(t)).storage;
  assert.equal(await commits.get(grantOf()), undefined);
  const told = await Promise.all(['a', 'b', 'c'].map((commit) => commits.pin(grantOf(), commit)));
  assert.equal(new Set(told).size, 1);
  assert.equal(await commits.pin(grantOf(), 'd'), told[0]);
  assert.equal(await commits.get(grantOf()), told[0]);
  assert.equal(await commits.pin(grantOf({ source: 'source-2' }), 'd'), 'd');
  assert.equal(await commits.pin(grantOf({ run: { name: 'deploy-2', uid: 'run-uid-2' } }), 'e'), 'e');
});

test('a run takes its bundles and commits with it, and nothing of others', async (t) => {
  const fake = await fakeStorage(t);
  const { bundles, commits, releaseRun } = fake.storage;
  const other = { run: { name: 'deploy-2', uid: 'run-uid-2' } };
  await bundles.put(grantOf(), Buffer.from('one'));
  await commits.pin(grantOf(), 'c');
  const digest = await bundles.put(grantOf(other), Buffer.from('two'));
  await commits.pin(grantOf(other), 'd');
  await releaseRun('run-uid-1');
  assert.equal(fake.secrets.size, 3);
  assert.equal((await bundles.get(apply(digest, other))).content.toString(), 'two');
  assert.equal(await commits.get(grantOf(other)), 'd');
});

test('a sweep removes what belongs to no run, and what no head speaks of, when it is an hour old', async (t) => {
  const fake = await fakeStorage(t);
  const { bundles, commits, sweep } = fake.storage;
  await bundles.put(grantOf(), Buffer.from('one'));
  await commits.pin(grantOf(), 'c');
  await bundles.put(grantOf({ run: { name: 'deploy-2', uid: 'run-uid-2' } }), Buffer.from('two'));
  await artifactsIn(fake).save('bundle/of/an/upload/that/was/cut/off', randomBytes(2 * 2 ** 20));
  const known = new Set(['run-uid-1']);
  assert.deepEqual(await sweep(known), { removed: 0, pieces: 0, renewed: 0 });
  fake.clock.now += TWO_HOURS;
  assert.deepEqual(await sweep(known), { removed: 1, pieces: 3, renewed: 0 });
  assert.equal(fake.secrets.size, 3);
  assert.equal((await bundles.list()).length, 1);
  assert.deepEqual(fake.errors, []);
});

test('bundles are written anew with the present key, and one that is damaged does not stop the others', async (t) => {
  const fake = await fakeStorage(t);
  const { bundles, sweep } = fake.storage;
  await bundles.put(grantOf({ row: 'damaged' }), Buffer.from('damaged'));
  const [damaged] = names(fake, '-blob-').map((name) => fake.secrets.get(name));
  assert.ok(damaged);
  damaged.data = { chunk: '' };
  const digest = await bundles.put(grantOf(), Buffer.from('one'));
  fake.keys.next = ringOf('a', 'b');
  await fake.keys.refresh();
  assert.equal((await sweep(new Set(['run-uid-1']))).renewed, 1);
  assert.equal(fake.errors.length, 1);
  fake.keys.next = ringOf('b');
  await fake.keys.refresh();
  assert.equal((await bundles.get(apply(digest))).content.toString(), 'one');
});
