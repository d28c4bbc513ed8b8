import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isStorageError, type StorageReason } from './errors.ts';
import { ringOf } from './fake-keys.ts';
import { type FakeStorage, fakeStorage, terraformState } from './fake-storage.ts';
import { lockInfoSchema } from './state-head.ts';

const key = { namespace: 'team-a', project: 'network', workspace: 'default' };
const holder = { pod: 'deploy-1-apply-1', podUid: 'pod-uid-1', run: 'deploy-1', step: 'apply' };
const info = lockInfoSchema.parse({ ID: 'lock-1', Operation: 'OperationTypeApply' });
const failsWith = (reason: StorageReason) => (error: unknown) => isStorageError(error, reason);

async function locked(fake: FakeStorage) {
  assert.equal(await fake.storage.states.lock(key, info, holder), undefined);
  return (content: Buffer, changes: object = {}) =>
    fake.storage.states.write(key, { content, lockId: info.ID, holder, keep: 3, ...changes });
}

const chunks = ({ secrets }: FakeStorage) =>
  [...secrets.keys()].filter((name) => name.includes('-blob-')).length;

test('a state comes back as it was written, and so do the versions that are kept', async (t) => {
  const fake = await fakeStorage(t);
  const { states } = fake.storage;
  assert.equal(await states.load(key), undefined);
  const write = await locked(fake);
  for (let serial = 1; serial <= 5; serial += 1) await write(terraformState(serial));
  assert.deepEqual(await states.load(key), terraformState(5));
  const { versions = [] } = (await states.read(key)) ?? {};
  assert.deepEqual(
    versions.map(({ number, serial, run, step }) => `${number} ${serial} ${run} ${step}`),
    ['3 3 deploy-1 apply', '4 4 deploy-1 apply', '5 5 deploy-1 apply'],
  );
  assert.deepEqual(await states.load(key, 3), terraformState(3));
  assert.equal(await states.load(key, 2), undefined);
  assert.equal(chunks(fake), 3);
  assert.ok(!JSON.stringify([...fake.secrets.values()]).includes('padding'));
});

test('a state of several chunks comes back whole', async (t) => {
  const fake = await fakeStorage(t);
  const write = await locked(fake);
  const content = terraformState(1, 'lineage-1', 5 * 2 ** 20);
  await write(content);
  assert.equal(chunks(fake), 6);
  assert.deepEqual(await fake.storage.states.load(key), content);
});

test('a lock has one holder, who may ask again; others are told who that is', async (t) => {
  const { states } = (await fakeStorage(t)).storage;
  assert.equal(await states.lock(key, info, holder), undefined);
  assert.equal(await states.lock(key, info, holder), undefined);
  const other = { ...holder, pod: 'other', podUid: 'pod-uid-2' };
  assert.deepEqual((await states.lock(key, info, other))?.holder, holder);
  assert.deepEqual((await states.lock(key, { ...info, ID: 'lock-2' }, holder))?.info, info);
  assert.equal(await states.unlock(key, 'lock-1', other.podUid), 'OtherLock');
  assert.equal(await states.unlock(key, 'lock-2', holder.podUid), 'OtherLock');
  assert.equal(await states.unlock(key, 'lock-1', holder.podUid), 'Unlocked');
  assert.equal(await states.unlock(key, 'lock-1', holder.podUid), 'NotLocked');
  assert.equal(await states.lock({ ...key, workspace: 'staging' }, info, other), undefined);
});

test('nobody writes without the lock, and what is refused leaves nothing behind', async (t) => {
  const fake = await fakeStorage(t);
  const { states } = fake.storage;
  const content = terraformState(1);
  const write = { content, lockId: info.ID, holder, keep: 3 };
  await assert.rejects(states.write(key, write), failsWith('LockLost'));
  await locked(fake);
  await assert.rejects(states.write(key, { ...write, lockId: 'lock-2' }), failsWith('LockLost'));
  const other = { ...holder, podUid: 'pod-uid-2' };
  await assert.rejects(states.write(key, { ...write, holder: other }), failsWith('LockLost'));
  assert.equal(chunks(fake), 0);
  assert.equal(await states.load(key), undefined);
});

test('serials do not go back, and lineages do not mix', async (t) => {
  const fake = await fakeStorage(t);
  const write = await locked(fake);
  await write(terraformState(7));
  await write(terraformState(7));
  await assert.rejects(write(terraformState(6)), failsWith('SerialConflict'));
  await assert.rejects(write(terraformState(7, 'lineage-1', 1)), failsWith('SerialConflict'));
  await assert.rejects(write(terraformState(8, 'lineage-2')), failsWith('LineageConflict'));
  for (const text of [
    '',
    'null',
    '{"serial": 1}',
    '{"serial": "1", "lineage": "x"}',
    '{"serial":1,"lineage":""}',
  ]) {
    await assert.rejects(write(Buffer.from(text)), failsWith('StateInvalid'));
  }
  assert.equal(chunks(fake), 1);
  await write(terraformState(1, 'lineage-2'), { force: true });
  assert.deepEqual(await fake.storage.states.load(key), terraformState(1, 'lineage-2'));
});

test('a lock that is broken while a state is stored keeps the state out', async (t) => {
  const fake = await fakeStorage(t);
  const write = await locked(fake);
  fake.before = ({ method }) => {
    // The chunk is there, the head not yet.
    if (method !== 'POST') return;
    fake.before = () => {};
    void fake.storage.unlock(key, info.ID);
  };
  await assert.rejects(write(terraformState(1)), failsWith('LockLost'));
  assert.equal(chunks(fake), 0);
});

test('a write whose answer is lost is seen to have been made, whatever others did since', async (t) => {
  const fake = await fakeStorage(t);
  const write = await locked(fake);
  await write(terraformState(1));
  let broken: Promise<unknown> = Promise.resolve();
  fake.before = ({ method, url, body }, response) => {
    if (method !== 'PATCH') return;
    fake.before = () => {};
    const name = url.pathname.split('/').at(-1) ?? '';
    const found = fake.secrets.get(name);
    const { data } = JSON.parse(body) as { data: Record<string, string> };
    assert.ok(found);
    fake.secrets.set(name, { ...found, data, metadata: { ...found.metadata, resourceVersion: '1000' } });
    broken = fake.storage.unlock(key, info.ID);
    response.destroy();
  };
  await write(terraformState(2));
  await broken;
  assert.deepEqual(await fake.storage.states.load(key), terraformState(2));
  assert.equal(chunks(fake), 2);
});

test('states that could not be written are kept beside the state, the last five', async (t) => {
  const fake = await fakeStorage(t);
  const { states } = fake.storage;
  for (let serial = 1; serial <= 6; serial += 1) {
    await states.keepErrored(key, terraformState(serial), holder);
  }
  const { errored = [], versions } = (await states.read(key)) ?? {};
  assert.deepEqual(versions, []);
  assert.equal(errored.length, 5);
  assert.equal(chunks(fake), 5);
  const last = errored.at(-1);
  assert.ok(last);
  assert.deepEqual(await states.loadErrored(key, last), terraformState(6));
});

test('one state can not be put in the place of another', async (t) => {
  const fake = await fakeStorage(t);
  const { states } = fake.storage;
  const other = { ...key, project: 'database' };
  for (const each of [key, other]) {
    await states.lock(each, info, holder);
    await states.write(each, { content: terraformState(1), lockId: info.ID, holder, keep: 3 });
  }
  const [one, two] = [...fake.secrets.values()].filter(({ metadata }) => metadata?.name?.includes('-blob-'));
  assert.ok(one && two);
  [one.data, two.data] = [two.data ?? {}, one.data ?? {}];
  for (const each of [key, other]) await assert.rejects(states.load(each), failsWith('Altered'));
});

test('what is under an old key is written anew by the sweep, so that the key can be taken away', async (t) => {
  const fake = await fakeStorage(t);
  const { states } = fake.storage;
  const write = await locked(fake);
  await write(terraformState(1));
  await write(terraformState(2));
  await states.keepErrored(key, terraformState(3), holder);
  const turnTo = async (...ids: [string, ...string[]]) => {
    fake.keys.next = ringOf(...ids);
    await fake.keys.refresh();
  };
  await turnTo('b');
  await assert.rejects(states.load(key), failsWith('KeyMissing'));
  await turnTo('a', 'b');
  assert.equal((await fake.storage.sweep(new Set())).renewed, 3);
  assert.equal((await fake.storage.sweep(new Set())).renewed, 0);
  await turnTo('b');
  assert.deepEqual(await states.load(key, 1), terraformState(1));
  assert.deepEqual(await states.load(key), terraformState(2));
  const { errored = [], lock } = (await states.read(key)) ?? {};
  assert.ok(errored[0]);
  assert.deepEqual(await states.loadErrored(key, errored[0]), terraformState(3));
  assert.equal(lock?.info.ID, info.ID);
  assert.equal(chunks(fake), 3);
  assert.deepEqual(fake.errors, []);
});

test('a key that this replica has not read yet is looked for', async (t) => {
  const fake = await fakeStorage(t);
  const write = await locked(fake);
  fake.keys.next = ringOf('a', 'b');
  await fake.keys.refresh();
  await write(terraformState(1));
  fake.keys.next = ringOf('a');
  await fake.keys.refresh();
  fake.keys.next = ringOf('a', 'b');
  assert.deepEqual(await fake.storage.states.load(key), terraformState(1));
});
