import { randomBytes } from 'node:crypto';
import { type Cluster, reach } from '../../cluster/cluster.ts';
import { silent } from '../../cluster/report.ts';
import { boot, install } from '../../demo/install.ts';
import { jane, letApprove } from '../../demo/people.ts';
import { newPlainSecret, newSecret } from '../../kit/canary.ts';
import { type EchoServer, startEchoServer } from '../../kit/echo-server.ts';
import { type EtcdRecording, recordEtcd } from '../../kit/etcd.ts';
import { type FakeSlack, startFakeSlack } from '../../kit/fake-slack.ts';
import { createKit, type Kit } from '../../kit/kit.ts';
import { Plants } from './plants.ts';
import { plantForRunners } from './projects.ts';
import type { Addresses } from './workflows.ts';

/** A cluster with the operator, a namespace full of secrets, and those that the operator calls, on this machine. */
export interface Site extends AsyncDisposable {
  cluster: Cluster;
  kit: Kit;
  etcd: EtcdRecording;
  slack: FakeSlack;
  echo: EchoServer;
  plants: Plants;
  /** The secret that calls send as a header. */
  header: string;
  /** Under which the cluster reaches this machine. */
  host: string;
  addresses: Addresses;
  /** Installs the chart anew, with further values. */
  install(values?: Readonly<Record<string, string>>): Promise<unknown>;
}

const CLUSTER = { name: 'e2e' };
/** The discard port, where nobody listens. */
const NOWHERE = 9;

export async function startSite(): Promise<Site> {
  const cluster = await boot(CLUSTER, silent);
  const { gateway: host } = (await reach(cluster)).addresses;
  const plants = new Plants();
  const token = `xoxb-${newSecret()}`;
  const webhook = newPlainSecret();
  await using stack = new AsyncDisposableStack();
  const webhookPath = `/services/T1/B1/${webhook}`;
  const slack = stack.use(await startFakeSlack({ host: '0.0.0.0', token, webhookPath }));
  const echo = stack.use(await startEchoServer());
  const etcd = stack.use(await recordEtcd(cluster));
  const slackUrl = `http://${host}:${portOf(slack.apiUrl)}`;
  const site = {
    cluster,
    kit: createKit(cluster, `canaries-${randomBytes(3).toString('hex')}`),
    etcd,
    slack,
    echo,
    plants,
    header: newSecret(),
    host,
    addresses: { echo: `http://${host}:${echo.port}`, nowhere: `http://${host}:${NOWHERE}` },
    install: (values = {}) =>
      install(CLUSTER, silent, { logLevel: 'debug', 'slack.apiUrl': `${slackUrl}/api`, ...values }),
  };
  await site.kit.makeNamespace();
  const [projects] = await Promise.all([
    plantForRunners(site),
    plantForCalls(site, { token, webhook: `${slackUrl}${webhookPath}` }),
    letApprove(site.kit, jane),
    site.install(),
  ]);
  await site.kit.apply({ apiVersion: 'v1', kind: 'List', items: projects });
  const whole = stack.move();
  return { ...site, [Symbol.asyncDispose]: () => whole.disposeAsync() };
}

const portOf = (url: string) => new URL(url).port;

/** What the operator itself reads, and a script. */
async function plantForCalls(
  { kit, plants, addresses, header }: Pick<Site, 'kit' | 'plants' | 'addresses' | 'header'>,
  { token, webhook }: { token: string; webhook: string },
): Promise<void> {
  const { namespace } = kit;
  const lastPart = (url: string) => Buffer.from(/[^/?]+$/.exec(url)?.[0] ?? '');
  const hook = (path: string) => `${addresses.echo}/hooks/${path}/${newPlainSecret()}`;
  const use = true;
  const items = [
    plants.secret(namespace, 'slack', { secret: { token }, use }),
    plants.secret(namespace, 'slack-webhook', { secret: { url: webhook }, partOf: lastPart, use }),
    plants.secret(namespace, 'slack-wrong', { secret: { token: `xoxb-${newSecret()}` }, use }),
    plants.secret(namespace, 'webhooks-wrong', {
      secret: {
        gone: `${addresses.echo}/hooks/404/no_service?${newPlainSecret()}`,
        broken: hook('500'),
        echoing: hook('400'),
      },
      partOf: lastPart,
      use,
    }),
    plants.secret(namespace, 'header', { secret: { value: header }, use }),
    plants.secret(namespace, 'unfit', { secret: { lines: `${newSecret()}\n${newSecret()}` }, use }),
    plants.secret(namespace, 'script', { secret: { token: newSecret() } }),
  ];
  await kit.apply({ apiVersion: 'v1', kind: 'List', items });
}
