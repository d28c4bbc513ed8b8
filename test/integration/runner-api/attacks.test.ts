import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type { Secret } from 'kubernetes-types/core/v1.d.ts';
import { run } from '../../cluster/command.ts';
import { waitFor } from '../../cluster/wait.ts';
import type { OperatorProcess } from '../../kit/operator-process.ts';
import {
  type Answer,
  bootSite,
  type Caller,
  digestOf,
  lockInfo,
  type Site,
  SYSTEM,
  terraformState,
} from './setup.ts';

let site: Site;
let operator: OperatorProcess;

before(async () => {
  site = await bootSite('runner-attacks', 18_443);
  operator = await site.start();
});
after(() => site[Symbol.asyncDispose]());

let projects = 0;
/** A project that no other test has touched. */
const newProject = () => `project-${(projects += 1)}`;

const getState = (caller: Pick<Caller, 'token' | 'grant'>) =>
  site.call(caller, { method: 'GET', path: '/v1/state' });
const lock = (caller: Caller, id: string) =>
  site.call(caller, { method: 'LOCK', path: '/v1/state', body: lockInfo(id) });
const unlock = (caller: Caller, id: string) =>
  site.call(caller, { method: 'UNLOCK', path: '/v1/state', body: lockInfo(id) });
const post = (caller: Caller, id: string, body: string) =>
  site.call(caller, { method: 'POST', path: `/v1/state?ID=${id}`, body });

const upload = (caller: Caller, content: Buffer, digest = digestOf(content)) =>
  site.call(caller, {
    method: 'PUT',
    path: '/v1/bundle',
    body: content,
    headers: { 'signalbox-digest': digest },
  });
const download = (caller: Caller) => site.call(caller, { method: 'GET', path: '/v1/bundle' });

/** A plan step with its bundle, and a way to make the steps that carry it out. */
async function planned(content: Buffer, changes: object = {}) {
  const plan = await site.pod({ row: 'plan', action: 'plan', project: newProject(), ...changes });
  assert.equal((await upload(plan, content)).outcome, '201');
  const apply = (others: object = {}) =>
    site.pod({
      ...plan.claims,
      row: 'apply',
      action: 'apply',
      plan: { row: 'plan', digest: digestOf(content) },
      ...others,
    });
  return { plan, apply };
}

/** The chunks that are there and were not before. */
async function chunksOf(work: () => Promise<unknown>): Promise<Secret[]> {
  const selection = { namespace: SYSTEM, labelSelector: 'signalbox.dev/artifact=chunk' };
  const names = new Set((await site.secrets.list(selection)).items.map(({ metadata }) => metadata?.name));
  await work();
  return (await site.secrets.list(selection)).items.filter(({ metadata }) => !names.has(metadata?.name));
}

/** Chunks can not be changed, but whoever may write Secrets can put others in their place. */
async function putInPlace(chunk: Secret, data: Record<string, string>): Promise<void> {
  const { name = '', labels = {} } = chunk.metadata ?? {};
  await site.secrets.delete({ namespace: SYSTEM, name });
  const { type = '' } = chunk;
  await site.secrets.create({ metadata: { namespace: SYSTEM, name, labels }, type, data });
}

test('a plan comes back byte for byte to the step that carries it out', async () => {
  const content = randomBytes(3 * 2 ** 20);
  const { plan, apply } = await planned(content);
  const applying = await apply();
  const answer = await download(applying);
  assert.equal(answer.status, 200);
  assert.equal(answer.headers['signalbox-digest'], digestOf(content));
  assert.ok(answer.body.equals(content));
  assert.equal((await download(plan)).outcome, '403 NotGranted');
  assert.equal((await upload(applying, content)).outcome, '403 NotGranted');
});

test('the bundle of another run is not found, and a token is not good for it', async () => {
  const content = randomBytes(100);
  const { apply } = await planned(content);
  const theirs = await apply();
  const own = await site.pod({ action: 'apply', plan: { row: 'plan', digest: digestOf(content) } });
  assert.equal((await download(own)).outcome, '404 PlanMissing');
  // Their grant with the own token, and the other way round.
  assert.equal((await download({ token: own.token, grant: theirs.grant } as Caller)).outcome, '403 WrongPod');
  assert.equal((await download({ token: theirs.token, grant: own.grant } as Caller)).outcome, '403 WrongPod');
});

test('a bundle that was altered, or whose chunks were swapped, is refused', async () => {
  const content = randomBytes(2 * 2 ** 20);
  let applying: Caller | undefined;
  const [first, second] = await chunksOf(async () => {
    applying = await (await planned(content)).apply();
  });
  assert.ok(applying && first?.data && second?.data);
  await assert.rejects(
    site.secrets.patch({ namespace: SYSTEM, name: first.metadata?.name ?? '' }, { data: { chunk: 'AAAA' } }),
    /immutable/,
  );
  const bytes = Buffer.from(first.data['chunk'] ?? '', 'base64');
  bytes.writeUInt8(bytes.readUInt8(500) ^ 1, 500);
  await putInPlace(first, { chunk: bytes.toString('base64') });
  assert.equal((await download(applying)).outcome, '409 PlanAltered');
  await putInPlace(first, second.data);
  await putInPlace(second, first.data);
  assert.equal((await download(applying)).outcome, '409 PlanAltered');
  await putInPlace(first, first.data);
  await putInPlace(second, second.data);
  assert.ok((await download(applying)).body.equals(content));
  await site.secrets.delete({ namespace: SYSTEM, name: second.metadata?.name ?? '' });
  assert.equal((await download(applying)).outcome, '409 PlanAltered');
});

test('a bundle of another plan in its place is refused', async () => {
  const [one, two] = [randomBytes(1000), randomBytes(1000)];
  let applying: Caller | undefined;
  const [chunk] = await chunksOf(async () => {
    applying = await (await planned(one)).apply();
  });
  const [other] = await chunksOf(() => planned(two));
  assert.ok(applying && chunk && other?.data);
  await putInPlace(chunk, other.data);
  assert.equal((await download(applying)).outcome, '409 PlanAltered');
});

test('a plan that was made anew voids the one before, and what arrives damaged is not kept', async () => {
  const { plan, apply } = await planned(Buffer.from('first'));
  const applying = await apply();
  const again = await site.pod({ ...plan.claims, attempt: 2 });
  assert.equal((await upload(again, Buffer.from('other'), digestOf('else'))).outcome, '422 DigestMismatch');
  assert.equal((await download(applying)).status, 200);
  assert.equal((await upload(again, Buffer.from('second'))).outcome, '201');
  assert.equal((await download(applying)).outcome, '409 PlanReplaced');
  assert.equal((await upload(plan, Buffer.from('late'))).outcome, '409 PlanReplaced');
});

test('what is too large is refused before it is sent', async () => {
  const plan = await site.pod({ row: 'plan', action: 'plan' });
  const call = { method: 'PUT', path: '/v1/bundle', headers: { 'content-length': String(65 * 2 ** 20) } };
  await assert.doesNotReject(
    site.call(plan, { ...call, body: Buffer.alloc(65 * 2 ** 20) }).then(({ outcome }) => {
      assert.equal(outcome, '413 BundleTooLarge');
    }),
  );
});

test('a token is good for as long as its pod is at work', async () => {
  const caller = await site.pod({ project: newProject() });
  assert.equal((await getState(caller)).outcome, '204');
  const name = { namespace: 'team-a', name: caller.claims.pod };
  await site.transport.request({
    verb: 'patch',
    resource: 'pods/status',
    method: 'PATCH',
    path: `/api/v1/namespaces/team-a/pods/${name.name}/status`,
    contentType: 'application/merge-patch+json',
    body: { status: { phase: 'Failed' } },
    idempotent: true,
  });
  const ended = await waitFor('the end of the pod to be known', 5_000, async () =>
    refused(await getState(caller)),
  );
  assert.equal(ended, '403 PodEnded');

  const other = await site.pod({ project: newProject() });
  assert.equal((await getState(other)).outcome, '204');
  await site.pods.delete({ namespace: 'team-a', name: other.claims.pod }, { gracePeriodSeconds: 0 });
  const gone = await waitFor('the pod to be gone', 5_000, async () => refused(await getState(other)));
  assert.equal(gone, '403 PodGone');
});

const refused = ({ status, outcome }: Answer) => (status >= 400 ? outcome : undefined);

test('a pod that was made anew under the same name is another pod', async () => {
  const caller = await site.pod({ project: newProject() });
  const name = { namespace: 'team-a', name: caller.claims.pod };
  const { metadata, spec } = await site.pods.get(name);
  await site.pods.delete(name, { gracePeriodSeconds: 0 });
  const bare = { namespace: name.namespace, name: name.name, labels: metadata?.labels ?? {} };
  const made = await site.pods.create({ metadata: bare, ...(spec ? { spec } : {}) });
  const token = await site.token({ ...name, uid: made.metadata?.uid ?? '' });
  // It belongs to no Job.
  assert.equal((await getState({ token, grant: caller.grant })).outcome, '403 WrongPod');
  const old = await waitFor('the old token to be refused', 15_000, async () =>
    refused(await getState(caller)),
  );
  assert.equal(old, '403 PodGone');
});

test('tokens for others, tokens of no pod, and no tokens are refused', async () => {
  const caller = await site.pod({ project: newProject() });
  const pod = { namespace: 'team-a', name: caller.claims.pod, uid: caller.uid };
  const { grant } = caller;
  const outcome = async (token: string) => (await getState({ token, grant })).outcome;
  assert.equal(
    await outcome(await site.token(pod, 'https://kubernetes.default.svc.cluster.local')),
    '401 TokenRefused',
  );
  assert.equal(await outcome('x'), '401 TokenRefused');
  const unsigned = caller.token.replace(/\.[^.]+$/, `.${randomBytes(256).toString('base64url')}`);
  assert.equal(await outcome(unsigned), '401 TokenRefused');
  const unauthorized = await site.call(caller, {
    method: 'GET',
    path: '/v1/state',
    headers: { authorization: 'Basic eDp5' },
  });
  assert.equal(unauthorized.outcome, '401 TokenMissing');
  assert.equal(await outcome(caller.token), '204');
});

test('a grant can not be altered, and a pod of another run can not use one of its own making', async () => {
  const caller = await site.pod({ row: 'plan', action: 'plan', project: newProject() });
  const [body = '', signature] = caller.grant.split('.');
  const claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as object;
  for (const change of [{ project: 'other' }, { action: 'apply' }, { namespace: 'team-b' }]) {
    const altered = Buffer.from(JSON.stringify({ ...claims, ...change })).toString('base64url');
    const { outcome } = await getState({ token: caller.token, grant: `${altered}.${signature}` });
    assert.equal(outcome, '401 GrantInvalid');
  }
  // Signed by the operator, but for a run that the Job of this pod is not of.
  const grant = site.sign({ ...caller.claims, run: { name: 'other', uid: 'other' } });
  assert.equal((await getState({ token: caller.token, grant })).outcome, '403 WrongPod');
});

test('nobody writes a state without the lock, with the lock of another, or what does not follow', async () => {
  const project = newProject();
  const [one, two] = [await site.pod({ project }), await site.pod({ project })];
  assert.equal((await post(one, '', terraformState(1))).outcome, '409 LockLost');
  assert.equal((await post(one, 'lock-1', terraformState(1))).outcome, '409 LockLost');
  assert.equal((await lock(one, 'lock-1')).outcome, '200');
  assert.equal((await lock(one, 'lock-1')).outcome, '200');
  const held = await lock(two, 'lock-2');
  assert.equal(held.status, 423);
  assert.equal(held.json()['ID'], 'lock-1');
  assert.match(String(held.json()['Info']), new RegExp(`held by pod ${one.claims.pod} of run deploy-`));
  assert.equal((await post(two, 'lock-1', terraformState(1))).outcome, '409 LockLost');
  assert.equal((await unlock(two, 'lock-1')).outcome, '409 LockLost');
  assert.equal((await unlock(one, 'lock-2')).outcome, '409 LockLost');
  assert.equal((await getState(one)).outcome, '204');

  const state = terraformState(3, { text: 'third' });
  assert.equal((await post(one, 'lock-1', state)).outcome, '200');
  assert.equal((await post(one, 'lock-1', state)).outcome, '200');
  assert.equal((await post(one, 'lock-1', terraformState(3))).outcome, '409 SerialConflict');
  assert.equal((await post(one, 'lock-1', terraformState(2))).outcome, '409 SerialConflict');
  assert.equal(
    (await post(one, 'lock-1', terraformState(4, { lineage: 'other' }))).outcome,
    '409 LineageConflict',
  );
  assert.equal((await post(one, 'lock-1', '{"serial":4}')).outcome, '400 StateInvalid');
  assert.equal((await getState(two)).body.toString(), state);
  assert.equal((await unlock(one, 'lock-1')).outcome, '200');
  assert.equal((await unlock(one, 'lock-1')).outcome, '200');
  assert.equal((await lock(two, 'lock-2')).outcome, '200');
  assert.equal((await post(two, 'lock-2', terraformState(4))).outcome, '200');
});

test('a step that plans reads and locks, and changes nothing; others see nothing of an external state', async () => {
  const project = newProject();
  const plan = await site.pod({ project, row: 'plan', action: 'plan' });
  assert.equal((await lock(plan, 'lock-1')).outcome, '200');
  assert.equal((await post(plan, 'lock-1', terraformState(1))).outcome, '403 NotGranted');
  const errored = { method: 'PUT', path: '/v1/errored-state', body: terraformState(1) };
  assert.equal((await site.call(plan, errored)).outcome, '403 NotGranted');
  const external = await site.pod({ project, managed: false });
  for (const { outcome } of [await getState(external), await lock(external, 'x')]) {
    assert.equal(outcome, '403 NotGranted');
  }
  // The same project of another workspace is another state.
  const staging = await site.pod({ project, workspace: 'staging' });
  assert.equal((await lock(staging, 'lock-2')).outcome, '200');
});

test('the first commit that is told holds for the run', async () => {
  const first = await site.pod({ row: 'plan', action: 'plan' });
  const second = await site.pod({ ...first.claims, row: 'other' });
  const get = (caller: Caller) => site.call(caller, { method: 'GET', path: '/v1/commit' });
  const tell = (caller: Caller, commit: string) =>
    site.call(caller, { method: 'POST', path: '/v1/commit', body: JSON.stringify({ commit }) });
  assert.equal((await get(first)).outcome, '404 CommitUnknown');
  const [one, two] = ['1', '2'].map((digit) => digit.repeat(40));
  assert.ok(one && two);
  const told = await Promise.all([tell(first, one), tell(second, two)]);
  const commits = told.map((answer) => answer.json()['commit']);
  assert.equal(new Set(commits).size, 1);
  assert.equal((await get(second)).json()['commit'], commits[0]);
  assert.equal((await tell(first, 'main')).outcome, '400 CommitInvalid');
});

test('no secret is in a log or a Secret as it is, and metrics count what was asked', async () => {
  const caller = await site.pod({ project: newProject() });
  await lock(caller, 'lock-1');
  const secret = 'correct-horse-battery';
  await post(caller, 'lock-1', terraformState(1, { text: secret }));
  await post(caller, 'lock-2', terraformState(2, { text: secret }));
  const all = await site.secrets.list({ namespace: SYSTEM });
  const texts = all.items.flatMap(({ data = {} }) =>
    Object.values(data).map((value) => Buffer.from(value, 'base64').toString('latin1')),
  );
  assert.ok(texts.length > 5);
  assert.ok(!texts.some((text) => text.includes(secret)));
  assert.ok(!operator.log().includes(secret));
  assert.ok(!operator.log().includes(caller.token) && !operator.log().includes(caller.grant));
  assert.match(operator.log(), /"route":"POST \/v1\/state","status":409,"reason":"LockLost"/);
  const metrics = await operator.metrics();
  assert.match(
    metrics,
    /signalbox_runner_request_duration_seconds_count\{route="POST \/v1\/state",code="409"\} [1-9]/,
  );
});

test('clients written in Go, such as the API server, accept the certificate', async () => {
  const file = path.join(site.keysFolder, '..', `${path.basename(site.keysFolder)}.crt`);
  await writeFile(file, await site.authority());
  const { kubectl } = site.cluster;
  const raw = (authority: string[]) =>
    run([
      kubectl,
      'get',
      '--raw',
      '/v1/state',
      '--server',
      'https://localhost:18443',
      '--token',
      'x',
      ...authority,
    ]);
  await assert.rejects(
    raw(['--certificate-authority', file]),
    /Unauthorized|must be logged in|provide credentials/,
  );
  await assert.rejects(raw([]), /x509: certificate signed by unknown authority/);
  await rm(file);
});

test('there is nothing else', async () => {
  const caller = await site.pod();
  for (const [method, path] of [
    ['DELETE', '/v1/state'],
    ['GET', '/metrics'],
    ['GET', '/v1/state/'],
    ['POST', '/v1/bundle'],
  ] as const) {
    assert.equal((await site.call(caller, { method, path })).outcome, '404 NotFound');
  }
});
