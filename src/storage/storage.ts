import { randomBytes } from 'node:crypto';
import * as z from 'zod';
import type { Transport } from '../kube/transport.ts';
import { createArtifacts } from './artifacts.ts';
import type { BlobStore } from './blobs.ts';
import { type Bundles, createBundles } from './bundles.ts';
import { type Commits, createCommits } from './commits.ts';
import { createGrants, type Grants } from './grants.ts';
import { createHeads } from './heads.ts';
import type { Keys } from './keys.ts';
import { createKnownStates, type KnownStates } from './known-states.ts';
import { createS3Blobs } from './s3-blobs.ts';
import { createS3Client, type S3Options } from './s3-client.ts';
import { createSecretBlobs } from './secret-blobs.ts';
import type { StateKey } from './state-head.ts';
import { createStates, type States, type Unlocked } from './states.ts';
import { removeRun, sweep, type Swept } from './sweep.ts';

export interface StorageOptions {
  /** Not held back by a lease: every replica serves runners. */
  transport: Transport;
  /** The namespace that everything is kept in. */
  namespace: string;
  keys: Keys;
  /** Where the encrypted bytes lie. Absent: in Secrets. Heads are Secrets in any case. */
  s3?: S3Options | undefined;
  /** @returns milliseconds since the epoch */
  now: () => number;
  /** Told what went wrong without stopping anything. */
  onError: (error: unknown) => void;
}

/** What is kept, encrypted, beyond the status of runs. */
export interface Storage {
  grants: Grants;
  bundles: Bundles;
  commits: Commits;
  states: States;
  /** What is known of the states; it has to be run. */
  known: KnownStates;
  /** Breaks the lock of this id, whoever holds it. For a person's word alone. */
  unlock(key: StateKey, lockId: string): Promise<Unlocked>;
  /** Removes the bundles and commits of a run. */
  releaseRun(runUid: string): Promise<void>;
  /** Removes what is left over, and writes anew what is under an old key. For the leader, from time to time. */
  sweep(knownRunUids: ReadonlySet<string>, signal?: AbortSignal): Promise<Swept>;
  close(): Promise<void>;
}

export async function createStorage(options: StorageOptions): Promise<Storage> {
  const { transport, namespace, keys, now, onError } = options;
  const secrets = createSecretBlobs(transport, namespace);
  const s3 = options.s3 && (await openS3(options, options.s3));
  const stores: [BlobStore, ...BlobStore[]] = s3 ? [s3.blobs, secrets] : [secrets];
  const artifacts = createArtifacts(keys, stores);
  const bundles = createBundles(transport, namespace, artifacts, now);
  const commits = createCommits(transport, namespace);
  const states = createStates(transport, namespace, artifacts, now);
  const swept = { stores, bundles, commits, states, now, onError };
  return {
    grants: createGrants(keys),
    bundles,
    commits,
    states,
    known: createKnownStates(transport, namespace, onError),
    unlock: (key, lockId) => states.unlock(key, lockId),
    releaseRun: (runUid) => removeRun(swept, runUid),
    sweep: (knownRunUids, signal) => sweep(swept, knownRunUids, signal),
    close: async () => s3?.close(),
  };
}

async function openS3({ transport, namespace }: StorageOptions, s3: S3Options) {
  const client = createS3Client(s3);
  const blobs = createS3Blobs(client, await installationOf(transport, namespace), s3.prefix);
  return { blobs, close: client.close };
}

/**
 * Tells this installation from all others that write into the same bucket, and from one whose heads are lost: its
 * objects must not be taken for left over by the one that comes after it.
 */
function installationOf(transport: Transport, namespace: string): Promise<string> {
  const heads = createHeads(transport, namespace, (json) => z.object({ id: z.string() }).parse(json));
  const id = randomBytes(8).toString('hex');
  return heads.update({ kind: 'installation', of: 'installation' }, (found) =>
    found ? { keep: found.id } : { write: { id }, result: id },
  );
}
