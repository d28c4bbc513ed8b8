import type { Service } from 'kubernetes-types/core/v1.d.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { load } from '../cluster/images.ts';
import { buildSshHost, sshHostImage } from '../cluster/tool-images.ts';
import type { Kit } from './kit.ts';
import { knownHost, makeSshKey } from './ssh-key.ts';

const PORT = 2222;
const KEYS = '/etc/ssh/keys';
/** The user of the image that sshd runs as, and the only one who can log in. */
const USER = 'ops';

/** Hosts that are logged in to by SSH on the usual port, by their names: `ssh ops@web1` in a pod of the namespace. */
export interface SshHosts {
  user: string;
  /** Private key that opens each of them. */
  privateKey: string;
  /** Host keys of all, under their short names, their names in the cluster and their addresses: a known_hosts file. */
  knownHosts: string;
  /** Addresses for this machine, which does not ask the cluster's DNS. */
  addresses: Readonly<Record<string, string>>;
  /** Runs a command on a host, past SSH, and gives what it printed. */
  exec(host: string, argv: readonly string[]): Promise<string>;
}

/** Runs a pod with sshd and Python for each name, in the namespace of the kit. */
export async function deploySshHosts(
  cluster: Pick<Cluster, 'folder'>,
  kit: Kit,
  names: readonly string[],
): Promise<SshHosts> {
  await load(cluster, await buildSshHost());
  const login = await makeSshKey(USER);
  const hosts = await Promise.all(names.map((name) => deployHost(kit, name, login.publicKey)));
  const pods = names.map((name) => `pod/${name}`);
  await kit.kubectl(['wait', ...pods, '--for=condition=Ready', '--timeout=50s']);
  return {
    user: USER,
    privateKey: login.privateKey,
    knownHosts: hosts.map(({ known }) => known).join(''),
    addresses: Object.fromEntries(hosts.map(({ name, address }) => [name, address])),
    exec: (host, argv) => kit.kubectl(['exec', host, '--', ...argv]),
  };
}

async function deployHost(kit: Kit, name: string, authorized: string) {
  const hostKey = await makeSshKey(name);
  const keys = { host_key: hostKey.privateKey, authorized_keys: authorized };
  const items = [secretOf(name, keys), podOf(name), serviceOf(name)];
  await kit.apply({ apiVersion: 'v1', kind: 'List', items });
  const address = (await kit.get<Service>('service', name)).spec?.clusterIP ?? '';
  const known = knownHost([name, `${name}.${kit.namespace}.svc`, address], hostKey);
  return { name, address, known };
}

const secretOf = (name: string, stringData: Readonly<Record<string, string>>) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: `ssh-${name}` },
  stringData,
});

const serviceOf = (name: string) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: { selector: { app: name }, ports: [{ port: 22, targetPort: PORT }] },
});

/** https://man.openbsd.org/sshd_config */
const settings = {
  Port: PORT,
  HostKey: `${KEYS}/host_key`,
  AuthorizedKeysFile: `${KEYS}/authorized_keys`,
  AuthenticationMethods: 'publickey',
  // A volume can be written to by its group, which is that of nobody else here.
  StrictModes: 'no',
  PidFile: 'none',
  UsePAM: 'no',
  Subsystem: 'sftp internal-sftp',
};

const options = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);

const podOf = (name: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, labels: { app: name } },
  spec: {
    automountServiceAccountToken: false,
    terminationGracePeriodSeconds: 1,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: 65_532,
      runAsGroup: 65_532,
      fsGroup: 65_532,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    containers: [
      {
        name: 'sshd',
        image: sshHostImage,
        imagePullPolicy: 'Never',
        command: ['/usr/sbin/sshd', '-D', '-e', '-f', '/dev/null', ...options],
        readinessProbe: { tcpSocket: { port: PORT }, periodSeconds: 1 },
        securityContext: {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        },
        volumeMounts: [
          { name: 'keys', mountPath: KEYS, readOnly: true },
          { name: 'home', mountPath: `/home/${USER}` },
          { name: 'temporary', mountPath: '/tmp' },
        ],
      },
    ],
    volumes: [
      { name: 'keys', secret: { secretName: `ssh-${name}` } },
      { name: 'home', emptyDir: {} },
      { name: 'temporary', emptyDir: {} },
    ],
  },
});
