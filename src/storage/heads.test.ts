import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as z from 'zod';
import { type Clock, systemClock } from '../kube/clock.ts';
import { reply, status } from '../kube/fake-server.ts';
import { isStorageError } from './errors.ts';
import { fakeSecrets } from './fake-secrets.ts';
import { createHeads, type HeadName } from './heads.ts';

const head: HeadName = { kind: 'state', of: 'team-a/network', labels: { 'example.com/team': 'a' } };
const parse = (json: unknown) => z.object({ count: z.number() }).parse(json);

test('of many who write at once each decides on what the one before has written', async (t) => {
  const { transport } = await fakeSecrets(t);
  const { update, read } = createHeads(transport, 'system', parse);
  const add = () =>
    update(head, (found) => ({ write: { count: (found?.count ?? 0) + 1 }, result: found?.count }));
  const before = await Promise.all(Array.from({ length: 20 }, add));
  assert.deepEqual(await read(head), { count: 20 });
  assert.equal(new Set(before).size, 20);
});

test('heads are found by their kind and labels, and removed as they were found', async (t) => {
  const { transport, secrets } = await fakeSecrets(t);
  const heads = createHeads(transport, 'system', parse);
  await heads.update(head, () => ({ write: { count: 1 }, result: undefined }));
  await heads.update({ kind: 'bundle', of: 'x' }, () => ({ write: { count: 2 }, result: undefined }));
  assert.deepEqual(
    (await heads.list('state', { 'example.com/team': 'a' })).map(({ document }) => document),
    [{ count: 1 }],
  );
  assert.deepEqual(await heads.list('state', { 'example.com/team': 'b' }), []);
  const [found] = await heads.list('state');
  assert.ok(found);
  await heads.remove(found);
  await heads.remove(found);
  assert.equal(secrets.size, 1);
});

test('nothing is written after the moment until which it may be', async (t) => {
  const { transport, secrets } = await fakeSecrets(t);
  const { update } = createHeads(transport, 'system', parse);
  const write = () => ({ write: { count: 1 }, result: undefined });
  await assert.rejects(update(head, write, performance.now() - 1), (error) =>
    isStorageError(error, 'TooLate'),
  );
  assert.equal(secrets.size, 0);
});

test('a head that is not as it was written is named, and who can never write gives up', async (t) => {
  const fake = await fakeSecrets(t);
  const impatient: Clock = { ...systemClock, after: (_, callback) => systemClock.after(0, callback) };
  const { update, read } = createHeads(fake.transport, 'system', parse, impatient);
  await update(head, () => ({ write: { count: 1 }, result: undefined }));
  fake.before = ({ method }, response) => {
    if (method === 'PATCH') reply(response, 409, status(409, 'Conflict'));
  };
  await assert.rejects(
    update(head, () => ({ write: { count: 2 }, result: undefined })),
    (error) => isStorageError(error, 'Contention'),
  );
  const [secret] = fake.secrets.values();
  assert.ok(secret);
  secret.data = { head: Buffer.from('{"count":"x"}').toString('base64') };
  await assert.rejects(
    read(head),
    (error) => isStorageError(error, 'Altered') && /the Secret system\/signalbox-state-/.test(error.message),
  );
});
