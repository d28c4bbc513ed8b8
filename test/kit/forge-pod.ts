import { randomBytes } from 'node:crypto';
import type { ServerCertificate } from '../cluster/certificates.ts';
import { forgeImage } from '../cluster/tool-images.ts';
import type { SshKey } from './ssh-key.ts';

/** Name of all objects of the forge. */
export const FORGE = 'forge';

/** Who owns everything in the forge. */
export interface Account {
  user: string;
  password: string;
}

const PORTS = { https: 3000, ssh: 2222 };
const SETTINGS = '/etc/gitea';
const FILE = `${SETTINGS}/app.ini`;

/** The usual ports, so that addresses need none. */
export const service = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: FORGE },
  spec: {
    selector: { app: FORGE },
    ports: [
      { name: 'https', port: 443, targetPort: PORTS.https },
      { name: 'ssh', port: 22, targetPort: PORTS.ssh },
    ],
  },
};

/** The Secret with the settings of a Gitea that is reached by this name. */
export const settingsOf = (host: string, tls: ServerCertificate, hostKey: SshKey) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: FORGE },
  stringData: {
    'app.ini': ini(sections(host)),
    'tls.crt': tls.certificate,
    'tls.key': tls.key,
    ssh_host_key: hostKey.privateKey,
  },
});

/** https://docs.gitea.com/administration/config-cheat-sheet */
const sections = (host: string) => ({
  '': { RUN_USER: 'git', RUN_MODE: 'prod', WORK_PATH: '/data' },
  server: {
    PROTOCOL: 'https',
    HTTP_PORT: PORTS.https,
    DOMAIN: host,
    ROOT_URL: `https://${host}/`,
    CERT_FILE: `${SETTINGS}/tls.crt`,
    KEY_FILE: `${SETTINGS}/tls.key`,
    START_SSH_SERVER: true,
    SSH_PORT: 22,
    SSH_LISTEN_PORT: PORTS.ssh,
    SSH_SERVER_HOST_KEYS: `${SETTINGS}/ssh_host_key`,
    STATIC_ROOT_PATH: '/usr/local/share/gitea',
    OFFLINE_MODE: true,
    LFS_START_SERVER: false,
  },
  database: { DB_TYPE: 'sqlite3', PATH: '/data/gitea.db' },
  // Gitea would make up what is secret and write it into the settings, which it can not.
  security: { INSTALL_LOCK: true, SECRET_KEY: secret(), INTERNAL_TOKEN: secret() },
  oauth2: { JWT_SECRET: secret() },
  webhook: { ALLOWED_HOST_LIST: '*' },
  indexer: { ISSUE_INDEXER_TYPE: 'db' },
  log: { LEVEL: 'Warn' },
});

const secret = () => randomBytes(32).toString('base64url');

function ini(
  sections: Readonly<Record<string, Readonly<Record<string, string | number | boolean>>>>,
): string {
  return Object.entries(sections)
    .flatMap(([section, settings]) => [
      ...(section ? [`[${section}]`] : []),
      ...Object.entries(settings).map(([name, value]) => `${name} = ${value}`),
    ])
    .join('\n');
}

const securityContext = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
};

const container = {
  image: forgeImage,
  imagePullPolicy: 'Never',
  securityContext,
  volumeMounts: [
    { name: 'settings', mountPath: SETTINGS, readOnly: true },
    { name: 'data', mountPath: '/data' },
    { name: 'temporary', mountPath: '/tmp' },
  ],
};

/** Makes the database and the account, so that the forge starts with both. */
const firstSteps = `
gitea --config ${FILE} migrate
gitea --config ${FILE} admin user create --username "$ACCOUNT" --password "$PASSWORD" \\
  --email "$ACCOUNT@example.com" --admin --must-change-password=false
`;

export const podOf = ({ user, password }: Account) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: FORGE, labels: { app: FORGE } },
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
    initContainers: [
      {
        ...container,
        name: 'account',
        command: ['bash', '-ec', firstSteps],
        env: [
          { name: 'ACCOUNT', value: user },
          { name: 'PASSWORD', value: password },
        ],
      },
    ],
    containers: [
      {
        ...container,
        name: 'gitea',
        command: ['gitea', '--config', FILE, 'web'],
        readinessProbe: {
          httpGet: { scheme: 'HTTPS', path: '/api/healthz', port: PORTS.https },
          periodSeconds: 1,
        },
      },
    ],
    volumes: [
      { name: 'settings', secret: { secretName: FORGE } },
      { name: 'data', emptyDir: {} },
      { name: 'temporary', emptyDir: {} },
    ],
  },
});
