import { createHash } from 'node:crypto';
import { StorageError } from './errors.ts';

/** Where encrypted bytes lie. */
export type BlobPlace = 'secrets' | 's3';

/** Bytes that were written once and never change. Nobody knows of them before a head speaks of them. */
export interface BlobRef {
  in: BlobPlace;
  id: string;
  /** How many pieces there are. */
  parts: number;
  /** Length and digest (`sha256:<hex>`) of the whole. */
  bytes: number;
  digest: string;
}

/** A thing in a store that belongs to a blob. */
export interface BlobPiece {
  /** The blob that it is of. */
  id: string;
  name: string;
  /** Milliseconds since the epoch, by the clock of the store. */
  createdAt: number;
}

/** Keeps bytes. A blob that was not written to its end has no {@link BlobRef}, and is swept. */
export interface BlobStore {
  readonly place: BlobPlace;
  /** @param id given once, and never again */
  put(id: string, bytes: Buffer, signal?: AbortSignal): Promise<BlobRef>;
  /** @throws {StorageError} Missing; Altered */
  get(ref: BlobRef, signal?: AbortSignal): Promise<Buffer>;
  /** What is not there is fine. */
  remove(ref: BlobRef): Promise<void>;
  /** Everything that there is, to find what nobody speaks of. */
  pieces(): AsyncGenerator<BlobPiece>;
  removePiece(piece: BlobPiece): Promise<void>;
}

/** `sha256:<hex>` of these bytes. */
export function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** @throws {StorageError} Altered when these are not the bytes that were written */
export function assertWhole(ref: BlobRef, bytes: Buffer): Buffer {
  if (bytes.length === ref.bytes && digestOf(bytes) === ref.digest) return bytes;
  throw new StorageError(
    'Altered',
    `the stored bytes ${ref.id} are not those that were written: ${bytes.length} of ${ref.bytes} bytes, or others`,
  );
}
