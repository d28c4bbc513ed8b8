import * as z from 'zod';
import { artifactSchema } from './artifact-schema.ts';
import { StorageError } from './errors.ts';

/** A state that is kept. */
export interface StateKey {
  namespace: string;
  project: string;
  workspace: string;
}

const writer = z.object({
  /** When it was written, RFC 3339. */
  time: z.string(),
  /** Who wrote it: a run and a step of it, or for an import a person's word. */
  run: z.string(),
  step: z.string(),
});

const versionSchema = writer.extend({
  /** Counts from 1, and never back. */
  number: z.int().min(1),
  serial: z.int().min(0),
  lineage: z.string(),
  artifact: artifactSchema,
});
export type StateVersion = z.infer<typeof versionSchema>;

/** Terraform's description of a lock, as far as it is kept. https://developer.hashicorp.com/terraform/language/backend/http */
export const lockInfoSchema = z.object({
  ID: z.string().min(1).max(64),
  Operation: z.string().max(64).default(''),
  Info: z.string().max(1024).default(''),
  Who: z.string().max(256).default(''),
  Version: z.string().max(64).default(''),
  Created: z.string().max(64).default(''),
  Path: z.string().max(1024).default(''),
});
export type LockInfo = z.infer<typeof lockInfoSchema>;

const holderSchema = z.object({
  pod: z.string(),
  podUid: z.string(),
  run: z.string(),
  step: z.string(),
});
/** Who holds a lock. */
export type LockHolder = z.infer<typeof holderSchema>;

const lockSchema = z.object({ info: lockInfoSchema, holder: holderSchema, since: z.string() });
export type StateLock = z.infer<typeof lockSchema>;

export const stateHeadSchema = z.object({
  namespace: z.string(),
  project: z.string(),
  workspace: z.string(),
  /** The newest one is the last. */
  versions: z.array(versionSchema),
  lock: lockSchema.optional(),
  /** States that Terraform could not write, the newest one last. */
  errored: z.array(writer.extend({ pod: z.string(), artifact: artifactSchema })).default([]),
});
/** Everything that is known of a state. */
export type StateHead = z.infer<typeof stateHeadSchema>;
export type ErroredState = StateHead['errored'][number];

const stateSchema = z.object({ serial: z.int().min(0), lineage: z.string().min(1).max(64) });

/** What tells one version of a state from others: it grows with each change, within a lineage. */
export type StateMark = z.infer<typeof stateSchema>;

/** @throws {StorageError} StateInvalid */
export function markOf(content: Buffer): StateMark {
  try {
    return stateSchema.parse(JSON.parse(content.toString()));
  } catch (error) {
    throw new StorageError(
      'StateInvalid',
      'this is no state of Terraform: it must be JSON with a serial and a lineage',
      { cause: error },
    );
  }
}

export const newHead = (key: StateKey): StateHead => ({ ...key, versions: [], errored: [] });

export const currentOf = (head: StateHead | undefined): StateVersion | undefined => head?.versions.at(-1);

/** Whether the lock is held by this pod under this id. */
export function isHeldBy(lock: StateLock | undefined, id: string, podUid: string): boolean {
  return lock?.info.ID === id && lock.holder.podUid === podUid;
}

/** @throws {StorageError} LockLost */
export function assertHeld(lock: StateLock | undefined, id: string, podUid: string): void {
  if (isHeldBy(lock, id, podUid)) return;
  const why = lock ? `it is held by pod ${lock.holder.pod} of run ${lock.holder.run}` : 'nobody holds it';
  throw new StorageError('LockLost', `this pod does not hold the lock ${id || 'of the state'}: ${why}`);
}

/**
 * Whether the state is new, or the one that is there already.
 * @throws {StorageError} LineageConflict; SerialConflict
 */
export function compare(current: StateVersion | undefined, mark: StateMark, digest: string): 'New' | 'Same' {
  if (!current) return 'New';
  if (current.lineage !== mark.lineage) {
    throw new StorageError(
      'LineageConflict',
      `the state is of lineage ${mark.lineage}, and the one that is kept of ${current.lineage}: they are not of the same infrastructure`,
    );
  }
  if (mark.serial > current.serial) return 'New';
  if (mark.serial === current.serial && digest === current.artifact.digest) return 'Same';
  throw new StorageError(
    'SerialConflict',
    `the state has serial ${mark.serial}, and the one that is kept ${current.serial}: it was changed since`,
  );
}

/** How a lock is shown to others who want it, in Terraform's form. */
export function shownLock({ info, holder }: StateLock): LockInfo {
  const held = `held by pod ${holder.pod} of run ${holder.run}, step ${holder.step}`;
  return { ...info, Info: info.Info === '' ? held : `${info.Info}; ${held}` };
}
