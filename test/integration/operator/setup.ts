import path from 'node:path';
import { type Cluster, down, up } from '../../cluster/cluster.ts';
import { run } from '../../cluster/command.ts';
import type { ClusterOptions } from '../../cluster/settings.ts';
import { createLoad, type Load } from '../../kit/load.ts';

const root = path.resolve(import.meta.dirname, '../../..');

/** A control plane with simulated nodes and our CRDs, and a client that starts runs. */
export interface Site extends AsyncDisposable {
  cluster: Cluster;
  load: Load;
}

/** Boots it; disposing of it removes all of it. */
export async function bootSimulated(options: ClusterOptions & { name: string }): Promise<Site> {
  // What an interrupted test left behind does not count.
  await down(options.name);
  const cluster = await up({ simulatedNodes: 2, ...options });
  await run([
    cluster.kubectl,
    '--kubeconfig',
    cluster.kubeconfig,
    'apply',
    '--server-side',
    '-f',
    path.join(root, 'crds'),
  ]);
  await run([
    cluster.kubectl,
    '--kubeconfig',
    cluster.kubeconfig,
    'wait',
    '--for=condition=Established',
    'crd',
    '--all',
    '--timeout=20s',
  ]);
  const load = await createLoad(cluster);
  return {
    cluster,
    load,
    async [Symbol.asyncDispose]() {
      await load.close();
      await down(options.name);
    },
  };
}
