import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Binaries } from './binaries.ts';
import { serverUrl } from './certificates.ts';
import type { Addresses, ClusterSettings } from './settings.ts';

/** What the command lines of the cluster's parts are made of. */
export interface Site {
  readonly folder: string;
  readonly settings: ClusterSettings;
  readonly addresses: Addresses;
  readonly programs: Binaries;
}

export function certificate(site: Site, file: string): string {
  return path.join(site.folder, 'certificates', file);
}

export function auditLog(site: Pick<Site, 'folder'>): string {
  return path.join(site.folder, 'log', 'audit.jsonl');
}

/** Everything but watches of the API server's own health, at the end of each request. */
const auditPolicy = {
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived'],
  rules: [{ level: 'None', nonResourceURLs: ['*'] }, { level: 'Metadata' }],
};

/** By which the API server finds what it shows to webhooks: https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#authenticate-apiservers */
const admissionConfiguration = (site: Site) => ({
  apiVersion: 'apiserver.config.k8s.io/v1',
  kind: 'AdmissionConfiguration',
  plugins: ['ValidatingAdmissionWebhook', 'MutatingAdmissionWebhook'].map((name) => ({
    name,
    configuration: {
      apiVersion: 'apiserver.config.k8s.io/v1',
      kind: 'WebhookAdmissionConfiguration',
      kubeConfigFile: inFolder(site, 'webhooks.kubeconfig'),
    },
  })),
});

/** To whichever webhook. */
const webhookKubeconfig = (site: Site) => ({
  apiVersion: 'v1',
  kind: 'Config',
  users: [
    {
      name: '*',
      user: {
        'client-certificate': certificate(site, 'webhooks.crt'),
        'client-key': certificate(site, 'webhooks.key'),
      },
    },
  ],
});

const inFolder = ({ folder }: Site, file: string) => path.join(folder, file);

export async function writeControlPlaneFiles(site: Site): Promise<void> {
  const write = (file: string, content: object) => writeFile(inFolder(site, file), JSON.stringify(content));
  await write('audit-policy.json', auditPolicy);
  await write('admission.json', admissionConfiguration(site));
  await write('webhooks.kubeconfig', webhookKubeconfig(site));
}

export function etcdCommand({ programs, folder, addresses: { ports } }: Site): string[] {
  const clients = `http://127.0.0.1:${ports.etcd}`;
  const peers = `http://127.0.0.1:${ports.etcdPeer}`;
  return [
    programs.kube,
    'etcd',
    ...flags({
      'data-dir': path.join(folder, 'etcd'),
      'listen-client-urls': clients,
      'advertise-client-urls': clients,
      'listen-peer-urls': peers,
      'initial-advertise-peer-urls': peers,
      'initial-cluster': `default=${peers}`,
      'log-level': 'warn',
      'unsafe-no-fsync': true, // survives the death of processes, not of the machine: all that a local cluster needs
    }),
  ];
}

export function apiServerCommand(site: Site): string[] {
  const { programs, settings, addresses } = site;
  const file = (name: string) => certificate(site, name);
  return [
    programs.kube,
    'kube-apiserver',
    ...flags({
      'etcd-servers': `http://127.0.0.1:${addresses.ports.etcd}`,
      'secure-port': addresses.ports.api,
      'advertise-address': addresses.host,
      'service-cluster-ip-range': addresses.serviceRange,
      'tls-cert-file': file('kube-apiserver.crt'),
      'tls-private-key-file': file('kube-apiserver.key'),
      'client-ca-file': file('ca.crt'),
      'authorization-mode': 'Node,RBAC',
      'allow-privileged': true,
      'service-account-issuer': 'https://kubernetes.default.svc.cluster.local',
      'service-account-key-file': file('service-accounts.pub'),
      'service-account-signing-key-file': file('service-accounts.key'),
      'kubelet-client-certificate': file('kubelet-client.crt'),
      'kubelet-client-key': file('kubelet-client.key'),
      'kubelet-certificate-authority': file('ca.crt'),
      'kubelet-preferred-address-types': 'InternalIP',
      'max-requests-inflight': 2000,
      'max-mutating-requests-inflight': 1000,
      ...(settings.controlPlane ? withoutNetwork : {}),
      ...(settings.audit ? auditFlags(site) : {}),
      ...(settings.webhookCertificate
        ? { 'admission-control-config-file': inFolder(site, 'admission.json') }
        : {}),
    }),
  ];
}

// Nothing but this machine can reach it, and no pod looks for it under its service address.
const withoutNetwork = { 'bind-address': '127.0.0.1', 'endpoint-reconciler-type': 'none' };

function auditFlags(site: Site) {
  return {
    'audit-policy-file': inFolder(site, 'audit-policy.json'),
    'audit-log-path': auditLog(site),
  };
}

export function controllerManagerCommand(site: Site): string[] {
  const { controllerQps } = site.settings;
  return [
    site.programs.kube,
    'kube-controller-manager',
    ...flags({
      ...clientFlags(site, 'kube-controller-manager'),
      'use-service-account-credentials': true,
      'root-ca-file': certificate(site, 'ca.crt'),
      'service-account-private-key-file': certificate(site, 'service-accounts.key'),
      'kube-api-qps': controllerQps,
      'kube-api-burst': Math.ceil(controllerQps * 1.5),
    }),
  ];
}

export function schedulerCommand(site: Site): string[] {
  const fast = { 'kube-api-qps': 1000, 'kube-api-burst': 2000 }; // it binds every simulated pod
  return [
    site.programs.kube,
    'kube-scheduler',
    ...flags({ ...clientFlags(site, 'kube-scheduler'), ...fast }),
  ];
}

function clientFlags(site: Site, identity: string) {
  return { kubeconfig: certificate(site, `${identity}.kubeconfig`), 'leader-elect': false, 'secure-port': 0 };
}

/** Arguments of the simulated kubelet, see simulated-kubelet.ts. */
export function simulatedKubeletCommand(site: Site): string[] {
  const { simulatedNodes, podDuration, podMessage } = site.settings;
  return [
    process.execPath,
    path.join(import.meta.dirname, 'simulated-kubelet.ts'),
    ...flags({
      server: serverUrl(site.addresses),
      certificates: certificate(site, ''),
      nodes: simulatedNodes,
      duration: podDuration,
      message: podMessage,
    }),
  ];
}

export function flags(values: Readonly<Record<string, string | number | boolean>>): string[] {
  return Object.entries(values).map(([name, value]) => `--${name}=${value}`);
}
