import { createHash } from 'node:crypto';
import type { Secret } from 'kubernetes-types/core/v1.d.ts';
import { type BackoffRange, backoff } from '../kube/backoff.ts';
import { type Clock, sleep, systemClock } from '../kube/clock.ts';
import { isAlreadyExists, isConflict, isNotFound } from '../kube/errors.ts';
import { type ResourceClient, resourceClient } from '../kube/resource.ts';
import type { Transport } from '../kube/transport.ts';
import { StorageError } from './errors.ts';
import { ARTIFACT_LABEL, ARTIFACT_TYPE, SECRETS } from './secret-blobs.ts';

/** What a head is of. */
export type HeadKind = 'state' | 'bundle' | 'commit' | 'installation';

export interface HeadName {
  kind: HeadKind;
  /** What it is of, for example `team-a/network/default`. */
  of: string;
  /** Further labels, to find it by. */
  labels?: Record<string, string>;
}

/** A head as it was found. */
export interface FoundHead<T> {
  name: string;
  uid: string;
  /** Milliseconds since the epoch. */
  createdAt: number;
  document: T;
}

/** What to do with a head: write this instead, or leave it as it is. */
export type Change<T, R> = { write: T; result: R } | { keep: R };

/**
 * Heads are small documents, each in a Secret, that say what is kept: what no head speaks of does not exist. A head is
 * replaced as a whole, by whoever knows its newest version, so that there is the old one or the new one and nothing else.
 */
export interface Heads<T> {
  read(head: HeadName): Promise<T | undefined>;
  /**
   * Decides on the newest version and writes what was decided; when somebody else was quicker, decides again. An answer
   * that was lost looks like that too: `decide` must know what it has done before.
   * @param until nothing is written after this moment of `performance.now()`: what is spoken of may be swept then
   * @throws what `decide` throws; {StorageError} Contention; TooLate
   */
  update<R>(head: HeadName, decide: (document: T | undefined) => Change<T, R>, until?: number): Promise<R>;
  /** All of one kind. */
  list(kind: HeadKind, labels?: Record<string, string>): Promise<FoundHead<T>[]>;
  remove(head: FoundHead<T>): Promise<void>;
}

const TRIES = 60;
const BACKOFF: BackoffRange = { initialMs: 10, maxMs: 500 };

/** @param parse throws for what is no document of this kind */
export function createHeads<T>(
  transport: Transport,
  namespace: string,
  parse: (json: unknown) => T,
  clock: Clock = systemClock,
): Heads<T> {
  const client = resourceClient<Secret>(transport, SECRETS);
  const read = (secret: Secret) => readHead(secret, parse);

  async function find(name: string): Promise<Secret | undefined> {
    return client.get({ namespace, name }).catch((error: unknown) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
  }

  return {
    async read(head) {
      const secret = await find(nameOf(head));
      return secret && read(secret);
    },
    async update(head, decide, until = Number.POSITIVE_INFINITY) {
      for (let attempt = 0; attempt < TRIES; attempt++) {
        const found = await find(nameOf(head));
        const change = decide(found && read(found));
        if ('keep' in change) return change.keep;
        if (performance.now() > until) {
          throw new StorageError('TooLate', `it took too long to store ${head.of}: try again`);
        }
        if (await write(client, namespace, head, found, change.write)) return change.result;
        await sleep(clock, backoff(attempt, BACKOFF, Math.random));
      }
      throw new StorageError(
        'Contention',
        `the head of ${head.of} is written by too many at once: try again`,
      );
    },
    async list(kind, labels = {}) {
      const labelSelector = Object.entries({ ...labels, [ARTIFACT_LABEL]: kind })
        .map(([name, value]) => `${name}=${value}`)
        .join(',');
      const { items } = await client.list({ namespace, labelSelector });
      return items.map((secret) => ({
        name: secret.metadata?.name ?? '',
        uid: secret.metadata?.uid ?? '',
        createdAt: Date.parse(secret.metadata?.creationTimestamp ?? ''),
        document: read(secret),
      }));
    },
    async remove({ name, uid }) {
      await client.delete({ namespace, name }, { uid }).catch((error: unknown) => {
        if (!isNotFound(error) && !isConflict(error)) throw error;
      });
    },
  };
}

/** False when somebody else has written it since. */
async function write(
  client: ResourceClient<Secret>,
  namespace: string,
  head: HeadName,
  found: Secret | undefined,
  document: unknown,
): Promise<boolean> {
  const data = { head: Buffer.from(JSON.stringify(document)).toString('base64') };
  const name = nameOf(head);
  try {
    if (found) {
      const resourceVersion = found.metadata?.resourceVersion;
      await client.patch({ namespace, name }, { metadata: { resourceVersion }, data });
    } else {
      const labels = { ...head.labels, [ARTIFACT_LABEL]: head.kind };
      await client.create({ metadata: { namespace, name, labels }, type: ARTIFACT_TYPE, data });
    }
    return true;
  } catch (error) {
    if (isConflict(error) || isAlreadyExists(error) || isNotFound(error)) return false;
    throw error;
  }
}

/** What is in the Secret of a head. @throws {StorageError} Altered */
export function readHead<T>(secret: Secret, parse: (json: unknown) => T): T {
  try {
    return parse(JSON.parse(Buffer.from(secret.data?.head ?? '', 'base64').toString()));
  } catch (error) {
    const { namespace, name } = secret.metadata ?? {};
    throw new StorageError(
      'Altered',
      `the Secret ${namespace}/${name} is not as the operator wrote it: restore it from a backup`,
      { cause: error },
    );
  }
}

function nameOf({ kind, of }: HeadName): string {
  return `signalbox-${kind}-${createHash('sha256').update(of).digest('hex').slice(0, 40)}`;
}
