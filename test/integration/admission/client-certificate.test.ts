import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type { OperatorProcess } from '../../kit/operator-process.ts';
import { type AdmissionSite, bootAdmission, told } from './setup.ts';

let site: AdmissionSite;
let operator: OperatorProcess;

before(async () => {
  site = await bootAdmission('client-certificate', 19_743, { webhookCertificate: true });
  operator = await site.start(`--admission-client-ca-file=${site.webhooksAuthority}`);
});
after(() => site[Symbol.asyncDispose]());

/** Status of the operator's answer to somebody with this certificate of the cluster, or why there is none. */
async function asks(certificate?: string): Promise<number | string> {
  const file = (name: string) => readFile(path.join(site.cluster.folder, 'certificates', name));
  const shown =
    certificate === undefined
      ? {}
      : { cert: await file(`${certificate}.crt`), key: await file(`${certificate}.key`) };
  const to = { host: '127.0.0.1', port: site.ports[0], path: '/admission/workflows', method: 'POST' };
  return new Promise((resolve) => {
    // Who attacks does not mind whose certificate it is.
    const sent = request({ ...to, agent: false, rejectUnauthorized: false, ...shown }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    sent.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    sent.end('{}');
  });
}

const reviews = async (): Promise<number> => {
  const counts = (await operator.metrics()).matchAll(
    /^signalbox_admission_review_duration_seconds_count\{.*\} (\d+)$/gm,
  );
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
};

test('the API server, which shows its certificate, is answered', async () => {
  const workflow = (steps: object[]) => ({
    apiVersion: 'signalbox.dev/v1alpha1',
    kind: 'Workflow',
    metadata: { name: 'asked' },
    spec: { steps },
  });
  const applies = async (steps: object[]) =>
    told(await site.as('ada')(['apply', '-f', '-'], JSON.stringify(workflow(steps))));
  const one = { name: 'one', script: { bash: 'true' } };
  assert.match(await applies([{ ...one, when: 'nobody' }]), /^no: .*spec\.steps\[0\]\.when: reads nobody/);
  assert.match(await applies([one]), /^yes: .*created/);
});

test('nobody else is, whatever other certificate of the cluster they show', async () => {
  const before = await reviews();
  assert.equal(await asks(), 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED');
  for (const other of ['admin', 'kube-apiserver', 'kubelet']) {
    assert.equal(typeof (await asks(other)), 'string', `${other} is answered`);
  }
  assert.equal(await reviews(), before);
  // An answer is what somebody gets who has the certificate of the API server: it is no review that they ask for.
  assert.equal(await asks('webhooks'), 400);
});
