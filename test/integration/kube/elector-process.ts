import { setTimeout as sleep } from 'node:timers/promises';
import type { ConfigMap } from 'kubernetes-types/core/v1.d.ts';
import type { Lease } from 'kubernetes-types/coordination/v1.d.ts';
import { loadConnection } from '../../../src/kube/config.ts';
import { createElector, LEASES } from '../../../src/kube/lease.ts';
import { resourceClient } from '../../../src/kube/resource.ts';
import { createTransport, withFence } from '../../../src/kube/transport.ts';
import { CONFIG_MAPS } from './setup.ts';

/**
 * One of two processes that compete for a lease. While it leads, it writes its name into the ConfigMap `journal` as fast as it
 * can, so that the history of that object tells who wrote when. SIGTERM is the graceful end.
 */
const [kubeconfig = '', namespace = '', identity = ''] = process.argv.slice(2);
const transport = createTransport(await loadConnection({ kubeconfig }), { userAgent: identity });
const stop = new AbortController();
process.on('SIGTERM', () => stop.abort(new Error('SIGTERM')));
const elector = createElector({
  client: resourceClient<Lease>(transport, LEASES),
  namespace,
  name: 'operator',
  identity,
  leaseDurationMs: 2_000,
  renewDeadlineMs: 1_500,
  retryPeriodMs: 300,
  onError: (error) => console.error(String(error)),
});
const journal = resourceClient<ConfigMap>(withFence(transport, elector.isLeader), CONFIG_MAPS);

async function lead(term: AbortSignal): Promise<void> {
  console.log('leading');
  for (let n = 0; !term.aborted; n++) {
    // Not with the signal of the term: only the fence is to hold it back.
    await journal
      .patch({ namespace, name: 'journal' }, { data: { writer: identity, n: String(n) } })
      .catch((error: unknown) => console.log(String(error)));
    await sleep(5);
  }
  console.log(`stopped: ${String(term.reason)}`);
}

await elector.run({ signal: stop.signal, lead });
await transport.close();
