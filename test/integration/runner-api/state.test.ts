import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { start, stop } from '../../cluster/cluster.ts';
import { waitFor } from '../../cluster/wait.ts';
import type { OperatorProcess } from '../../kit/operator-process.ts';
import { bootSite, type Caller, lockInfo, type Site, terraformState } from './setup.ts';

const PORT = 18_444;
const REPLICA_PORT = 18_445;
const KILLS = 20;
const HOUR_MS = 60 * 60_000;

let site: Site;
let operator: OperatorProcess;

before(async () => {
  site = await bootSite('runner-state', PORT);
  operator = await site.start();
});
after(() => site[Symbol.asyncDispose]());

const get = (caller: Caller) => site.call(caller, { method: 'GET', path: '/v1/state' });
const lock = (caller: Caller, id: string, port = PORT) =>
  site.call(caller, { method: 'LOCK', path: '/v1/state', body: lockInfo(id), port });
const unlock = (caller: Caller, id: string) =>
  site.call(caller, { method: 'UNLOCK', path: '/v1/state', body: lockInfo(id) });
const post = (caller: Caller, id: string, body: string) =>
  site.call(caller, { method: 'POST', path: `/v1/state?ID=${id}`, body });

/** `main.js state ...`, as a process of its own. */
function command(line: string, input = ''): Promise<{ code: number; output: string; errors: string }> {
  const main = path.resolve(import.meta.dirname, '../../../src/main.ts');
  const { promise, resolve } = Promise.withResolvers<{ code: number; output: string; errors: string }>();
  const options = { env: { ...process.env, ...site.environment }, maxBuffer: 2 ** 26, timeout: 60_000 };
  const child = execFile(
    process.execPath,
    [main, 'state', ...line.split(' ')],
    options,
    (error, output, errors) => resolve({ code: error ? Number(error.code) : 0, output, errors }),
  );
  child.stdin?.end(input);
  return promise;
}

test('of 200 attempts to lock at once, at two replicas, one holds the lock', async () => {
  const replica = await site.startReplica(REPLICA_PORT);
  const first = await site.pod({ project: 'contested' });
  const pods = [first];
  while (pods.length < 8) pods.push(await site.pod(first.claims));
  const attempts = Array.from({ length: 200 }, async (_, index) => {
    const caller = pods[index % pods.length];
    assert.ok(caller);
    const id = `lock-${index}`;
    const answer = await lock(caller, id, index % 3 === 0 ? REPLICA_PORT : PORT);
    return { caller, id, answer };
  });
  const outcomes = await Promise.all(attempts);
  const held = outcomes.filter(({ answer }) => answer.status === 200);
  assert.equal(held.length, 1);
  const [holder] = held;
  assert.ok(holder);
  for (const { id, answer } of outcomes) {
    if (id === holder.id) continue;
    assert.equal(answer.status, 423);
    assert.equal(answer.json()['ID'], holder.id);
  }
  assert.equal((await post(holder.caller, holder.id, terraformState(1))).outcome, '200');
  assert.equal((await unlock(holder.caller, holder.id)).outcome, '200');
  await replica.stop();
});

test('a state of 5 MiB comes back byte for byte', async () => {
  const caller = await site.pod({ project: 'large' });
  await lock(caller, 'lock-1');
  const state = terraformState(1, { bytes: 5 * 2 ** 20 });
  assert.equal((await post(caller, 'lock-1', state)).outcome, '200');
  const answer = await get(caller);
  assert.ok(Buffer.byteLength(state) >= 5 * 2 ** 20);
  assert.ok(answer.body.equals(Buffer.from(state)));
});

test('an operator that is killed 20 times during uploads leaves the old or the new state, and all versions', async (t) => {
  const caller = await site.pod({ project: 'killed', stateVersions: 1000 });
  const written = new Map<number, string>();
  const newState = (serial: number) => {
    const state = terraformState(serial, { bytes: 3 * 2 ** 20 });
    written.set(serial, state);
    return state;
  };
  const started = performance.now();
  assert.equal((await lock(caller, 'lock-1')).outcome, '200');
  assert.equal((await post(caller, 'lock-1', newState(1))).outcome, '200');
  const usualMs = performance.now() - started;
  const acknowledged = new Set([1]);
  const came = { old: 0, new: 0 };
  let current = 1;
  for (let kill = 0; kill < KILLS; kill += 1) {
    const next = Math.max(...written.keys()) + 1;
    const uploading = post(caller, 'lock-1', newState(next)).catch(() => undefined);
    // From before anything arrived to after everything is written: a new process is slower than a warm one.
    await sleep((3 * usualMs * kill) / KILLS);
    await operator.stop('SIGKILL');
    if ((await uploading)?.status === 200) acknowledged.add(next);
    operator = await site.start();
    const found = (await get(caller)).body.toString();
    const isNew = found === written.get(next);
    assert.ok(isNew || found === written.get(current), `kill ${kill}: neither the old state nor the new one`);
    came[isNew ? 'new' : 'old'] += 1;
    if (isNew) current = next;
    else assert.ok(!acknowledged.has(next), 'a state was acknowledged and is not there');
  }
  t.diagnostic(
    `${came.old} times the old state, ${came.new} times the new one; an upload takes ${usualMs.toFixed()} ms`,
  );
  assert.ok(came.old > 0);

  // What the uploads left behind is swept, and touches nothing.
  const storage = await site.openStorage(() => Date.now() + 2 * HOUR_MS);
  const swept = await storage.sweep(new Set([caller.claims.run.uid]));
  t.diagnostic(`${swept.pieces} chunks of uploads that were cut off were swept`);
  assert.equal((await storage.sweep(new Set([caller.claims.run.uid]))).pieces, 0);
  const key = { namespace: 'team-a', project: 'killed', workspace: 'default' };
  const { versions = [], lock: held } = (await storage.states.read(key)) ?? {};
  assert.equal(held?.info.ID, 'lock-1');
  assert.deepEqual(
    versions.map(({ number }) => number),
    Array.from({ length: came.new + 1 }, (_, index) => index + 1),
  );
  for (const { number, serial } of versions) {
    assert.equal((await storage.states.load(key, number))?.toString(), written.get(serial));
    acknowledged.delete(serial);
  }
  assert.deepEqual([...acknowledged], []);
  // The same pod goes on under its lock.
  assert.equal((await post(caller, 'lock-1', newState(1000))).outcome, '200');
});

test('while the API server is away the answer is "later", and then all is well', async () => {
  const caller = await site.pod({ project: 'away' });
  await lock(caller, 'lock-1');
  const state = terraformState(1);
  // The request carries the authority that it is checked with, which this test reads from the API server.
  const ca = await site.authority();
  // The leader ends when it can not renew its lease for long; one that stands by goes on.
  const replica = await site.startReplica(REPLICA_PORT);
  await stop(site.cluster, 'kube-apiserver', 'SIGKILL');
  const call = { method: 'POST', path: '/v1/state?ID=lock-1', body: state, ca, port: REPLICA_PORT };
  const answer = await site.call(caller, call);
  assert.equal(answer.outcome, '503 ApiServerUnavailable');
  assert.match(answer.headers['retry-after'] ?? '', /^[1-9]/);
  await start(site.cluster, 'kube-apiserver');
  assert.equal((await site.call(caller, call)).outcome, '200');
  await replica.stop();
  await operator.stop();
  operator = await site.start();
  assert.equal((await get(caller)).body.toString(), state);
});

test('a key that is added is written with, without a restart, and the old one still reads', async () => {
  const caller = await site.pod({ project: 'rotated' });
  await lock(caller, 'lock-1');
  assert.equal((await post(caller, 'lock-1', terraformState(1))).outcome, '200');
  await writeFile(path.join(site.keysFolder, '2'), randomBytes(32));
  const storage = await site.openStorage();
  const key = { namespace: 'team-a', project: 'rotated', workspace: 'default' };
  let serial = 1;
  await waitFor('the new key to be used', 40_000, async () => {
    serial += 1;
    assert.equal((await post(caller, 'lock-1', terraformState(serial))).outcome, '200');
    const head = await storage.states.read(key);
    return head?.versions.at(-1)?.artifact.key === '2' || undefined;
  });
  // Grants that were signed with the old key count on, and so does what was written with it.
  assert.equal((await get(caller)).status, 200);
  assert.equal((await command('export team-a rotated')).code, 0);
});

test('a state that could not be written is kept for a person', async () => {
  const caller = await site.pod({ project: 'errored' });
  const state = terraformState(4);
  const put = await site.call(caller, { method: 'PUT', path: '/v1/errored-state', body: state });
  assert.equal(put.outcome, '201');
  assert.match(
    (await command('versions team-a errored')).output,
    new RegExp(`^1 .* ${caller.claims.pod}$`, 'm'),
  );
  assert.equal((await command('export team-a errored --errored 1')).output, state);
});

test('a person imports a state, exports it and breaks a lock, beside the running operator', async () => {
  const state = terraformState(12, { bytes: 5 * 2 ** 20 });
  const imported = await command('import team-a moved', state);
  assert.deepEqual([imported.errors, imported.code], ['', 0]);
  const caller = await site.pod({ project: 'moved' });
  assert.equal((await get(caller)).body.toString(), state);
  assert.equal((await command('export team-a moved')).output, state);
  assert.equal((await lock(caller, 'lock-1')).outcome, '200');
  const refused = await command('import team-a moved --force', terraformState(13));
  assert.equal(refused.code, 1);
  assert.match(
    refused.errors,
    /^state of workspace default of project team-a\/moved is locked: held by pod /,
  );
  assert.equal((await command('unlock team-a moved lock-1')).code, 0);
  assert.equal((await post(caller, 'lock-1', terraformState(13))).outcome, '409 LockLost');
});
