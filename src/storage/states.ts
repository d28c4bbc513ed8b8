import type { Transport } from '../kube/transport.ts';
import type { Artifact, Artifacts, Saved } from './artifacts.ts';
import { digestOf } from './blobs.ts';
import { isStorageError } from './errors.ts';
import { type Change, createHeads, type FoundHead, type HeadName } from './heads.ts';
import {
  assertHeld,
  compare,
  currentOf,
  type ErroredState,
  isHeldBy,
  type LockHolder,
  type LockInfo,
  markOf,
  newHead,
  type StateHead,
  stateHeadSchema,
  type StateKey,
  type StateLock,
  type StateMark,
  type StateVersion,
} from './state-head.ts';

/** A new version of a state. */
export interface StateWrite {
  content: Buffer;
  /** Id of the lock under which it is written. */
  lockId: string;
  holder: LockHolder;
  /** How many versions are kept, this one included. */
  keep: number;
  /** Writes whatever there is: another lineage, a serial that goes back. For people alone. */
  force?: boolean;
}

/** What came of an unlock. */
export type Unlocked = 'Unlocked' | 'NotLocked' | 'OtherLock';

/** The states that the operator keeps for Terraform. */
export interface States {
  read(key: StateKey): Promise<StateHead | undefined>;
  list(): Promise<FoundHead<StateHead>[]>;
  /** The current version, or the one with this number. @throws {StorageError} Altered; Missing; KeyMissing */
  load(key: StateKey, number?: number): Promise<Buffer | undefined>;
  /** @throws {StorageError} StateInvalid; LockLost; LineageConflict; SerialConflict */
  write(key: StateKey, write: StateWrite): Promise<void>;
  /** Undefined when the lock is ours now; who holds it otherwise. */
  lock(key: StateKey, info: LockInfo, holder: LockHolder): Promise<StateLock | undefined>;
  /** @param podUid the pod that must hold it; without one, whoever holds it loses it */
  unlock(key: StateKey, lockId: string, podUid?: string): Promise<Unlocked>;
  /** Keeps a state that could not be written in the usual way. */
  keepErrored(key: StateKey, content: Buffer, holder: LockHolder): Promise<void>;
  loadErrored(key: StateKey, errored: ErroredState): Promise<Buffer>;
  /** Writes anew what has another key or place than the present one. How much that was. */
  renew(head: StateHead): Promise<number>;
}

/** How many states that could not be written are kept. */
const KEEP_ERRORED = 5;
/** A version can be replaced between the reading of the head and of the version. */
const LOAD_TRIES = 3;

export function createStates(
  transport: Transport,
  namespace: string,
  artifacts: Artifacts,
  now: () => number,
): States {
  const heads = createHeads(transport, namespace, (json) => stateHeadSchema.parse(json));
  const time = () => new Date(now()).toISOString();

  /** What is not spoken of any more. When it can not be removed, the sweep does it. */
  const forget = (gone: readonly Artifact[]) =>
    Promise.allSettled(gone.map((artifact) => artifacts.remove(artifact)));

  async function load(
    key: StateKey,
    pick: (head: StateHead) => Artifact | undefined,
  ): Promise<Buffer | undefined> {
    for (let attempt = 1; ; attempt++) {
      const head = await heads.read(headOf(key));
      const artifact = head && pick(head);
      if (!artifact) return undefined;
      try {
        return await artifacts.load(nameOf(key), artifact);
      } catch (error) {
        if (!isStorageError(error, 'Missing') || attempt === LOAD_TRIES) throw error;
      }
    }
  }

  /** The new head with this version in it, and what fell out of it; undefined when it is there already. */
  function withVersion(head: StateHead, version: Omit<StateVersion, 'number'>, write: StateWrite) {
    assertHeld(head.lock, write.lockId, write.holder.podUid);
    const current = currentOf(head);
    const known = current?.artifact.digest === version.artifact.digest;
    if (write.force ? known : compare(current, version, version.artifact.digest) === 'Same') return undefined;
    const all = [...head.versions, { ...version, number: (current?.number ?? 0) + 1 }];
    const versions = all.slice(-write.keep);
    return { head: { ...head, versions }, gone: all.slice(0, -write.keep).map(({ artifact }) => artifact) };
  }

  async function append(
    key: StateKey,
    write: StateWrite,
    mark: StateMark,
    { artifact, until }: Saved,
  ): Promise<void> {
    const { run, step } = write.holder;
    const version = { ...mark, time: time(), run, step, artifact };
    const decide = (found: StateHead | undefined): Change<StateHead, Artifact[]> => {
      // Written by us before, without hearing the answer; others may have gone on from there.
      if (found && artifactsOf(found).some(({ blob }) => blob.id === artifact.blob.id)) return { keep: [] };
      const next = withVersion(found ?? newHead(key), version, write);
      return next ? { write: next.head, result: next.gone } : { keep: [artifact] };
    };
    const gone = await heads.update(headOf(key), decide, until);
    await forget(gone);
  }

  return {
    read: (key) => heads.read(headOf(key)),
    list: () => heads.list('state'),
    load: (key, number) =>
      load(
        key,
        ({ versions }) =>
          (number === undefined ? versions.at(-1) : versions.find((version) => version.number === number))
            ?.artifact,
      ),
    async write(key, write) {
      const mark = markOf(write.content);
      const found = (await heads.read(headOf(key))) ?? newHead(key);
      // Nothing is stored for those who may not write; the same is asked again when the head is written.
      assertHeld(found.lock, write.lockId, write.holder.podUid);
      if (!write.force && compare(currentOf(found), mark, digestOf(write.content)) === 'Same') return;
      const saved = await artifacts.save(nameOf(key), write.content);
      await append(key, write, mark, saved).catch(async (error: unknown) => {
        // It is certain that no head speaks of it. After other errors the sweep has to find that out.
        if (isStorageError(error, 'LockLost', 'SerialConflict', 'LineageConflict')) {
          await forget([saved.artifact]);
        }
        throw error;
      });
    },
    lock: (key, info, holder) =>
      heads.update(headOf(key), (found) => {
        const head = found ?? newHead(key);
        if (isHeldBy(head.lock, info.ID, holder.podUid)) return { keep: undefined };
        if (head.lock) return { keep: head.lock };
        return { write: { ...head, lock: { info, holder, since: time() } }, result: undefined };
      }),
    unlock: (key, lockId, podUid) =>
      heads.update<Unlocked>(headOf(key), (found) => {
        if (!found?.lock) return { keep: 'NotLocked' };
        const { lock, ...rest } = found;
        const isTheirs = lock.info.ID === lockId && (podUid === undefined || lock.holder.podUid === podUid);
        return isTheirs ? { write: rest, result: 'Unlocked' } : { keep: 'OtherLock' };
      }),
    async keepErrored(key, content, { pod, run, step }) {
      const { artifact, until } = await artifacts.save(nameOf(key), content);
      const errored = { time: time(), pod, run, step, artifact };
      const decide = (found = newHead(key)): Change<StateHead, ErroredState[]> => {
        if (artifactsOf(found).some(({ blob }) => blob.id === artifact.blob.id)) return { keep: [] };
        const all = [...found.errored, errored];
        return {
          write: { ...found, errored: all.slice(-KEEP_ERRORED) },
          result: all.slice(0, -KEEP_ERRORED),
        };
      };
      const gone = await heads.update(headOf(key), decide, until);
      await forget(gone.map(({ artifact }) => artifact));
    },
    loadErrored: (key, { artifact }) => artifacts.load(nameOf(key), artifact),
    async renew(head) {
      const outdated = artifactsOf(head).filter((artifact) => artifacts.isOutdated(artifact));
      for (const artifact of outdated) await renewOne(head, artifact);
      return outdated.length;
    },
  };

  async function renewOne(key: StateKey, artifact: Artifact): Promise<void> {
    const content = await artifacts.load(nameOf(key), artifact);
    const { artifact: renewed, until } = await artifacts.save(nameOf(key), content);
    const decide = (found: StateHead | undefined): Change<StateHead, Artifact> => {
      const ids = found ? artifactsOf(found).map(({ blob }) => blob.id) : [];
      if (ids.includes(renewed.blob.id)) return { keep: artifact };
      // Pruned or written anew by somebody else in the meantime.
      if (!found || !ids.includes(artifact.blob.id)) return { keep: renewed };
      return { write: withArtifact(found, artifact, renewed), result: artifact };
    };
    const gone = await heads.update(headOf(key), decide, until);
    await forget([gone]);
  }
}

/** Everything that a head speaks of. */
export function artifactsOf({ versions, errored }: StateHead): Artifact[] {
  return [...versions, ...errored].map(({ artifact }) => artifact);
}

function withArtifact(head: StateHead, old: Artifact, artifact: Artifact): StateHead {
  const swap = <V extends { artifact: Artifact }>(of: V): V =>
    of.artifact.blob.id === old.blob.id ? { ...of, artifact } : of;
  return { ...head, versions: head.versions.map(swap), errored: head.errored.map(swap) };
}

const nameOf = ({ namespace, project, workspace }: StateKey) => `state/${namespace}/${project}/${workspace}`;

function headOf(key: StateKey): HeadName {
  return { kind: 'state', of: `${key.namespace}/${key.project}/${key.workspace}` };
}
