import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { reply, status } from '../kube/fake-server.ts';
import { artifactSchema } from './artifact-schema.ts';
import { digestOf } from './blobs.ts';
import { ringOf } from './fake-keys.ts';
import { type FakeStorage, fakeStorage, grantOf, terraformState } from './fake-storage.ts';
import { lockInfoSchema } from './state-head.ts';

// Whatever the operator does, it is killed before its first write, before its second, and so on. A write whose answer
// is lost looks to those who come after like a death before the next one.

const TWO_HOURS_MS = 2 * 60 * 60_000;
const key = { namespace: 'team-a', project: 'network', workspace: 'default' };
const holder = { pod: 'deploy-1-apply-1', podUid: 'pod-uid-1', run: 'deploy-1', step: 'apply' };
const info = lockInfoSchema.parse({ ID: 'lock-1' });
const large = (serial: number) => terraformState(serial, 'lineage-1', 2 ** 20);
const write = ({ storage }: FakeStorage, content: Buffer) =>
  storage.states.write(key, { content, lockId: info.ID, holder, keep: 2 });
const [firstPlan, secondPlan] = [randomBytes(2 ** 20), randomBytes(2 ** 20)];

/** Two versions of a state, and a plan. */
async function furnish(fake: FakeStorage): Promise<void> {
  await fake.storage.states.lock(key, info, holder);
  await write(fake, large(1));
  await write(fake, large(2));
  await fake.storage.bundles.put(grantOf(), firstPlan);
}

/** The API server does not hear anything from the operator after so many writes. Gives whether that came to pass. */
function killAfter(fake: FakeStorage, writes: number): { killed: boolean } {
  const death = { killed: false };
  let left = writes;
  fake.before = ({ method }, response) => {
    if (method !== 'GET') left -= 1;
    death.killed ||= left < 0;
    if (death.killed) reply(response, 403, status(403, 'Forbidden'));
  };
  return death;
}

/** What the operator that comes after finds, which it may sweep. */
async function survey(fake: FakeStorage) {
  fake.before = () => {};
  fake.clock.now += TWO_HOURS_MS;
  await fake.storage.sweep(new Set(['run-uid-1']));
  const { states, bundles } = fake.storage;
  const { versions = [], errored = [], lock } = (await states.read(key)) ?? {};
  assert.ok(lock);
  const contents = await Promise.all(versions.map(({ number }) => states.load(key, number)));
  const ofErrored = await Promise.all(errored.map((each) => states.loadErrored(key, each)));
  const plan = (digest: string) =>
    bundles.get(grantOf({ plan: { row: 'plan', digest } })).then(
      ({ content }) => content,
      () => undefined,
    );
  const plans = await Promise.all([plan(digestOf(firstPlan)), plan(digestOf(secondPlan))]);
  assertNothingLeft(fake);
  assert.deepEqual(fake.errors, []);
  return { contents, errored: ofErrored, plans };
}

/** Every chunk is one that a head speaks of, and the other way round. */
function assertNothingLeft({ secrets }: FakeStorage): void {
  const names = [...secrets.keys()];
  const heads = [...secrets.values()].flatMap(({ data }) => data?.['head'] ?? []);
  const parts = heads.flatMap((head) => artifactsIn(JSON.parse(Buffer.from(head, 'base64').toString())));
  const spokenOf = parts.flatMap(({ blob: { id, parts } }) =>
    Array.from({ length: parts }, (_, part) => `signalbox-blob-${id}-${part}`),
  );
  assert.deepEqual(names.filter((name) => name.includes('-blob-')).sort(), spokenOf.sort());
}

function artifactsIn(document: unknown): ReturnType<typeof artifactSchema.parse>[] {
  const parsed = artifactSchema.safeParse(document);
  if (parsed.success) return [parsed.data];
  return typeof document === 'object' && document !== null
    ? Object.values(document).flatMap(artifactsIn)
    : [];
}

/** Does something again and again, killed each time one write later, until it comes to its end. Gives how often. */
async function killAtEachWrite(
  t: TestContext,
  work: (fake: FakeStorage) => Promise<unknown>,
  check: (found: Awaited<ReturnType<typeof survey>>, writes: number) => void,
): Promise<number> {
  for (let writes = 0; ; writes += 1) {
    const fake = await fakeStorage(t);
    await furnish(fake);
    const death = killAfter(fake, writes);
    await work(fake).catch(() => {});
    fake.errors.length = 0;
    check(await survey(fake), writes);
    if (!death.killed) return writes;
  }
}

const oldState = [large(1), large(2)];
const isOneOf = (found: unknown, ...allowed: unknown[]) =>
  assert.ok(allowed.some((each) => digestOfAll(each) === digestOfAll(found)));
const digestOfAll = (value: unknown) => digestOf(Buffer.from(JSON.stringify(value)));

test('a state that is written is the old one or the new one, with its versions', async (t) => {
  const newState = [large(2), large(3)];
  const kills = await killAtEachWrite(
    t,
    (fake) => write(fake, large(3)),
    ({ contents, plans }, writes) => {
      isOneOf(contents, oldState, newState);
      if (writes === 0) assert.deepEqual(contents, oldState);
      assert.deepEqual(plans, [firstPlan, undefined]);
    },
  );
  // Two chunks, the head, and the two chunks of the version that falls out.
  assert.equal(kills, 5);
});

test('a plan that is made anew is there or not, and the old one is not valid any more when it is', async (t) => {
  const kills = await killAtEachWrite(
    t,
    ({ storage }) => storage.bundles.put(grantOf({ attempt: 2 }), secondPlan),
    ({ contents, plans }) => {
      isOneOf(plans, [firstPlan, undefined], [undefined, secondPlan]);
      assert.deepEqual(contents, oldState);
    },
  );
  assert.equal(kills, 5);
});

test('a state that could not be written is kept beside the others or not at all', async (t) => {
  const kills = await killAtEachWrite(
    t,
    ({ storage }) => storage.states.keepErrored(key, large(9), holder),
    ({ contents, errored }) => {
      isOneOf(errored, [], [large(9)]);
      assert.deepEqual(contents, oldState);
    },
  );
  assert.equal(kills, 3);
});

test('nothing is lost while keys are changed', async (t) => {
  const kills = await killAtEachWrite(
    t,
    async (fake) => {
      fake.keys.next = ringOf('a', 'b');
      await fake.keys.refresh();
      await fake.storage.sweep(new Set(['run-uid-1']));
    },
    ({ contents, plans }) => {
      assert.deepEqual(contents, oldState);
      assert.deepEqual(plans, [firstPlan, undefined]);
    },
  );
  // For each of three artifacts two chunks, the head, and the two chunks as they were.
  assert.equal(kills, 15);
});

test('a run that is released is gone in the end', async (t) => {
  await killAtEachWrite(
    t,
    ({ storage }) => storage.releaseRun('run-uid-1'),
    ({ contents, plans }) => {
      assert.deepEqual(contents, oldState);
      isOneOf(plans, [firstPlan, undefined], [undefined, undefined]);
    },
  );
});
