import assert from 'node:assert/strict';
import { after, before, test, type TestContext } from 'node:test';
import { makeAuthority, makeServerCertificate } from '../../../src/gateway/certificates.ts';
import { type FakeMount, fakeMount } from '../../../src/gateway/fake-mount.ts';
import { waitFor } from '../../cluster/wait.ts';
import type { OperatorProcess } from '../../kit/operator-process.ts';
import { type AdmissionSite, bootAdmission, told } from './setup.ts';

// The part of cert-manager is played by the test: it puts files where the operator looks, and tells the API server whom to
// trust. test/e2e/cert-manager.test.ts has the real one.

const LIMIT_MS = 90_000;
const HTTP_PORT = 19_899;
const NAMES = ['localhost', '127.0.0.1'];
const CONFIGURATIONS = ['validatingwebhookconfiguration', 'mutatingwebhookconfiguration'];
const HOUR_MS = 3_600_000;
/** Long enough for the operator, which looks every 15 seconds, to take it. */
const SHORT_MS = 60_000;

const until = (ms: number) => ({ from: Date.now() - HOUR_MS, to: Date.now() + ms });
const authority = makeAuthority('authority', until(HOUR_MS));

function filesOf(ms: number): Record<'tls.crt' | 'tls.key' | 'ca.crt', string> {
  const { certificate, key } = makeServerCertificate(authority, NAMES, until(ms));
  return { 'tls.crt': certificate, 'tls.key': key, 'ca.crt': authority.certificate };
}

let site: AdmissionSite;
before(async () => {
  site = await bootAdmission('mounted', 19_843);
});
after(() => site[Symbol.asyncDispose]());

async function readiness(): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${HTTP_PORT}/readyz`);
  return `${response.status} ${(await response.text()).trim()}`;
}

const isReady = (wanted: string) =>
  waitFor(`readiness to be "${wanted}"`, LIMIT_MS, async () => (await readiness()) === wanted || undefined);

const applies = async (name: string) => {
  const spec = { steps: [{ name: 'one', script: { bash: 'true' } }] };
  const workflow = { apiVersion: 'signalbox.dev/v1alpha1', kind: 'Workflow', metadata: { name }, spec };
  return told(await site.as('ada')(['apply', '-f', '-'], JSON.stringify(workflow)));
};

/** As an injector of authorities does. */
async function trust(): Promise<void> {
  const value = Buffer.from(authority.certificate).toString('base64');
  const patch = [0, 1].map((index) => ({
    op: 'add',
    path: `/webhooks/${index}/clientConfig/caBundle`,
    value,
  }));
  for (const kind of CONFIGURATIONS) {
    const args = ['patch', kind, 'demo-signalbox', '--type=json', '-p', JSON.stringify(patch)];
    const { ok, text } = await site.as('root')(args);
    assert.ok(ok, text);
  }
}

async function start(t: TestContext): Promise<{ mount: FakeMount; starting: Promise<OperatorProcess> }> {
  const mount = await fakeMount(t, {});
  const starting = site.start(`--serving-certificate-dir=${mount.folder}`, `--http-port=${HTTP_PORT}`);
  return { mount, starting };
}

test('the operator waits for a certificate, keeps it while the next is no good, and is not ready when it ends', async (t) => {
  const { mount, starting } = await start(t);
  await isReady('503 starting: the log says what it waits for');
  await mount.replace(filesOf(HOUR_MS));
  const operator = await starting;
  assert.match(operator.log(), /"reason":"CertificateMissing".*"certificate not taken"/);
  assert.equal(await readiness(), '200 ok');

  // It tells the API server nothing: that is the part of whoever makes the certificate.
  assert.match(await applies('before'), /^no: .*certificate signed by unknown authority/);
  await trust();
  assert.match(await applies('trusted'), /^yes: .*created/);

  await mount.replace({ ...filesOf(HOUR_MS), 'tls.key': authority.key });
  await waitFor('the operator to refuse it', LIMIT_MS, () =>
    operator.log().includes('CertificateKeyMismatch'),
  );
  assert.equal(await readiness(), '200 ok');
  assert.match(await applies('kept'), /^yes: .*created/);

  await mount.replace(filesOf(SHORT_MS));
  await isReady('503 the certificate has ended');
  await mount.replace(filesOf(HOUR_MS));
  await isReady('200 ok');
  assert.match(await applies('after'), /^yes: .*created/);
});
