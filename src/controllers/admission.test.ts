import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import * as fc from 'fast-check';
import { CONCURRENCY_POLICIES, type ConcurrencyPolicy } from '../api/concurrency.ts';
import type { QueueStatus, WorkflowRunStatus } from '../api/workflow-run.ts';
import { stageOf } from '../engine/concurrency.ts';
import { ApiError, ConnectionError } from '../kube/errors.ts';
import { createAdmission, type Entry } from './admission.ts';
import type { Cluster } from './cluster.ts';
import {
  type Contest,
  type ContestOptions,
  compete,
  type Drawn,
  runStore,
  workflowRun,
} from './fake-contest.ts';
import { type RunView, runView } from './views.ts';

const RUNS = Number(process.env['PROPERTY_RUNS'] ?? 150);

/** Numbers from 0 to 1 that follow from a seed. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const drawnRun = (policies: readonly Drawn['policy'][], keys: number): fc.Arbitrary<Drawn> =>
  fc.record({
    key: fc.nat(keys - 1).map((key) => `key/${key}`),
    policy: fc.constantFrom(...policies),
    at: fc.nat(6),
  });

/** Some of the runs are started by steps of others. */
const family = fc
  .array(fc.tuple(drawnRun(['Queue', 'Queue', 'Forbid', 'Allow'], 3), fc.option(fc.nat(20))), {
    minLength: 1,
    maxLength: 16,
  })
  .map((drawn) =>
    drawn.map(
      ([run, parent], index): Drawn =>
        parent === null || index === 0 ? run : { ...run, parent: parent % index },
    ),
  );

const contest = (runs: fc.Arbitrary<Drawn[]>, more: Partial<ContestOptions> = {}) =>
  fc
    .record({ runs, seed: fc.integer() })
    .map(
      ({ runs, seed }): ContestOptions => ({ runs, limits: {}, trouble: 0, random: randomOf(seed), ...more }),
    );

const competing = (keys: number, policies: readonly Drawn['policy'][] = ['Queue']) =>
  fc.array(drawnRun(policies, keys), { minLength: 1, maxLength: 20 });

const isActive = (run: RunView) => stageOf(run.status) === 'Active';

function assertAlone({ happened }: Contest): void {
  for (const { run, all } of happened) {
    const active = all.filter((one) => isActive(one) && one.status.queue?.policy !== 'Allow');
    const keys = active.map(({ status }) => status.queue?.key);
    assert.equal(new Set(keys).size, keys.length, `two of a key are active when ${run} starts`);
  }
}

function assertEnded({ runs }: Contest): void {
  const left = runs.filter(({ status }) => stageOf(status) !== 'Ended');
  assert.deepEqual(
    left.map(({ name, status }) => `${name} ${status.phase} ${status.message}`),
    [],
  );
}

/** Nobody starts before one that was created earlier and waits for the same. */
function assertInOrder(
  { happened }: Contest,
  waitsForSame: (one: RunView, started: RunView) => boolean,
): void {
  for (const { type, run, all } of happened) {
    const started = all.find(({ name }) => name === run);
    if (type !== 'Start' || !started) continue;
    const earlier = all.filter(({ createdAt, status }) => {
      return status.phase === 'Queued' && createdAt < started.createdAt;
    });
    const passed = earlier.filter((one) => waitsForSame(one, started));
    assert.deepEqual(names(passed), [], `${run} started before these`);
  }
}

const names = (runs: readonly RunView[]) => runs.map(({ name }) => name);

async function check(
  options: fc.Arbitrary<ContestOptions>,
  assertion: (contest: Contest, options: ContestOptions) => void,
): Promise<void> {
  const property = fc.asyncProperty(options, async (drawn) => assertion(await compete(drawn), drawn));
  await fc.assert(property, { numRuns: RUNS });
}

/** An admission over a store that the test fills: each run with its status, named r0, r1, ... and a second apart. */
function admissionOf(statuses: readonly WorkflowRunStatus[], limits = {}) {
  const store = runStore();
  const added: string[] = [];
  const queue = { add: (key: string) => void added.push(key), addAfter: () => {} };
  const cluster = { runs: { store } as Cluster['runs'] };
  const now = Date.parse('2030-01-01T01:00:00Z');
  const admission = createAdmission({ cluster, limits, queue, now: () => now });
  let version = 0;

  function put(index: number, status: WorkflowRunStatus): RunView {
    const { metadata, ...run } = workflowRun({ at: index }, index);
    version += 1;
    const raw = { ...run, metadata: { ...metadata, resourceVersion: String(version) }, status };
    store.observe('MODIFIED', raw);
    return runView(raw);
  }

  function admit(run: RunView, policy: ConcurrencyPolicy, write: (entry: Entry) => Promise<void>) {
    const place = { key: 'key/k', policy, since: '2030-01-01T01:00:00Z' };
    const applicant = {
      status: { phase: 'Running' },
      place,
      declared: true,
      keyOf: () => place.key,
    } as const;
    return admission.admit(run, applicant, write);
  }

  const runs = statuses.map((status, index) => put(index, status));
  return { runs, put, admit, admission, woken: () => added.splice(0) };
}

const queued = (blockedBy: NonNullable<QueueStatus['blockedBy']>, policy: ConcurrencyPolicy = 'Queue') =>
  ({ phase: 'Queued', queue: { key: 'key/k', policy, since: '2030-01-01T00:00:00Z', blockedBy } }) as const;
const active: WorkflowRunStatus = { phase: 'Running', queue: { key: 'key/k', policy: 'Queue' } };
const ended = { phase: 'Succeeded', finishedAt: '2030-01-01T00:30:00Z' } as const;

suite('admission', () => {
  test('lets those go first that waited for the same limit', async () => {
    const waiting = queued({ kind: 'ClusterLimit', limit: 2 }, 'Allow');
    const { runs, admit } = admissionOf([active, waiting, waiting, {}], { cluster: 2 });
    const entries: Entry[] = [];
    for (const run of runs.slice(2)) await admit(run, 'Allow', async (entry) => void entries.push(entry));
    assert.deepEqual(
      entries.map(({ status }) => status.message ?? status.phase),
      ['Queued', '1 of 2 runs of the cluster are active, and 2 that waited before it start first.'],
    );
  });

  test('writes once more what may have been written, whatever came between', async () => {
    const { put, admit } = admissionOf([]);
    const young = put(5, {});
    const lost = async () =>
      Promise.reject(new ConnectionError({ verb: '', resource: '' }, new Error(''), true));
    await assert.rejects(admit(young, 'Queue', lost));
    const old = put(1, {});
    const entries: Entry['type'][] = [];
    await admit(old, 'Queue', async (entry) => void entries.push(entry.type));
    await admit(young, 'Queue', async (entry) => void entries.push(entry.type));
    assert.deepEqual(entries, ['Wait', 'Start']);
  });

  test('forgets what was refused, and wakes those that waited for it', async () => {
    const { put, admit, woken } = admissionOf([]);
    const refused = async () => Promise.reject(new ApiError({ verb: '', resource: '' }, { code: 403 }));
    const first = admit(put(0, {}), 'Queue', refused);
    const second = put(1, {});
    await admit(second, 'Queue', async () => {
      put(1, queued({ kind: 'Run', run: 'r0' }));
    });
    await assert.rejects(first);
    assert.deepEqual(woken(), ['ns/r1']);
  });

  test('wakes those that wait for a run that ends, and only them', () => {
    const { put, woken } = admissionOf([
      active,
      queued({ kind: 'Run', run: 'r0' }),
      queued({ kind: 'Run', run: 'r1' }),
    ]);
    woken();
    put(0, ended);
    assert.deepEqual(woken(), ['ns/r1']);
  });

  test('wakes the first of those that wait for a place', () => {
    const waiting = queued({ kind: 'ClusterLimit', limit: 1 }, 'Allow');
    const { put, woken } = admissionOf([active, waiting, waiting], { cluster: 1 });
    put(0, ended);
    assert.deepEqual(woken(), ['ns/r1']);
    put(1, { ...active, startedAt: '2030-01-01T00:30:00Z' });
    assert.deepEqual(woken(), ['ns/r2']);
  });

  test('wakes those whose place a newer run takes', () => {
    const { put, woken, admission } = admissionOf([active, queued({ kind: 'Run', run: 'r0' })]);
    woken();
    put(2, queued({ kind: 'Run', run: 'r1' }, 'Replace'));
    assert.deepEqual(woken(), ['ns/r0', 'ns/r1']);
    assert.equal(admission.replacerOf(put(0, active)), 'r2');
  });

  test('is not asked where nothing is said of concurrency and there is no limit', () => {
    const { admission, runs } = admissionOf([{}]);
    const limited = admissionOf([{}], { perNamespace: 1 }).admission;
    const [run] = runs;
    assert.ok(run);
    assert.equal(admission.isFree(run, undefined), true);
    assert.equal(admission.isFree(run, {}), false);
    assert.equal(limited.isFree(run, undefined), false);
    assert.equal(limited.isFree({ ...run, owner: { name: 'p', uid: 'p' } }, undefined), true);
  });
});

test('a run that can not be written holds nobody up', async () => {
  const options = contest(competing(1)).map((drawn) => ({ ...drawn, broken: 0 }));
  await check(options, ({ runs }) =>
    assertEnded({ happened: [], runs: runs.filter(({ name }) => name !== 'r0') }),
  );
});

suite('whatever the order of reconciles, and however late the watch', () => {
  test('runs of one key run one after the other, in their order, and all end', async () => {
    await check(contest(competing(2)), (result) => {
      assertAlone(result);
      assertEnded(result);
      assertInOrder(result, (one, started) => one.status.queue?.key === started.status.queue?.key);
    });
  });

  test('the same holds where answers are lost and writes are refused', async () => {
    await check(contest(competing(2), { trouble: 0.3 }), (result) => {
      assertAlone(result);
      assertEnded(result);
    });
  });

  test('whoever is created in order starts in order, also when all are found at once', async () => {
    await check(contest(competing(1)), ({ happened, runs }) => {
      const starts = happened.filter(({ type }) => type === 'Start').map(({ run }) => run);
      const inOrder = [...runs].sort((a, b) => a.createdAt - b.createdAt || (a.name < b.name ? -1 : 1));
      const known = new Map(inOrder.map(({ name, createdAt }) => [name, createdAt]));
      const times = starts.map((name) => known.get(name) ?? 0);
      assert.deepEqual(
        times,
        [...times].sort((a, b) => a - b),
      );
    });
  });

  test('limits are never exceeded, nor is anybody forgotten', async () => {
    const limits = fc.record({
      perNamespace: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
      cluster: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
      limit: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
      trouble: fc.constantFrom(0, 0.3),
    });
    const options = fc
      .tuple(contest(competing(4, ['Queue', 'Allow'])), limits)
      .map(([drawn, { limit, trouble, ...rest }]) => ({ ...drawn, limits: rest, limit, trouble }));
    await check(options, (result, { limits: { perNamespace = 99, cluster = 99 }, limit = 99 }) => {
      assertAlone(result);
      assertEnded(result);
      for (const { all } of result.happened) {
        assert.ok(all.filter(isActive).length <= Math.min(perNamespace, cluster, limit));
      }
    });
  });

  test('with every policy at once, all end', async () => {
    await check(contest(competing(2, CONCURRENCY_POLICIES), { trouble: 0.1 }), assertEnded);
  });

  test('of those that replace each other, the newest is the one that succeeds', async () => {
    await check(contest(competing(1, ['Replace'])), (result) => {
      assertAlone(result);
      assertEnded(result);
      const succeeded = result.runs.filter(
        ({ status }) => status.phase === 'Succeeded' && !status.cancellation,
      );
      const newest = Math.max(...result.runs.map(({ createdAt }) => createdAt));
      assert.ok(succeeded.some(({ createdAt }) => createdAt === newest));
    });
  });

  test('runs that steps started never wait for what waits for them, and all end', async () => {
    const limited = { limits: { cluster: 1 } };
    await check(fc.oneof(contest(family), contest(family, limited)), (result) => {
      assertAlone(result);
      assertEnded(result);
    });
  });
});
