import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, suite, test } from 'node:test';
import { connect } from 'node:tls';
import type { ValidatingWebhookConfiguration } from 'kubernetes-types/admissionregistration/v1.d.ts';
import type { Pod, Secret } from 'kubernetes-types/core/v1.d.ts';
import { type Cluster, down, up } from '../cluster/cluster.ts';
import { reportTo } from '../cluster/report.ts';
import { waitFor } from '../cluster/wait.ts';
import { install, NAMESPACE } from '../demo/install.ts';
import { type CertManager, startCertManager } from '../kit/cert-manager.ts';
import { createKit, inNamespace, type Kit } from '../kit/kit.ts';

/** A kubelet brings another Secret to a pod within a minute and a half, and the operator looks every 15 seconds. */
const RENEWAL_LIMIT_MS = 150_000;
const LIMIT_MS = 60_000;
const BETWEEN_WRITES_MS = 250;
const CONFIGURATIONS = ['validatingwebhookconfiguration', 'mutatingwebhookconfiguration'];

const report = reportTo(process.stderr);
const one = { name: 'one', script: { bash: 'true' } };

/** One test goes on where the one before has ended. */
suite('cert-manager makes what the operator serves with', { concurrency: 1 }, () => {
  let cluster: Cluster;
  let certManager: CertManager;
  let kit: Kit;
  let system: Kit;

  before(async () => {
    await down('certs');
    cluster = await up({ name: 'certs' }, report);
    certManager = await startCertManager(cluster, report);
    await install({ name: 'certs' }, report, { 'certManager.enabled': 'true' });
    system = createKit(cluster, NAMESPACE);
    kit = await inNamespace(cluster, 'certs');
    await isTrusted((await servingSecret())('ca.crt'));
    await kit.applyWorkflow('good', { steps: [one] });
  });
  after(async () => {
    await certManager?.[Symbol.asyncDispose]();
    await down('certs');
  });

  const secret = async (name: string) => {
    const { data = {} } = await system.get<Secret>('secret', name);
    return (file: string) => Buffer.from(data[file] ?? '', 'base64').toString();
  };
  const servingSecret = () => secret('signalbox-serving-tls');

  /** The authorities that each webhook is checked with. */
  async function trusted(): Promise<string[]> {
    const both = CONFIGURATIONS.map((kind) => kit.get<ValidatingWebhookConfiguration>(kind, 'signalbox'));
    const webhooks = (await Promise.all(both)).flatMap(({ webhooks: all = [] }) => all);
    return webhooks.map(({ clientConfig }) => Buffer.from(clientConfig.caBundle ?? '', 'base64').toString());
  }

  /** Waits until the API server trusts an authority at all four webhooks; the injector leaves those of before there. */
  const isTrusted = (ca: string) =>
    waitFor('the API server to trust the authority', LIMIT_MS, async () => {
      const found = await trusted();
      if (found.length === 4 && found.every((bundle) => bundle.includes(ca))) return true;
      throw new Error(`${JSON.stringify(found)}\n${certManager.log().slice(-2000)}`);
    });

  /** Addresses of the replicas. */
  async function replicas(): Promise<string[]> {
    const { items } = await system.get<{ items: Pod[] }>('pods', '-l', 'app.kubernetes.io/name=signalbox');
    return items.flatMap(({ status }) => status?.podIP ?? []);
  }

  /** What each replica serves with, at both of its ports, to somebody who trusts these authorities. */
  async function served(ca: string): Promise<string[]> {
    const names = { 8443: 'runner-api', 9443: 'admission' };
    const ports = Object.entries(names).map(([port, name]) => [Number(port), name] as const);
    return Promise.all(
      (await replicas()).flatMap((host) =>
        ports.map(([port, name]) => servedBy(host, port, `signalbox-${name}.${NAMESPACE}.svc`, ca)),
      ),
    );
  }

  /** As `cmctl renew` asks for it. */
  async function renew(certificate: string): Promise<void> {
    const asked = {
      type: 'Issuing',
      status: 'True',
      reason: 'ManuallyTriggered',
      message: 'asked for by a test',
      lastTransitionTime: new Date().toISOString(),
    };
    const patch = JSON.stringify({ status: { conditions: [asked] } });
    const how = ['--subresource=status', '--type=merge', '-p', patch];
    await system.kubectl(['patch', 'certificate', certificate, ...how]);
  }

  /** Waits until a Secret has another certificate than this one, and gives it. */
  const renewed = (name: string, before: string) =>
    waitFor(`cert-manager to renew ${name}`, LIMIT_MS, async () => {
      const file = await secret(name);
      return file('tls.crt') === before ? undefined : file;
    });

  /** Waits until all replicas serve what is in the Secret now, and gives it. */
  const isServedEverywhere = () =>
    waitFor('every replica to serve the renewed certificate', RENEWAL_LIMIT_MS, async () => {
      const file = await servingSecret();
      const found = await served(file('ca.crt'));
      const own = new X509Certificate(file('tls.crt')).toString();
      return found.length === 4 && found.every((pem) => pem === own) ? own : undefined;
    });

  /** Has the API server ask the webhooks all the time, until the work is done. Gives how often, and what was refused. */
  async function whileWriting(work: () => Promise<unknown>): Promise<{ writes: number; refused: string[] }> {
    const refused: string[] = [];
    let writes = 0;
    let isDone = false;
    const writing = (async () => {
      for (; !isDone; writes += 1) {
        const annotation = `example.com/round=${writes}`;
        const write = kit.kubectl(['annotate', 'workflow', 'good', '--overwrite', annotation]);
        await write.catch((error: unknown) => void refused.push(String(error)));
        await sleep(BETWEEN_WRITES_MS);
      }
    })();
    await work().finally(() => {
      isDone = true;
    });
    await writing;
    return { writes, refused };
  }

  test('it is installed by helm, the API server trusts it, and both webhooks and the runner API answer', async () => {
    const file = await servingSecret();
    assert.equal((await served(file('ca.crt'))).length, 4);
    const wrong = kit.applyWorkflow('bad', { steps: [{ ...one, when: 'nobody' }] });
    await assert.rejects(wrong, /spec\.steps\[0\]\.when: reads nobody/);
    await kit.runWorkflow('good', { steps: [one] });
  });

  test('the operator may not write webhook configurations, and has made no certificate', async () => {
    const account = `--as=system:serviceaccount:${NAMESPACE}:signalbox`;
    for (const kind of CONFIGURATIONS) {
      const answer = await kit.kubectl(['auth', 'can-i', 'patch', kind, account]).catch(String);
      assert.match(answer, /^no$/m);
    }
    await assert.rejects(secret('signalbox-runner-api-tls'), /NotFound/);
  });

  test('a renewal comes to running replicas, and no write is refused meanwhile', async () => {
    const before = (await servingSecret())('tls.crt');
    const { writes, refused } = await whileWriting(async () => {
      await renew('signalbox-serving');
      await renewed('signalbox-serving-tls', before);
      await isServedEverywhere();
    });
    assert.deepEqual(refused, []);
    assert.ok(writes > 20, `there were ${writes} writes`);
    console.log(`${writes} writes while the certificate was renewed`);
  });

  test('a renewal of the authority keeps its key: who trusts one of both trusts the other', async () => {
    const before = await secret('signalbox-ca');
    await renew('signalbox-ca');
    const next = await renewed('signalbox-ca', before('tls.crt'));
    const [one, other] = [new X509Certificate(before('tls.crt')), new X509Certificate(next('tls.crt'))];
    assert.ok(one.publicKey.equals(other.publicKey));
    assert.deepEqual((await served(next('tls.crt'))).length, 4);
  });

  test('an authority with another key comes to running replicas as well, without a refused write', async () => {
    const before = await servingSecret();
    const { writes, refused } = await whileWriting(async () => {
      const authority = await secret('signalbox-ca');
      await system.kubectl(['delete', 'secret', 'signalbox-ca']);
      const next = await renewed('signalbox-ca', authority('tls.crt'));
      await renew('signalbox-serving');
      const serving = await renewed('signalbox-serving-tls', before('tls.crt'));
      assert.equal(serving('ca.crt'), next('tls.crt'));
      await isTrusted(serving('ca.crt'));
      await isServedEverywhere();
    });
    await assert.rejects(
      served(before('ca.crt')),
      'who trusts the authority of before alone does not trust it',
    );
    assert.deepEqual(refused, []);
    console.log(`${writes} writes while the authority was replaced`);
  });

  test('without cert-manager, the operator takes it over', async () => {
    const { 'ca.crt': before } = (await system.get<Secret>('secret', 'signalbox-serving-tls')).data ?? {};
    await install({ name: 'certs' }, report, { 'certManager.enabled': 'false' });
    const own = await secret('signalbox-runner-api-tls');
    assert.notEqual(own('ca.crt'), before);
    await isTrusted(own('ca.crt'));
    await kit.applyWorkflow('after', { steps: [one] });
  });
});

/** The certificate that somebody gets who trusts these authorities and calls a host by a name of it, in PEM. */
async function servedBy(host: string, port: number, servername: string, ca: string): Promise<string> {
  const socket = connect({ host, port, servername, ca });
  try {
    await once(socket, 'secureConnect', { signal: AbortSignal.timeout(5000) });
    return new X509Certificate(socket.getPeerCertificate().raw).toString();
  } finally {
    socket.destroy();
  }
}
