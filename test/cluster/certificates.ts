import { generateKeyPairSync } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { run } from './command.ts';
import type { Addresses } from './settings.ts';

interface Identity {
  readonly subject: string;
  readonly names?: readonly string[];
}

/** The name of the one node that runs containers. */
export const nodeName = 'node-1';

/** Who there is in the cluster: file name and what the certificate says. The API server reads users and groups from it. */
function identities(addresses: Addresses): Readonly<Record<string, Identity>> {
  return {
    'kube-apiserver': {
      subject: '/CN=kube-apiserver',
      names: [
        ...[
          'kubernetes',
          'kubernetes.default',
          'kubernetes.default.svc',
          'kubernetes.default.svc.cluster.local',
        ].map(dns),
        ...['localhost'].map(dns),
        ...new Set(['127.0.0.1', addresses.host, addresses.apiService].map(ip)),
      ],
    },
    admin: { subject: '/O=system:masters/CN=admin' },
    'kube-controller-manager': { subject: '/CN=system:kube-controller-manager' },
    'kube-scheduler': { subject: '/CN=system:kube-scheduler' },
    'kube-proxy': { subject: '/CN=system:kube-proxy' },
    kubelet: {
      subject: `/O=system:nodes/CN=system:node:${nodeName}`,
      names: [dns(nodeName), ip(addresses.host)],
    },
    'kubelet-client': { subject: '/O=system:masters/CN=kube-apiserver-kubelet-client' },
    'simulated-kubelet': { subject: '/O=system:masters/CN=simulated-kubelet' },
  };
}

const dns = (name: string) => `DNS:${name}`;
const ip = (address: string) => `IP:${address}`;

// openssl reads a configuration of the machine's own unless it is given one, and that one may add extensions.
const configuration = `[req]
distinguished_name = subject
x509_extensions = none
[subject]
[none]
[ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,digitalSignature
subjectKeyIdentifier = hash
`;

/**
 * Makes the certificate authority, the key that signs service account tokens, and for each identity a certificate, a
 * key and a kubeconfig, into `folder`. They are valid for ten years.
 */
export async function makeCertificates(folder: string, cluster: string, addresses: Addresses): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const file = (name: string) => path.join(folder, name);
  await writeFile(file('openssl.cnf'), configuration);
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  await writeFile(file('service-accounts.key'), privateKey.export({ type: 'sec1', format: 'pem' }), {
    mode: 0o600,
  });
  await writeFile(file('service-accounts.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
  await certify(folder, 'ca', '/CN=signalbox local cluster', ['-extensions', 'ca']);
  const made = Object.entries(identities(addresses)).map(async ([name, { subject, names }]) => {
    await certify(folder, name, subject, [
      ...signedIn(folder),
      ...extension('extendedKeyUsage', ['serverAuth', 'clientAuth']),
      ...(names ? extension('subjectAltName', names) : []),
    ]);
    await writeKubeconfig(folder, name, cluster, addresses);
  });
  await Promise.all([...made, makeWebhookCertificate(folder)]);
}

/** What the API server shows to webhooks, by an authority that vouches for nobody else. */
async function makeWebhookCertificate(folder: string): Promise<void> {
  await certify(folder, 'webhooks-ca', '/CN=signalbox local cluster webhooks', ['-extensions', 'ca']);
  await certify(folder, 'webhooks', '/CN=kube-apiserver', [
    ...signedIn(folder, 'webhooks-ca'),
    ...extension('extendedKeyUsage', ['clientAuth']),
  ]);
}

/** A certificate for a server, its key, and the authority that vouches for it, as PEM. */
export interface ServerCertificate {
  readonly certificate: string;
  readonly key: string;
  readonly authority: string;
}

/** Makes a private authority and a certificate of it that is good for these names and addresses. */
export async function makeServerCertificate(
  names: readonly string[],
  addresses: readonly string[],
): Promise<ServerCertificate> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'signalbox-certificate-'));
  try {
    await writeFile(path.join(folder, 'openssl.cnf'), configuration);
    await certify(folder, 'ca', '/CN=signalbox test authority', ['-extensions', 'ca']);
    await certify(folder, 'server', `/CN=${names[0]}`, [
      ...signedIn(folder),
      ...extension('extendedKeyUsage', ['serverAuth']),
      ...extension('subjectAltName', [...names.map(dns), ...addresses.map(ip)]),
    ]);
    const read = (file: string) => readFile(path.join(folder, file), 'utf8');
    return {
      certificate: await read('server.crt'),
      key: await read('server.key'),
      authority: await read('ca.crt'),
    };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Options that let an authority in this folder sign. */
const signedIn = (folder: string, authority = 'ca') => [
  '-CA',
  path.join(folder, `${authority}.crt`),
  '-CAkey',
  path.join(folder, `${authority}.key`),
];

const extension = (name: string, values: readonly string[]) => ['-addext', `${name}=${values.join(',')}`];

async function certify(
  folder: string,
  name: string,
  subject: string,
  more: readonly string[],
): Promise<void> {
  const file = (suffix: string) => path.join(folder, `${name}.${suffix}`);
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', file('key')];
  const certificate = ['-out', file('crt'), '-days', '3650', '-subj', subject];
  const configured = ['-config', path.join(folder, 'openssl.cnf')];
  await run(['openssl', 'req', '-x509', ...configured, ...key, ...certificate, ...more]);
}

async function writeKubeconfig(
  folder: string,
  name: string,
  cluster: string,
  addresses: Addresses,
): Promise<void> {
  const encoded = async (file: string) => (await readFile(path.join(folder, file))).toString('base64');
  const context = `signalbox-${cluster}`;
  const server = serverUrl(addresses);
  const user = {
    'client-certificate-data': await encoded(`${name}.crt`),
    'client-key-data': await encoded(`${name}.key`),
  };
  const kubeconfig = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': context,
    clusters: [{ name: context, cluster: { server, 'certificate-authority-data': await encoded('ca.crt') } }],
    users: [{ name, user }],
    contexts: [{ name: context, context: { cluster: context, user: name } }],
  };
  const file = path.join(folder, `${name}.kubeconfig`);
  await writeFile(file, `${JSON.stringify(kubeconfig, null, 2)}\n`, { mode: 0o600 });
}

/** Where the API server answers. */
export function serverUrl(addresses: Addresses): string {
  return `https://${addresses.host}:${addresses.ports.api}`;
}

export function adminKubeconfig(clusterFolder: string): string {
  return path.join(clusterFolder, 'certificates', 'admin.kubeconfig');
}
