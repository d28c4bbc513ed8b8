import { readFile } from 'node:fs/promises';
import type { Config } from './config.ts';
import type { Transport } from './kube/transport.ts';
import { openKeys, type Keys } from './storage/keys.ts';
import type { S3Options } from './storage/s3-client.ts';
import { createStorage, type Storage } from './storage/storage.ts';

/** Namespace that plans and states are kept in. */
export function artifactNamespaceOf(config: Config): string {
  return config['artifact-namespace'] ?? config['lease-namespace'];
}

/**
 * Opens the storage that the settings describe; undefined without a folder of keys.
 * @param onError told what went wrong without stopping anything
 */
export async function openStorage(
  config: Config,
  transport: Transport,
  onError: (error: unknown) => void,
): Promise<{ storage: Storage; keys: Keys } | undefined> {
  const folder = config['keys-dir'];
  if (folder === undefined) return undefined;
  const keys = await openKeys({ folder, writeKey: config['write-key'], onError });
  const storage = await createStorage({
    transport,
    namespace: artifactNamespaceOf(config),
    keys,
    s3: await s3Of(config),
    now: () => Date.now(),
    onError,
  });
  return { storage, keys };
}

async function s3Of(config: Config): Promise<S3Options | undefined> {
  const endpoint = config['storage-s3-endpoint'];
  if (endpoint === undefined) return undefined;
  const caFile = config['storage-s3-ca-file'];
  return {
    endpoint,
    region: config['storage-s3-region'],
    bucket: config['storage-s3-bucket'],
    prefix: config['storage-s3-prefix'],
    credentialsFolder: config['storage-s3-credentials-dir'],
    ...(caFile === undefined ? {} : { ca: await readFile(caFile, 'utf8') }),
  };
}
