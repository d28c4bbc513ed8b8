import type { Secret } from 'kubernetes-types/core/v1.d.ts';
import { GROUP } from '../api/common.ts';
import { isNotFound } from '../kube/errors.ts';
import { listMetadata } from '../kube/metadata.ts';
import { resourceClient, type ResourceType } from '../kube/resource.ts';
import type { Transport } from '../kube/transport.ts';
import { assertWhole, type BlobPiece, type BlobStore, digestOf } from './blobs.ts';
import { StorageError } from './errors.ts';

export const SECRETS: ResourceType = {
  group: '',
  version: 'v1',
  kind: 'Secret',
  plural: 'secrets',
  namespaced: true,
};

/** Label of every Secret of this folder; its value says what the Secret is. */
export const ARTIFACT_LABEL = `${GROUP}/artifact`;
export const ARTIFACT_TYPE = `${GROUP}/artifact`;
const BLOB_LABEL = `${GROUP}/blob`;

/** A Secret may hold 1 MiB, names and all. */
const CHUNK_BYTES = 900 * 1024;
/** Chunks that travel at once: they are held in memory a second time, in base64. */
const AT_ONCE = 4;

/** Keeps bytes in Secrets, cut into chunks. */
export function createSecretBlobs(transport: Transport, namespace: string): BlobStore {
  const client = resourceClient<Secret>(transport, SECRETS);

  async function getChunk(id: string, part: number, signal?: AbortSignal): Promise<Buffer> {
    const name = nameOf(id, part);
    try {
      const secret = await client.get({ namespace, name }, signal ? { signal } : {});
      return Buffer.from(secret.data?.chunk ?? '', 'base64');
    } catch (error) {
      if (!isNotFound(error)) throw error;
      throw new StorageError('Missing', `the Secret ${namespace}/${name} is gone`, { cause: error });
    }
  }

  async function removeSecret(name: string): Promise<void> {
    await client.delete({ namespace, name }).catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
    });
  }

  return {
    place: 'secrets',
    async put(id, bytes, signal) {
      const parts = Math.max(1, Math.ceil(bytes.length / CHUNK_BYTES));
      await forEachPart(parts, async (part) => {
        const chunk = bytes.subarray(part * CHUNK_BYTES, (part + 1) * CHUNK_BYTES);
        await client.ensure(chunkSecret(namespace, id, part, chunk), signal ? { signal } : {});
      });
      return { in: 'secrets', id, parts, bytes: bytes.length, digest: digestOf(bytes) };
    },
    async get(ref, signal) {
      const chunks: Buffer[] = [];
      await forEachPart(ref.parts, async (part) => {
        chunks[part] = await getChunk(ref.id, part, signal);
      });
      return assertWhole(ref, Buffer.concat(chunks));
    },
    remove: ({ id, parts }) => forEachPart(parts, (part) => removeSecret(nameOf(id, part))),
    async *pieces() {
      const selection = { namespace, labelSelector: `${ARTIFACT_LABEL}=chunk` };
      for await (const { name = '', labels, creationTimestamp } of listMetadata(
        transport,
        SECRETS,
        selection,
      )) {
        yield { id: labels?.[BLOB_LABEL] ?? '', name, createdAt: Date.parse(creationTimestamp ?? '') };
      }
    },
    removePiece: ({ name }: BlobPiece) => removeSecret(name),
  };
}

function chunkSecret(namespace: string, id: string, part: number, chunk: Buffer): Secret {
  return {
    metadata: { namespace, name: nameOf(id, part), labels: { [ARTIFACT_LABEL]: 'chunk', [BLOB_LABEL]: id } },
    type: ARTIFACT_TYPE,
    immutable: true,
    data: { chunk: chunk.toString('base64') },
  };
}

const nameOf = (id: string, part: number) => `signalbox-blob-${id}-${part}`;

/** Works on all parts, a few at a time. */
async function forEachPart(parts: number, work: (part: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < parts) await work(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
