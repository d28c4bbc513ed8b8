import { randomBytes } from 'node:crypto';
import type { Service } from 'kubernetes-types/core/v1.d.ts';
import { buildObjectStore, objectStoreImage } from '../cluster/tool-images.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { load } from '../cluster/images.ts';
import type { Kit } from './kit.ts';
import { s3 } from './s3.ts';

const NAME = 'object-store';
const PORT = 7070;
const BUCKET = 'backups';

/** A bucket in a real object store that runs in the cluster. */
export interface ObjectStore {
  /** Address of the bucket for workflows. */
  url: string;
  /** Address of the store's own health check, which answers 200. */
  healthUrl: string;
  /** The keys of all objects, in order. */
  keys(): Promise<string[]>;
  /** The bytes of an object, as text. @throws when it is not there */
  read(key: string): Promise<string>;
}

/**
 * Runs versitygw in the namespace of the kit. Everybody may read, write and delete objects under the prefixes, as a
 * bucket policy says; nothing else is allowed to those who do not sign.
 *
 * @param prefixes beginnings of keys, for example `incoming/`
 */
export async function deployObjectStore(
  cluster: Cluster,
  kit: Kit,
  prefixes: readonly string[],
): Promise<ObjectStore> {
  await load(cluster, await buildObjectStore());
  const credentials = { accessKey: 'root', secretKey: randomBytes(16).toString('hex') };
  await kit.apply({ apiVersion: 'v1', kind: 'List', items: [podOf(credentials), service] });
  await kit.kubectl(['wait', `pod/${NAME}`, '--for=condition=Ready', '--timeout=50s']);
  const { spec } = await kit.get<Service>('service', NAME);
  const send = async (method: 'GET' | 'PUT', path: string, body = '') => {
    const url = new URL(`http://${spec?.clusterIP}:${PORT}/${BUCKET}${path}`);
    const response = await s3(credentials, { method, url, body });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${url.href}: ${response.status} ${text}`);
    return text;
  };
  await send('PUT', '');
  await send('PUT', '?policy', JSON.stringify(policyOf(prefixes)));
  const host = `http://${NAME}.${kit.namespace}.svc:${PORT}`;
  return {
    url: `${host}/${BUCKET}`,
    healthUrl: `${host}/health`,
    keys: async () =>
      [...(await send('GET', '?list-type=2')).matchAll(/<Key>([^<]*)/g)].map(([, key = '']) => key),
    read: (key) => send('GET', `/${key}`),
  };
}

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html */
const policyOf = (prefixes: readonly string[]) => ({
  Version: '2012-10-17',
  Statement: [
    {
      Effect: 'Allow',
      Principal: '*',
      Action: ['s3:GetObject', 's3:PutObject', 's3:DeleteObject'],
      Resource: prefixes.map((prefix) => `arn:aws:s3:::${BUCKET}/${prefix}*`),
    },
  ],
});

const service = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: NAME },
  spec: { selector: { app: NAME }, ports: [{ port: PORT }] },
};

const podOf = ({ accessKey, secretKey }: { accessKey: string; secretKey: string }) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: NAME, labels: { app: NAME } },
  spec: {
    automountServiceAccountToken: false,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: 65_532,
      runAsGroup: 65_532,
      fsGroup: 65_532,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    containers: [
      {
        name: 'versitygw',
        image: objectStoreImage,
        imagePullPolicy: 'Never',
        args: ['--port', `:${PORT}`, '--health', '/health', 'posix', '/data'],
        env: [
          { name: 'ROOT_ACCESS_KEY_ID', value: accessKey },
          { name: 'ROOT_SECRET_ACCESS_KEY', value: secretKey },
        ],
        readinessProbe: { httpGet: { path: '/health', port: PORT }, periodSeconds: 1 },
        securityContext: {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        },
        volumeMounts: [{ name: 'data', mountPath: '/data' }],
      },
    ],
    volumes: [{ name: 'data', emptyDir: {} }],
  },
});
