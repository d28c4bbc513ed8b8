import { assertWhole, type BlobPiece, type BlobRef, type BlobStore, digestOf } from './blobs.ts';
import { StorageError } from './errors.ts';
import type { S3Client } from './s3-client.ts';

/**
 * Keeps bytes in S3-compatible storage, one object for each blob.
 *
 * @param installation tells what is ours in a bucket that others use too: nothing else is ever listed or removed
 * @param keyPrefix beginning of all keys as the store tells them, of the client's prefix
 */
export function createS3Blobs(client: S3Client, installation: string, keyPrefix: string): BlobStore {
  const keyOf = (id: string) => `${installation}/${id}`;
  const whole = [...keyPrefix.split('/').filter((part) => part !== ''), installation, ''].join('/');
  return {
    place: 's3',
    async put(id, bytes, signal) {
      const { status } = await client.send({ method: 'PUT', key: keyOf(id), body: bytes, signal });
      if (status === 404) throw new StorageError('StoreRefused', 'the bucket does not exist: make it first');
      return { in: 's3', id, parts: 1, bytes: bytes.length, digest: digestOf(bytes) };
    },
    async get(ref, signal) {
      const { status, body } = await client.send({ method: 'GET', key: keyOf(ref.id), signal });
      if (status === 404) throw new StorageError('Missing', `the object ${whole}${ref.id} is gone`);
      return assertWhole(ref, body);
    },
    remove: async ({ id }: BlobRef) => void (await client.send({ method: 'DELETE', key: keyOf(id) })),
    pieces: () => listObjects(client, whole),
    removePiece: async ({ id }: BlobPiece) => void (await client.send({ method: 'DELETE', key: keyOf(id) })),
  };
}

/** ListObjectsV2, page by page: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html */
async function* listObjects(client: S3Client, prefix: string): AsyncGenerator<BlobPiece> {
  let next: string | undefined;
  do {
    const query = { 'list-type': '2', prefix, ...(next === undefined ? {} : { 'continuation-token': next }) };
    const text = (await client.send({ method: 'GET', query })).body.toString();
    for (const [, entry = ''] of text.matchAll(/<Contents>(.*?)<\/Contents>/gs)) {
      const name = elementOf(entry, 'Key') ?? '';
      // Ids are letters, digits and dashes: nothing of them is escaped in XML.
      const id = name.slice(prefix.length);
      yield { id, name, createdAt: Date.parse(elementOf(entry, 'LastModified') ?? '') };
    }
    next = elementOf(text, 'NextContinuationToken');
  } while (next);
}

function elementOf(xml: string, name: string): string | undefined {
  const [, text] = new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml) ?? [];
  return text
    ?.replaceAll('&quot;', '"')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&');
}
