import path from 'node:path';
import { type Cluster, down, up } from '../../cluster/cluster.ts';
import { run } from '../../cluster/command.ts';
import type { ClusterOptions } from '../../cluster/settings.ts';
import { waitFor } from '../../cluster/wait.ts';
import { createLoad, type Load } from '../../kit/load.ts';

const root = path.resolve(import.meta.dirname, '../../..');

/** A control plane of its own with our CRDs. Disposing of it removes all of it. */
export interface Site extends AsyncDisposable {
  cluster: Cluster;
}

export const bootControlPlane = (name: string): Promise<Site> => boot({ name, controlPlane: true });

/** With simulated nodes, and a client that starts runs. */
export async function bootSimulated(
  options: ClusterOptions & { name: string },
): Promise<Site & { load: Load }> {
  const site = await boot({ simulatedNodes: 2, ...options });
  const load = await createLoad(site.cluster);
  return {
    cluster: site.cluster,
    load,
    async [Symbol.asyncDispose]() {
      await load.close();
      await site[Symbol.asyncDispose]();
    },
  };
}

async function boot(options: ClusterOptions & { name: string }): Promise<Site> {
  // What an interrupted test left behind does not count.
  await down(options.name);
  const cluster = await up(options);
  const kubectl = (...args: string[]) => run([cluster.kubectl, '--kubeconfig', cluster.kubeconfig, ...args]);
  await kubectl('apply', '--server-side', '-f', path.join(root, 'crds'));
  // kubectl gives up at once on a definition that has no conditions yet.
  await waitFor('the CRDs', 30_000, () =>
    kubectl('wait', '--for=condition=Established', 'crd', '--all', '--timeout=20s'),
  );
  return { cluster, [Symbol.asyncDispose]: () => down(options.name) };
}
