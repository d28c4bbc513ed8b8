import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dnsImage } from './base-images.ts';

const labels = { 'k8s-app': 'kube-dns' };
const named = (name: string) => ({ name, namespace: 'kube-system', labels });
// Above 1024, so that it needs no privilege.
const port = 5353;

/** What runs CoreDNS in the cluster, as one List for `kubectl apply`. */
export async function dnsManifest(address: string): Promise<string> {
  const configuration = configMap(corefile(await outerResolvers()));
  const items = [account, role, roleBinding, configuration, deployment, service(address)];
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
}

/** The resolvers of this machine that a pod can reach too: not those on its loopback. */
async function outerResolvers(): Promise<string[]> {
  const behindStub = '/run/systemd/resolve/resolv.conf';
  const text = await readFile(existsSync(behindStub) ? behindStub : '/etc/resolv.conf', 'utf8');
  const addresses = [...text.matchAll(/^nameserver\s+(\S+)/gm)].map(([, address = '']) => address);
  return addresses.filter((address) => !address.startsWith('127.') && address !== '::1');
}

function corefile(resolvers: readonly string[]): string {
  return `.:${port} {
  errors
  kubernetes cluster.local in-addr.arpa {
    ttl 5
  }
  ${resolvers.length > 0 ? `forward . ${resolvers.join(' ')}` : ''}
  cache 5
}
`;
}

const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: named('coredns') };

const role = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRole',
  metadata: { name: 'system:coredns', labels },
  rules: [
    { apiGroups: [''], resources: ['services', 'namespaces'], verbs: ['list', 'watch'] },
    { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['list', 'watch'] },
  ],
};

const roleBinding = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRoleBinding',
  metadata: { name: 'system:coredns', labels },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:coredns' },
  subjects: [{ kind: 'ServiceAccount', name: 'coredns', namespace: 'kube-system' }],
};

function configMap(corefile: string) {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: named('coredns'), data: { Corefile: corefile } };
}

const container = {
  name: 'coredns',
  image: dnsImage,
  args: ['-conf', '/etc/coredns/Corefile'],
  ports: [
    { name: 'dns', containerPort: port, protocol: 'UDP' },
    { name: 'dns-tcp', containerPort: port, protocol: 'TCP' },
  ],
  volumeMounts: [{ name: 'configuration', mountPath: '/etc/coredns', readOnly: true }],
  securityContext: {
    runAsUser: 1000,
    runAsNonRoot: true,
    readOnlyRootFilesystem: true,
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
  },
};

const deployment = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: named('coredns'),
  spec: {
    selector: { matchLabels: labels },
    template: {
      metadata: { labels },
      spec: {
        serviceAccountName: 'coredns',
        priorityClassName: 'system-cluster-critical',
        dnsPolicy: 'Default', // not itself
        containers: [container],
        volumes: [{ name: 'configuration', configMap: { name: 'coredns' } }],
      },
    },
  },
};

function service(clusterIP: string) {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: named('kube-dns'),
    spec: {
      selector: labels,
      clusterIP,
      ports: [
        { name: 'dns', port: 53, targetPort: 'dns', protocol: 'UDP' },
        { name: 'dns-tcp', port: 53, targetPort: 'dns-tcp', protocol: 'TCP' },
      ],
    },
  };
}
