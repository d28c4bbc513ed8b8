import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { createArtifacts } from '../../../src/storage/artifacts.ts';
import { isStorageError, type StorageReason } from '../../../src/storage/errors.ts';
import type { Grant } from '../../../src/storage/grants.ts';
import { type Keys, openKeys } from '../../../src/storage/keys.ts';
import { createS3Blobs } from '../../../src/storage/s3-blobs.ts';
import { createS3Client, type S3Options } from '../../../src/storage/s3-client.ts';
import { createSecretBlobs } from '../../../src/storage/secret-blobs.ts';
import { lockInfoSchema } from '../../../src/storage/state-head.ts';
import { createStorage, type Storage } from '../../../src/storage/storage.ts';
import { startObjectStore } from '../../kit/local-object-store.ts';
import { type Bench, bench } from '../kube/setup.ts';
import { digestOf, terraformState } from './setup.ts';

const S3_PORT = 18_470;
const HOUR_MS = 60 * 60_000;
const BUCKET = 'plans';
const credentials = { accessKey: 'root', secretKey: randomBytes(16).toString('hex') };

let site: Bench;
let folder: string;
let gateway: ChildProcess;
const clock = { ahead: 0 };

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'runner-stores-'));
  await mkdir(path.join(folder, 'credentials'));
  await writeFile(path.join(folder, 'credentials/access-key-id'), credentials.accessKey);
  await writeFile(path.join(folder, 'credentials/secret-access-key'), `${credentials.secretKey}\n`);
  gateway = await startGateway();
  site = await bench('runner-stores');
});
after(async () => {
  gateway.kill('SIGKILL');
  await site[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

const startGateway = () =>
  startObjectStore({
    folder: path.join(folder, 'data'),
    listen: `127.0.0.1:${S3_PORT}`,
    bucket: BUCKET,
    credentials,
  });

function s3Options(changes: Partial<S3Options> = {}): S3Options {
  return {
    endpoint: `http://127.0.0.1:${S3_PORT}`,
    region: 'us-east-1',
    bucket: BUCKET,
    prefix: 'team a/box',
    credentialsFolder: path.join(folder, 'credentials'),
    ...changes,
  };
}

const now = () => Date.now() + clock.ahead;

interface Place {
  storage: Storage;
  namespace: string;
  keysFolder: string;
  /** Reads the keys again. */
  refresh: () => Promise<unknown>;
}

/** Storage in a namespace of its own, with keys of its own. */
async function place(name: string, in_: 'secrets' | 's3'): Promise<Place> {
  const namespace = await site.namespace(name);
  const keysFolder = path.join(folder, `keys-${name}`);
  await mkdir(keysFolder, { recursive: true });
  await writeFile(path.join(keysFolder, '1'), randomBytes(32));
  return openPlace(namespace, keysFolder, in_);
}

async function openPlace(namespace: string, keysFolder: string, in_: 'secrets' | 's3'): Promise<Place> {
  const onError = (error: unknown) => assert.ifError(error);
  const keys = await openKeys({ folder: keysFolder, onError });
  const storage = await createStorage({
    transport: site.transport,
    namespace,
    keys,
    s3: in_ === 's3' ? s3Options() : undefined,
    now,
    onError,
  });
  return { storage, namespace, keysFolder, refresh: keys.refresh };
}

const grant: Grant = {
  namespace: 'team-a',
  pod: 'deploy-1-plan-1',
  run: { name: 'deploy-1', uid: 'run-uid-1' },
  row: 'plan',
  attempt: 1,
  project: 'network',
  source: 'source-1',
  managed: true,
  stateVersions: 3,
  action: 'plan',
};
const key = { namespace: 'team-a', project: 'network', workspace: 'default' };
const holder = { pod: 'deploy-1-apply-1', podUid: 'pod-uid-1', run: 'deploy-1', step: 'apply' };
const info = lockInfoSchema.parse({ ID: 'lock-1' });
const failsWith = (reason: StorageReason) => (error: unknown) => isStorageError(error, reason);

async function writeStates({ states }: Storage, serials: readonly number[], bytes = 0): Promise<string[]> {
  await states.lock(key, info, holder);
  const written = serials.map((serial) => terraformState(serial, { bytes }));
  for (const content of written) {
    await states.write(key, { content: Buffer.from(content), lockId: info.ID, holder, keep: 3 });
  }
  return written;
}

async function chunksIn(namespace: string): Promise<string[]> {
  const path = `/api/v1/namespaces/${namespace}/secrets?labelSelector=signalbox.dev/artifact=chunk`;
  const request = { verb: 'list', resource: 'secrets', method: 'GET', path, idempotent: true } as const;
  const { items } = (await site.transport.request(request)) as { items: { metadata: { name: string } }[] };
  return items.map(({ metadata }) => metadata.name);
}

const objectsFolder = () => path.join(folder, 'data', BUCKET, 'team a/box');

async function objects(): Promise<string[]> {
  const options = { recursive: true, withFileTypes: true } as const;
  // The gateway removes folders that are empty.
  const files = await readdir(objectsFolder(), options).catch(() => []);
  return files.filter((file) => file.isFile()).map((file) => path.join(file.parentPath, file.name));
}

for (const kind of ['secrets', 's3'] as const) {
  test(`${kind}: a bundle comes back to its run, is replaced by a new attempt, and goes with the run`, async () => {
    const { storage } = await place(`${kind}-bundles`, kind);
    const { bundles } = storage;
    const content = randomBytes(5 * 2 ** 20);
    const plan = { row: 'plan', digest: digestOf(content) };
    assert.equal(await bundles.put(grant, content), plan.digest);
    assert.ok((await bundles.get({ ...grant, plan })).content.equals(content));
    await bundles.put({ ...grant, attempt: 2 }, Buffer.from('second'));
    await assert.rejects(bundles.get({ ...grant, plan }), failsWith('PlanReplaced'));
    const before = kind === 's3' ? (await objects()).length : 0;
    await storage.releaseRun(grant.run.uid);
    await assert.rejects(bundles.get({ ...grant, plan }), failsWith('PlanMissing'));
    if (kind === 's3') assert.equal((await objects()).length, before - 1);
    else assert.deepEqual(await chunksIn(`${kind}-bundles`), []);
    await storage.close();
  });

  test(`${kind}: versions of a state are kept, and those beyond their number removed`, async () => {
    const { storage, namespace } = await place(`${kind}-states`, kind);
    const before = kind === 's3' ? (await objects()).length : 0;
    const written = await writeStates(storage, [1, 2, 3, 4, 5], 2 ** 20);
    assert.equal((await storage.states.load(key))?.toString(), written[4]);
    assert.equal((await storage.states.load(key, 3))?.toString(), written[2]);
    assert.equal(await storage.states.load(key, 2), undefined);
    if (kind === 's3') {
      assert.equal((await objects()).length, before + 3);
      assert.deepEqual(await chunksIn(namespace), []);
    } else {
      assert.equal((await chunksIn(namespace)).length, 6);
    }
    await storage.close();
  });

  test(`${kind}: what is under an old key is written anew, and the old key can go`, async () => {
    const { storage, keysFolder, refresh } = await place(`${kind}-rotation`, kind);
    const written = await writeStates(storage, [1, 2]);
    const content = randomBytes(2 ** 20);
    await storage.bundles.put(grant, content);
    await writeFile(path.join(keysFolder, '2'), randomBytes(32).toString('base64'));
    await refresh();
    const runs = new Set([grant.run.uid]);
    assert.deepEqual(await storage.sweep(runs), { removed: 0, pieces: 0, renewed: 3 });
    assert.equal((await storage.sweep(runs)).renewed, 0);
    await rm(path.join(keysFolder, '1'));
    await refresh();
    assert.equal((await storage.states.load(key, 1))?.toString(), written[0]);
    assert.equal((await storage.states.load(key))?.toString(), written[1]);
    const plan = { row: 'plan', digest: digestOf(content) };
    assert.ok((await storage.bundles.get({ ...grant, plan })).content.equals(content));
    await storage.close();
  });

  test(`${kind}: a sweep finds what an upload that was cut off has left, and nothing else`, async () => {
    const { storage, keysFolder, namespace } = await place(`${kind}-sweep`, kind);
    const written = await writeStates(storage, [1]);
    const keys = await openKeys({ folder: keysFolder, onError: (error) => assert.ifError(error) });
    await leaveBehind(kind, namespace, keys);
    const runs = new Set<string>();
    assert.equal((await storage.sweep(runs)).pieces, 0);
    clock.ahead = 2 * HOUR_MS;
    try {
      assert.equal((await storage.sweep(runs)).pieces, kind === 's3' ? 1 : 3);
      assert.equal((await storage.sweep(runs)).pieces, 0);
    } finally {
      clock.ahead = 0;
    }
    assert.equal((await storage.states.load(key))?.toString(), written[0]);
    await storage.close();
  });
}

/** Saves something that no head will ever speak of. */
async function leaveBehind(kind: 'secrets' | 's3', namespace: string, keys: Keys) {
  const name = 'bundle/cut/off';
  const content = randomBytes(2 * 2 ** 20);
  if (kind === 'secrets') {
    await createArtifacts(keys, [createSecretBlobs(site.transport, namespace)]).save(name, content);
    return;
  }
  const client = createS3Client(s3Options());
  const installation = await installationOf(namespace);
  await createArtifacts(keys, [createS3Blobs(client, installation, s3Options().prefix)]).save(name, content);
  await client.close();
}

/** What the objects of a namespace begin with. */
async function installationOf(namespace: string): Promise<string> {
  const path = `/api/v1/namespaces/${namespace}/secrets?labelSelector=signalbox.dev/artifact=installation`;
  const request = { verb: 'list', resource: 'secrets', method: 'GET', path, idempotent: true } as const;
  const { items } = (await site.transport.request(request)) as { items: { data: { head: string } }[] };
  return (JSON.parse(Buffer.from(items[0]?.data.head ?? '', 'base64').toString()) as { id: string }).id;
}

test('s3: an object that was altered, swapped with another or removed is noticed; nothing lies there as it is', async () => {
  const { storage, namespace } = await place('s3-attacks', 's3');
  await writeStates(storage, [1, 2]);
  const installation = await installationOf(namespace);
  const files = (await objects()).filter((file) => file.includes(installation));
  const [one, two] = files;
  assert.ok(one && two && files.length === 2);
  const [first, second] = [await readFile(one), await readFile(two)];
  assert.ok(!first.includes('lineage') && !second.includes('lineage'));
  await writeFile(one, second);
  await writeFile(two, first);
  for (const number of [1, 2]) await assert.rejects(storage.states.load(key, number), failsWith('Altered'));
  await rm(one);
  await rm(two);
  for (const number of [1, 2]) await assert.rejects(storage.states.load(key, number), failsWith('Missing'));
  await storage.close();
});

test('what was kept in Secrets is read when S3 is set up, and moves there', async () => {
  const { storage, namespace, keysFolder } = await place('moving', 'secrets');
  const written = await writeStates(storage, [1, 2]);
  const moved = await openPlace(namespace, keysFolder, 's3');
  assert.equal((await moved.storage.states.load(key))?.toString(), written[1]);
  assert.equal((await moved.storage.sweep(new Set())).renewed, 2);
  assert.deepEqual(await chunksIn(namespace), []);
  assert.equal((await moved.storage.states.load(key, 1))?.toString(), written[0]);
  await assert.rejects(storage.states.load(key), failsWith('StoreUnavailable'));
  await moved.storage.close();
});

test('two installations share a bucket, and neither sweeps what the other has', async () => {
  const [one, two] = [await place('sharing-1', 's3'), await place('sharing-2', 's3')];
  const written = await writeStates(one.storage, [1]);
  clock.ahead = 2 * HOUR_MS;
  try {
    assert.equal((await two.storage.sweep(new Set())).pieces, 0);
  } finally {
    clock.ahead = 0;
  }
  assert.equal((await one.storage.states.load(key))?.toString(), written[0]);
  await Promise.all([one.storage.close(), two.storage.close()]);
});

test('s3: a list of more than a thousand objects is read to its end', async () => {
  const client = createS3Client(s3Options());
  const blobs = createS3Blobs(client, 'many', s3Options().prefix);
  const ids = Array.from({ length: 1_050 }, (_, index) => `id-${index}`);
  for (let at = 0; at < ids.length; at += 50) {
    await Promise.all(ids.slice(at, at + 50).map((id) => blobs.put(id, Buffer.from(id))));
  }
  const found: string[] = [];
  for await (const piece of blobs.pieces()) {
    found.push(piece.id);
    assert.ok(Math.abs(Date.now() - piece.createdAt) < HOUR_MS);
  }
  assert.deepEqual(found.sort(), ids.sort());
  await client.close();
});

test('s3: wrong credentials and a bucket that is not there are said, and an outage is waited for', async () => {
  const wrong = path.join(folder, 'wrong');
  await mkdir(wrong);
  await writeFile(path.join(wrong, 'access-key-id'), credentials.accessKey);
  await writeFile(path.join(wrong, 'secret-access-key'), 'wrong');
  const put = async (changes: Partial<S3Options>) => {
    const client = createS3Client(s3Options(changes));
    try {
      await createS3Blobs(client, 'x', s3Options().prefix).put('id', Buffer.from('x'));
    } finally {
      await client.close();
    }
  };
  await assert.rejects(
    put({ credentialsFolder: wrong }),
    (error) => isStorageError(error, 'StoreRefused') && /403 SignatureDoesNotMatch/.test(error.message),
  );
  await assert.rejects(
    put({ bucket: 'none' }),
    (error) => isStorageError(error, 'StoreRefused') && /the bucket does not exist/.test(error.message),
  );
  await assert.rejects(put({ credentialsFolder: folder }), failsWith('StoreUnavailable'));
  gateway.kill('SIGKILL');
  await once(gateway, 'exit');
  const putting = put({});
  gateway = await startGateway();
  await putting;
});
