import { Resolver } from 'node:dns/promises';
import type { Node } from 'kubernetes-types/core/v1.d.ts';
import { get } from './api.ts';
import { nodeName, serverUrl } from './certificates.ts';
import { run } from './command.ts';
import { assertRunning, type Component } from './components.ts';
import type { Site } from './control-plane.ts';
import { containerdSocket } from './images.ts';
import { waitFor } from './wait.ts';

const limit = 60_000;

/** Waits for an answer that a component must give; fails at once, with its log, when the component has ended. */
async function ready<T>(site: Site, component: Component, ask: () => Promise<T | undefined>): Promise<void> {
  await waitFor(`${component} to be ready`, limit, async () => {
    await assertRunning(site.folder, component);
    return ask();
  });
}

export async function apiServerReady(site: Site): Promise<void> {
  await ready(site, 'kube-apiserver', async () => {
    await assertRunning(site.folder, 'etcd');
    return ask(site, '/readyz');
  });
}

/** Controllers work once the account exists that pods of the default namespace run as. */
export async function controllersReady(site: Site): Promise<void> {
  const account = '/api/v1/namespaces/default/serviceaccounts/default';
  await ready(site, 'kube-controller-manager', () => ask(site, account));
}

export async function containerdReady(site: Site): Promise<void> {
  await ready(site, 'containerd', () => run(['ctr', '--address', containerdSocket(site.folder), 'version']));
}

export async function nodeReady(site: Site): Promise<void> {
  await ready(site, 'kubelet', async () => {
    const node: Node = JSON.parse(await ask(site, `/api/v1/nodes/${nodeName}`));
    const conditions = node.status?.conditions ?? [];
    return conditions.find(({ type, status }) => type === 'Ready' && status === 'True');
  });
}

/** Asks the cluster's DNS as a pod would, which needs all of the node: containers, network and kube-proxy. */
export async function dnsReady({ addresses }: Site): Promise<void> {
  await waitFor('the DNS of the cluster to answer', limit, async () => {
    const resolver = new Resolver({ timeout: 500, tries: 1 });
    resolver.setServers([addresses.dnsService]);
    return resolver.resolve4('kubernetes.default.svc.cluster.local');
  });
}

async function ask(site: Site, resource: string): Promise<string> {
  return get(site.folder, serverUrl(site.addresses), resource);
}
