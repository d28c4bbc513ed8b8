import assert from 'node:assert/strict';
import { Agent, request as httpsRequest } from 'node:https';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { createTransport } from '../../kube/transport.ts';
import { reply, startFakeServer, status } from '../../kube/fake-server.ts';
import { makeAuthority, makeServerCertificate } from '../certificates.ts';
import { annotated, fakeRequest, nobody } from './fake-review.ts';
import { type AnsweredReview, startAdmissionServer } from './server.ts';

const HOUR_MS = 3_600_000;

/** A server that asks a fake API server, which says yes unless it is told to fail. */
async function serve(t: TestContext, { apiFails = false } = {}) {
  const api = await startFakeServer((request, response) => {
    if (apiFails) return reply(response, 403, status(403, 'Forbidden'));
    const { spec } = JSON.parse(request.body) as { spec: { user: string } };
    reply(response, 201, { status: { allowed: spec.user === 'jane' } });
  });
  const transport = createTransport(api.connection, { userAgent: 'test' });
  const validity = { from: Date.now() - HOUR_MS, to: Date.now() + HOUR_MS };
  const authority = makeAuthority('test', validity);
  const made = makeServerCertificate(authority, ['127.0.0.1'], validity);
  const current = { cert: made.certificate, key: made.key, ca: authority.certificate };
  const answered: AnsweredReview[] = [];
  const server = await startAdmissionServer({
    port: 0,
    serving: { current: () => current, subscribe: () => {} },
    transport,
    neighbours: nobody,
    ballot: {
      runBy: () => 'x',
      judgeCreate: async () => ({ allowed: true, changes: { 'signalbox.dev/created-by': 'x' } }),
      judgeUpdate: async () => ({ allowed: false, message: 'no' }),
    },
    onAnswered: (review) => answered.push(review),
  });
  const agent = new Agent({ ca: current.ca, keepAlive: true });
  t.after(async () => {
    agent.destroy();
    await server.close();
    await transport.close();
    await api[Symbol.asyncDispose]();
  });
  const post = (path: string, body: string, method = 'POST') =>
    new Promise<{ status: number; json: Reviewed; connection: string | undefined }>((resolve, reject) => {
      const sent = httpsRequest({ agent, host: '127.0.0.1', port: server.port, path, method }, (response) => {
        text(response).then(
          (answer) =>
            resolve({
              status: response.statusCode ?? 0,
              json: JSON.parse(answer) as Reviewed,
              connection: response.headers.connection,
            }),
          reject,
        );
      });
      sent.once('error', reject);
      sent.end(body);
    });
  return { post, answered, api, server };
}

interface Reviewed {
  reason?: string;
  response: {
    uid: string;
    allowed: boolean;
    patch?: string;
    status?: { code: number; reason: string; message: string; details: { causes: { field: string }[] } };
  };
}

const reviewOf = (request: unknown) =>
  JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request });

const badWorkflow = {
  metadata: { name: 'one' },
  spec: { steps: [{ name: 'a', when: 'nobody.knows', script: { bash: 'true' } }] },
};

test('answers a review by its UID, with the causes of a refusal or with a patch', async (t) => {
  const { post, answered } = await serve(t);
  const refused = await post(
    '/admission/workflows?timeout=10s',
    reviewOf(fakeRequest('workflows', badWorkflow)),
  );
  const { uid, allowed, status: why } = refused.json.response;
  assert.deepEqual(
    [refused.status, uid, allowed, why?.code, why?.reason],
    [200, 'review-1', false, 422, 'Invalid'],
  );
  assert.deepEqual(
    why?.details.causes.map(({ field }) => field),
    ['spec.steps[0].when'],
  );
  const run = fakeRequest('workflowruns', annotated({ other: 'kept' }));
  const { response } = (await post('/admission/workflowruns', reviewOf(run))).json;
  assert.deepEqual(JSON.parse(Buffer.from(response.patch ?? '', 'base64').toString()), [
    {
      op: 'add',
      path: '/metadata/annotations',
      value: { 'signalbox.dev/other': 'kept', 'signalbox.dev/created-by': 'x' },
    },
  ]);
  const results = answered.map(({ webhook, verdict }) => `${webhook} ${verdict?.allowed}`);
  assert.deepEqual(results, ['workflows false', 'workflowruns true']);
});

test('asks about a right once in a review', async (t) => {
  const { post, api } = await serve(t);
  const slack = (name: string) => ({ name, slack: { channel: '#a', message: 'x' } });
  const spec = { steps: [slack('a'), slack('b'), slack('c')] };
  const request = fakeRequest('workflows', { metadata: { name: 'one' }, spec });
  const { response } = (await post('/admission/workflows', reviewOf(request))).json;
  assert.ok(response.allowed);
  // Pods, and the Secret of all three messages.
  assert.equal(api.requests.length, 2);
});

test('refuses what is no review, and what it is not asked about', async (t) => {
  const { post } = await serve(t);
  const run = reviewOf(fakeRequest('workflowruns', annotated({})));
  const outcomes = [
    await post('/admission/workflows', 'no JSON'),
    await post('/admission/workflows', '{}'),
    await post('/admission/workflows', reviewOf({ uid: 'x' })),
    await post('/admission/workflows', run),
    await post('/admission/toString', run),
    await post('/admission/workflowruns', run, 'PUT'),
    await post('/v1/state', run),
    await post('/admission/workflowruns', 'x'.repeat(7 * 2 ** 20 + 1)),
  ].map(({ status: code, json }) => `${code} ${json.reason}`);
  assert.deepEqual(outcomes, [
    '400 NoReview',
    '400 NoReview',
    '400 NoReview',
    '400 WrongWebhook',
    '404 NotFound',
    '404 NotFound',
    '404 NotFound',
    '413 ReviewTooLarge',
  ]);
});

test('allows nothing while the API server does not say what somebody may do', async (t) => {
  const { post, answered } = await serve(t, { apiFails: true });
  const vote = fakeRequest('workflowruns', annotated({ approve: 'x' }), annotated({}));
  const { response } = (await post('/admission/workflowruns', reviewOf(vote))).json;
  assert.equal(response.allowed, false);
  assert.match(
    response.status?.message ?? '',
    /^Signalbox could not judge it: the cluster does not do it now/,
  );
  assert.equal(answered[0]?.failure?.reason, 'ApiServerUnavailable');
});

test('answers while it waits for its end, and asks callers to connect anew', async (t) => {
  const { post, server } = await serve(t);
  const run = reviewOf(fakeRequest('workflowruns', annotated({})));
  assert.equal((await post('/admission/workflowruns', run)).connection, 'keep-alive');
  server.drain();
  for (const _ of [1, 2]) {
    const { connection, json } = await post('/admission/workflowruns', run);
    assert.deepEqual([json.response.allowed, connection], [true, 'close']);
  }
});
