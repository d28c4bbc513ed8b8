import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Job } from 'kubernetes-types/batch/v1.d.ts';
import type { ConfigMap, ServiceAccount } from 'kubernetes-types/core/v1.d.ts';
import type { Event } from 'kubernetes-types/events/v1.d.ts';
import type { FlowSchema, PriorityLevelConfiguration } from 'kubernetes-types/flowcontrol/v1.d.ts';
import { type Clock, systemClock } from '../../../src/kube/clock.ts';
import { loadConnection } from '../../../src/kube/config.ts';
import { isAlreadyExists, isConflict, isForbidden, isInvalid, isNotFound } from '../../../src/kube/errors.ts';
import { createEventRecorder, EVENTS } from '../../../src/kube/events.ts';
import { resourceClient, type ResourceType } from '../../../src/kube/resource.ts';
import { createTransport, type Transport } from '../../../src/kube/transport.ts';
import { run } from '../../cluster/command.ts';
import { type Bench, bench, CONFIG_MAPS, configMap, until } from './setup.ts';

const JOBS: ResourceType = { group: 'batch', version: 'v1', plural: 'jobs', kind: 'Job', namespaced: true };
const SERVICE_ACCOUNTS: ResourceType = { ...CONFIG_MAPS, plural: 'serviceaccounts', kind: 'ServiceAccount' };

let real: Bench;
before(async () => {
  real = await bench('kube-client');
});
after(() => real[Symbol.asyncDispose]());

const SELF_SUBJECT_REVIEWS = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
const flowControl = (kind: string, plural: string): ResourceType => ({
  group: 'flowcontrol.apiserver.k8s.io',
  version: 'v1',
  kind,
  plural,
  namespaced: false,
});

/** A Job that the built-in controller leaves alone. */
const job = (namespace: string, name: string): Job => ({
  metadata: { namespace, name },
  spec: {
    managedBy: 'kube-test.dev/nobody',
    template: { spec: { restartPolicy: 'Never', containers: [{ name: 'main', image: 'none' }] } },
  },
});

test('each refusal is told apart by its reason', async () => {
  const namespace = await real.namespace('refusals');
  const name = { namespace, name: 'a' };
  await assert.rejects(real.configMaps.get(name), isNotFound);
  await real.configMaps.create(configMap(namespace, 'a'));
  await assert.rejects(real.configMaps.create(configMap(namespace, 'a')), isAlreadyExists);
  await assert.rejects(real.configMaps.create(configMap(namespace, 'NOT A NAME')), isInvalid);
  await assert.rejects(real.configMaps.delete(name, { uid: 'somebody-else' }), isConflict);
  const nobody = createTransport({ ...real.connection, impersonate: 'nobody' }, { userAgent: 'kube-test/1' });
  await assert.rejects(resourceClient<ConfigMap>(nobody, CONFIG_MAPS).get(name), isForbidden);
  await nobody.close();
});

test('ensure makes an object once', async () => {
  const namespace = await real.namespace('ensure');
  const results = await Promise.all(
    Array.from({ length: 10 }, () => real.configMaps.ensure(configMap(namespace, 'once'))),
  );
  assert.equal(results.filter(({ created }) => created).length, 1);
  assert.equal(new Set(results.map(({ object }) => object.metadata?.uid)).size, 1);
});

test('of two writers with the same version one gets 409, on the object and on its status', async () => {
  const namespace = await real.namespace('stale');
  const jobs = resourceClient<Job>(real.transport, JOBS);
  const made = await jobs.create(job(namespace, 'a'));
  const version = { namespace, name: 'a', resourceVersion: made.metadata?.resourceVersion ?? '' };
  const written = await jobs.patchStatus(version, { ready: 0, active: 1 });
  assert.equal(written.status?.active, 1);
  await assert.rejects(jobs.patchStatus(version, { active: 2 }), isConflict);
  const { resourceVersion } = version;
  await assert.rejects(
    jobs.patch(version, { metadata: { resourceVersion, labels: { a: 'b' } } }),
    isConflict,
  );
  await jobs.patchStatus(
    { ...version, resourceVersion: written.metadata?.resourceVersion ?? '' },
    { active: 2 },
  );
});

test('server-side apply makes an object, owns its fields, takes them over from others and drops what it no longer says', async () => {
  const namespace = await real.namespace('apply');
  const mine = { fieldManager: 'kube-test-mine' };
  const made = await real.configMaps.apply(configMap(namespace, 'a', { one: '1', two: '2' }), mine);
  assert.deepEqual(made.data, { one: '1', two: '2' });
  assert.equal(made.metadata?.managedFields?.[0]?.manager, 'kube-test-mine');
  await real.configMaps.apply(configMap(namespace, 'a', { two: 'theirs', three: '3' }), {
    fieldManager: 'other',
  });
  const again = await real.configMaps.apply(configMap(namespace, 'a', { two: 'mine' }), mine);
  assert.deepEqual(again.data, { two: 'mine', three: '3' });
});

test('a deletion is of one incarnation, and takes what it owns along in the background', async () => {
  const namespace = await real.namespace('deletion');
  const jobs = resourceClient<Job>(real.transport, JOBS);
  const { metadata } = await jobs.create(job(namespace, 'a'));
  const uid = metadata?.uid ?? '';
  await real.configMaps.create({
    ...configMap(namespace, 'owned'),
    metadata: {
      namespace,
      name: 'owned',
      ownerReferences: [{ apiVersion: 'batch/v1', kind: 'Job', name: 'a', uid }],
    },
  });
  await jobs.delete({ namespace, name: 'a' }, { uid, propagationPolicy: 'Background' });
  await assert.rejects(jobs.get({ namespace, name: 'a' }), isNotFound);
  await until('the owned object is gone', async () => {
    const left = await real.configMaps.list({ namespace, fieldSelector: 'metadata.name=owned' });
    return left.items.length === 0;
  });
});

/** Asks for a token as kubelet does for a Pod. */
async function requestToken(namespace: string, name: string): Promise<string> {
  const answer = (await real.transport.request({
    verb: 'create',
    resource: 'serviceaccounts/token',
    method: 'POST',
    path: `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`,
    body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 600 } },
    idempotent: true,
  })) as { status: { token: string } };
  return answer.status.token;
}

/** Who the API server says that we are. */
async function whoAmI(transport: Transport): Promise<{ username: string; uid: string }> {
  const review = (await transport.request({
    verb: 'create',
    resource: 'selfsubjectreviews',
    method: 'POST',
    path: SELF_SUBJECT_REVIEWS,
    body: { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' },
    idempotent: true,
  })) as { status: { userInfo: { username: string; uid: string } } };
  return review.status.userInfo;
}

test('a token file that is rewritten is followed, and no call fails when the old token dies', async (t) => {
  const namespace = await real.namespace('token');
  const accounts = resourceClient<ServiceAccount>(real.transport, SERVICE_ACCOUNTS);
  const account = { namespace, name: 'robot' };
  const first = await accounts.create({ metadata: account });
  const folder = await mkdtemp(path.join(tmpdir(), 'kube-token-'));
  t.after(() => rm(folder, { recursive: true }));
  const tokenFile = path.join(folder, 'token');
  await writeFile(tokenFile, await requestToken(namespace, 'robot'));
  const transport = createTransport(await withTokenFile(folder, tokenFile), { userAgent: 'kube-test/1' });
  t.after(() => transport.close());
  const before = await whoAmI(transport);
  assert.deepEqual(
    [before.username, before.uid],
    [`system:serviceaccount:${namespace}:robot`, first.metadata?.uid],
  );

  // An account made anew is another one: tokens of the old one are void as soon as the server notices.
  await accounts.delete(account);
  const second = await accounts.create({ metadata: account });
  await writeFile(tokenFile, await requestToken(namespace, 'robot'));
  await until('the new token is used', async () => {
    await sleep(200);
    return (await whoAmI(transport)).uid === second.metadata?.uid;
  });
});

/** The connection that a Pod has: a token file, and no client certificate. */
async function withTokenFile(folder: string, tokenFile: string) {
  const kubeconfig = path.join(folder, 'config');
  const settings = {
    'current-context': 'pod',
    clusters: [
      {
        name: 'c',
        cluster: { server: real.cluster.server, 'certificate-authority-data': base64(real.connection.ca) },
      },
    ],
    users: [{ name: 'u', user: { 'auth-provider': { name: 'tokenFile', config: { tokenFile } } } }],
    contexts: [{ name: 'pod', context: { cluster: 'c', user: 'u' } }],
  };
  await writeFile(kubeconfig, JSON.stringify(settings));
  return loadConnection({ kubeconfig });
}

function base64(pem: Buffer | string | undefined): string {
  return Buffer.from(pem ?? '').toString('base64');
}

/** From when this returns, the calls of that user have a priority level of their own, without a seat. */
async function takeSeats(user: string) {
  const levels = resourceClient<PriorityLevelConfiguration>(
    real.transport,
    flowControl('PriorityLevelConfiguration', 'prioritylevelconfigurations'),
  );
  const schemas = resourceClient<FlowSchema>(real.transport, flowControl('FlowSchema', 'flowschemas'));
  const noSeats = { nominalConcurrencyShares: 0, lendablePercent: 0, borrowingLimitPercent: 0 };
  await levels.create({
    metadata: { name: user },
    spec: { type: 'Limited', limited: { ...noSeats, limitResponse: { type: 'Reject' } } },
  });
  const everything = { verbs: ['*'], apiGroups: ['*'], resources: ['*'], clusterScope: true };
  await schemas.create({
    metadata: { name: user },
    spec: {
      priorityLevelConfiguration: { name: user },
      matchingPrecedence: 2, // the first that is free: 1 is that of the built-in exemptions
      rules: [{ subjects: [{ kind: 'User', user: { name: user } }], resourceRules: [everything] }],
    },
  });
  await until('the flow schema is in force', async () => {
    const { status } = await schemas.get({ name: user });
    return status?.conditions?.some(({ type, status }) => type === 'Dangling' && status === 'False') ?? false;
  });
  return { giveBack: () => schemas.delete({ name: user }) };
}

/**
 * A level without seats still serves one call when it serves no other, so this is that one: the server
 * waits for a body that does not come. It asks for the body only once it has begun to serve the call.
 */
async function occupy(user: string) {
  const { server, ca, cert, key } = real.connection;
  const call = request(new URL(SELF_SUBJECT_REVIEWS, server), {
    method: 'POST',
    headers: {
      'impersonate-user': user,
      'content-type': 'application/json',
      'content-length': 2,
      expect: '100-continue',
    },
    ca,
    cert,
    key,
  });
  call.flushHeaders();
  await once(call, 'continue', { signal: AbortSignal.timeout(20_000) });
  call.on('error', () => {}); // what the test's end does to it
  return { end: () => call.destroy() };
}

test('a call that is turned away with 429 waits as long as the server asks, and then ends well', async (t) => {
  const user = 'throttled';
  const codes: string[] = [];
  const timers: number[] = [];
  const clock: Clock = {
    ...systemClock,
    after(ms, callback) {
      timers.push(ms);
      return systemClock.after(ms, callback);
    },
  };
  const limitOfTry = 30_000;
  const transport = createTransport(
    { ...real.connection, impersonate: user },
    {
      userAgent: 'kube-test/1',
      clock,
      timeoutMs: limitOfTry,
      onFinished: ({ code }) => codes.push(code),
    },
  );
  t.after(() => transport.close());
  const seats = await takeSeats(user);
  const occupant = await occupy(user);
  t.after(occupant.end);
  const mend = async () => {
    await until('the call is turned away', () => codes.includes('429'));
    await seats.giveBack();
  };
  const [{ username }] = await Promise.all([whoAmI(transport), mend()]);
  assert.equal(username, user);
  assert.equal(codes.at(-1), '201');
  assert.deepEqual(new Set(codes), new Set(['429', '201']));
  // The header says whole seconds, at least one; without it the first wait would be a tenth of that.
  const waits = timers.filter((ms) => ms !== limitOfTry);
  assert.equal(waits.length, codes.length - 1);
  assert.ok(
    waits.every((ms) => ms >= 1000 && ms % 1000 === 0),
    `waited ${waits.join()} ms`,
  );
});

test('events show in kubectl describe, repeated ones with their count', async () => {
  const namespace = await real.namespace('events');
  const { metadata } = await real.configMaps.create(configMap(namespace, 'a'));
  const events = resourceClient<Event>(real.transport, EVENTS);
  const recorder = createEventRecorder({
    client: events,
    controller: 'kube-test.dev/operator',
    instance: 'pod-1',
    onError: (error) => assert.fail(String(error)),
  });
  const regarding = { apiVersion: 'v1', kind: 'ConfigMap', namespace, name: 'a', uid: metadata?.uid ?? '' };
  const broken = { regarding, type: 'Warning', reason: 'Broken', note: 'It does not work' } as const;
  recorder.record(broken);
  await until('the event is there', async () => (await events.list({ namespace })).items.length === 1);
  recorder.record(broken);
  recorder.record(broken);
  recorder.record({ ...broken, type: 'Normal', reason: 'Mended', note: 'It works' });
  await recorder.close();
  const { kubectl, kubeconfig } = real.cluster;
  const described = await run([
    kubectl,
    '--kubeconfig',
    kubeconfig,
    '-n',
    namespace,
    'describe',
    'configmap',
    'a',
  ]);
  assert.match(described, /Warning +Broken +\S+ \(x3 over \S+\) +kube-test.dev\/operator +It does not work/);
  assert.match(described, /Normal +Mended +\S+ +kube-test.dev\/operator +It works/);
});
