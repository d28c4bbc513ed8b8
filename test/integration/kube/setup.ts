import { setTimeout as sleep } from 'node:timers/promises';
import type { ConfigMap, Namespace } from 'kubernetes-types/core/v1.d.ts';
import { type Connection, loadConnection } from '../../../src/kube/config.ts';
import { createInformer, type InformerOptions } from '../../../src/kube/informer.ts';
import { type ResourceClient, type ResourceType, resourceClient } from '../../../src/kube/resource.ts';
import { createTransport, type Transport } from '../../../src/kube/transport.ts';
import { type Cluster, down, up } from '../../cluster/cluster.ts';

const core = (kind: string, plural: string, namespaced: boolean): ResourceType => ({
  group: '',
  version: 'v1',
  kind,
  plural,
  namespaced,
});
const NAMESPACES = core('Namespace', 'namespaces', false);
export const CONFIG_MAPS = core('ConfigMap', 'configmaps', true);

/** A real API server, and a direct way to it as admin. */
export interface Bench extends AsyncDisposable {
  cluster: Cluster;
  connection: Connection;
  transport: Transport;
  configMaps: ResourceClient<ConfigMap>;
  /** Makes a namespace of that name for one test. */
  namespace(name: string): Promise<string>;
}

/** Boots a control plane that is this test file's own. */
export async function bench(name: string): Promise<Bench> {
  // What an interrupted test left behind does not count.
  await down(name);
  const cluster = await up({ name, controlPlane: true });
  const connection = await loadConnection({ kubeconfig: cluster.kubeconfig });
  const transport = createTransport(connection, { userAgent: 'kube-test/1' });
  const namespaces = resourceClient<Namespace>(transport, NAMESPACES);
  return {
    cluster,
    connection,
    transport,
    configMaps: resourceClient<ConfigMap>(transport, CONFIG_MAPS),
    async namespace(name) {
      await namespaces.ensure({ metadata: { name } });
      return name;
    },
    async [Symbol.asyncDispose]() {
      await transport.close();
      await down(cluster.name);
    },
  };
}

/** What the tests keep of a ConfigMap. */
export interface View {
  name: string;
  revision: number;
}

export interface Watching extends AsyncDisposable {
  /** `name@revision` of all that the store holds, sorted. */
  held(): string[];
  /** `Added name`, `Updated name`, `Deleted name` in the order told. */
  changes: string[];
  errors: unknown[];
  synced: Promise<void>;
  hasSynced(): boolean;
}

/** Watches the ConfigMaps of one namespace over the given connection, until disposed. */
export function watchConfigMaps(
  transport: Transport,
  namespace: string,
  options: Partial<InformerOptions<ConfigMap, View, never>> = {},
): Watching {
  const errors: unknown[] = [];
  const changes: string[] = [];
  const last = new Map<string, number>();
  const informer = createInformer<ConfigMap, View, never>({
    client: resourceClient<ConfigMap>(transport, CONFIG_MAPS),
    selection: { namespace, labelSelector: 'kube-test' },
    project: ({ metadata }) => ({ name: metadata?.name ?? '', revision: Number(metadata?.resourceVersion) }),
    indexers: {},
    onError: (error) => errors.push(error),
    ...options,
  });
  informer.store.subscribe((change) => {
    const { name, revision } = change.type === 'Deleted' ? change.previous : change.object;
    changes.push(`${change.type} ${name}`);
    if (change.type === 'Deleted') return;
    if (revision <= (last.get(name) ?? 0))
      errors.push(new Error(`${name}@${revision} was told twice or late`));
    last.set(name, revision);
  });
  const controller = new AbortController();
  const running = informer.run(controller.signal);
  return {
    held: () =>
      informer.store
        .list()
        .map(({ name, revision }) => `${name}@${revision}`)
        .sort(),
    changes,
    errors,
    synced: informer.synced,
    hasSynced: informer.hasSynced,
    async [Symbol.asyncDispose]() {
      controller.abort(new Error('the test is over'));
      await running;
    },
  };
}

/** A ConfigMap that `watchConfigMaps` sees. */
export function configMap(namespace: string, name: string, data: Record<string, string> = {}): ConfigMap {
  return { metadata: { namespace, name, labels: { 'kube-test': '' } }, data };
}

/** The same as `held`, from the server itself. */
export async function existing(client: ResourceClient<ConfigMap>, namespace: string): Promise<string[]> {
  const { items } = await client.list({ namespace, labelSelector: 'kube-test' });
  return items.map(({ metadata }) => `${metadata?.name}@${metadata?.resourceVersion}`).sort();
}

/** Looks again until it is so. @throws after `limitMs` */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  limitMs = 20_000,
): Promise<void> {
  for (const deadline = performance.now() + limitMs; !(await condition()); await sleep(20)) {
    if (performance.now() > deadline) throw new Error(`after ${limitMs} ms it is still not so that ${what}`);
  }
}
