import { randomBytes } from 'node:crypto';
import { type BlobRef, type BlobStore, digestOf } from './blobs.ts';
import { open, seal } from './envelope.ts';
import { isStorageError, StorageError } from './errors.ts';
import type { Keys } from './keys.ts';

/** Something encrypted that is kept, as a head speaks of it. */
export interface Artifact {
  blob: BlobRef;
  /** Id of the key that it is encrypted with. */
  key: string;
  /** Length and digest (`sha256:<hex>`) of what was encrypted. */
  size: number;
  digest: string;
}

/** Keeps things encrypted. What is saved is known to nobody until a head speaks of it. */
export interface Artifacts {
  /** @param name what it is; it can be loaded under this name alone */
  save(name: string, content: Buffer): Promise<Saved>;
  /** @throws {StorageError} KeyMissing; Missing; Altered */
  load(name: string, artifact: Artifact): Promise<Buffer>;
  remove(artifact: Artifact): Promise<void>;
  /** Whether it should be written anew: with another key, or in another place. */
  isOutdated(artifact: Artifact): boolean;
}

/** Something that was saved, and that a head has to speak of soon. */
export interface Saved {
  artifact: Artifact;
  /** The moment of `performance.now()` until which a head may speak of it. */
  until: number;
}

/** Storing the bytes may take so long. */
const SAVE_LIMIT_MS = 15 * 60_000;
/** And so long until a head speaks of them: far less than the hour after which they are swept. */
const COMMIT_LIMIT_MS = 20 * 60_000;

/** @param stores the first one is where new things go; all are read */
export function createArtifacts(keys: Keys, stores: readonly [BlobStore, ...BlobStore[]]): Artifacts {
  const [store] = stores;
  const storeOf = ({ in: place }: BlobRef): BlobStore => {
    const found = stores.find((store) => store.place === place);
    if (found) return found;
    throw new StorageError(
      'StoreUnavailable',
      'this lies in S3-compatible storage, of which the operator was told nothing: set the --storage-s3 flags again',
    );
  };
  return {
    async save(name, content) {
      const until = performance.now() + COMMIT_LIMIT_MS;
      const { write } = keys.ring();
      const id = randomBytes(16).toString('hex');
      const sealed = seal(write, boundName(name, id), content);
      const blob = await store.put(id, sealed, AbortSignal.timeout(SAVE_LIMIT_MS));
      const artifact = { blob, key: write.id, size: content.length, digest: digestOf(content) };
      return { artifact, until };
    },
    async load(name, { blob, digest }) {
      const sealed = await storeOf(blob).get(blob);
      const bound = boundName(name, blob.id);
      const content = await openWith(keys, bound, sealed);
      if (digestOf(content) === digest) return content;
      throw new StorageError('Altered', `${name} has another digest than the one that it was written with`);
    },
    remove: ({ blob }) => storeOf(blob).remove(blob),
    isOutdated: ({ blob, key }) => key !== keys.ring().write.id || blob.in !== store.place,
  };
}

/** The id is in it, so that one version can not be put in the place of another. */
const boundName = (name: string, id: string) => `${name}#${id}`;

/** Another replica may have written with a key that this one has not read yet. */
async function openWith(keys: Keys, name: string, sealed: Buffer): Promise<Buffer> {
  try {
    return open(keys.ring(), name, sealed);
  } catch (error) {
    if (!isStorageError(error, 'KeyMissing')) throw error;
    return open(await keys.refresh(), name, sealed);
  }
}
