import type { ObjectMeta, OwnerReference } from 'kubernetes-types/meta/v1.d.ts';
import type { Observation } from '../engine/model.ts';
import {
  ApiError,
  ConnectionError,
  isAlreadyExists,
  isForbidden,
  isInvalid,
  isNotFound,
} from '../kube/errors.ts';
import type { KubeObject, ObjectName, ResourceClient } from '../kube/resource.ts';
import { type Existence, existedSince } from './history.ts';
import type { RunView } from './views.ts';

// What all starts have in common that make an object which must be made once: see docs/decisions/starting-once.md.

/** A start that the cluster refused, for example for quota, is tried again after this time. */
const BLOCKED_RETRY_MS = 2000;

/** Answers that pass: the token was replaced, somebody else was quicker, or there are too many requests. */
export const PASSING: ReadonlySet<number> = new Set([401, 404, 409, 429]);

/** What ends an attempt that has not begun, or holds it up, and why. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly reason: string;
  /** Through no fault of the step. */
  readonly infrastructure: boolean;
  /** Somebody may mend it while the step waits: the start is tried again until pendingTimeout. */
  readonly passing: boolean;

  constructor(reason: string, message: string, { infrastructure = false, passing = false } = {}) {
    super(message);
    this.reason = reason;
    this.infrastructure = infrastructure;
    this.passing = passing;
  }
}

/** What this process knows of the starts of one run beyond what the API server shows. */
interface Memory {
  /** Attempts whose objects only this process can have made, and has not yet. */
  fresh: Set<string>;
  /** UIDs of objects that were there once, by the id of their attempt; they may be gone. */
  uids: Map<string, string>;
  /** Why an attempt of which nothing is seen did not start, or that it ended. */
  verdicts: Map<string, { observation: Observation; retryAt: number }>;
}

/** Starts that were written down, by run and id. */
export interface Starts {
  begin(runUid: string, id: string): void;
  /** Whether only this process can have made the object, and has not yet. */
  isFresh(runUid: string, id: string): boolean;
  /** The object is there now. */
  made(runUid: string, id: string): void;
  /** The object is there, or was until now. What was noted first stays: it is made once. */
  note(runUid: string, id: string, objectUid: string): void;
  /** UID of the object that was seen first. */
  uidOf(runUid: string, id: string): string | undefined;
  /**
   * Makes the object, unless the last try was refused a moment ago.
   *
   * @returns after how many milliseconds to look again; undefined when there is nothing new to see
   */
  attempt(runUid: string, id: string, make: () => Promise<void>): Promise<number | undefined>;
  /** What came of the last try; absent when there was none. */
  observe(runUid: string, id: string): Observation;
  forget(runUid: string): void;
}

/**
 * @param invalid reason of an attempt whose object the API server refuses for good
 * @param now milliseconds since the epoch
 */
export function createStarts(invalid: string, now: () => number): Starts {
  const memories = new Map<string, Memory>();

  function memoryOf(runUid: string): Memory {
    const known = memories.get(runUid);
    if (known) return known;
    const memory: Memory = { fresh: new Set(), uids: new Map(), verdicts: new Map() };
    memories.set(runUid, memory);
    return memory;
  }

  return {
    begin: (runUid, id) => void memoryOf(runUid).fresh.add(id),
    isFresh: (runUid, id) => memories.get(runUid)?.fresh.has(id) ?? false,
    made: (runUid, id) => void memories.get(runUid)?.fresh.delete(id),
    note(runUid, id, objectUid) {
      const { uids } = memoryOf(runUid);
      if (!uids.has(id)) uids.set(id, objectUid);
    },
    uidOf: (runUid, id) => memories.get(runUid)?.uids.get(id),

    async attempt(runUid, id, make) {
      const { verdicts } = memoryOf(runUid);
      const wait = (verdicts.get(id)?.retryAt ?? 0) - now();
      if (wait > 0) return wait;
      try {
        await make();
        // What held it up still shows in the status.
        return verdicts.delete(id) ? 0 : undefined;
      } catch (error) {
        if (error instanceof UnsettledError) memoryOf(runUid).fresh.delete(id);
        const observation = verdictOf(error, invalid, now());
        verdicts.set(id, { observation, retryAt: now() + BLOCKED_RETRY_MS });
        return 0;
      }
    },

    observe: (runUid, id) => memories.get(runUid)?.verdicts.get(id)?.observation ?? { state: 'Absent' },
    forget: (runUid) => void memories.delete(runUid),
  };
}

/** It could not be found out whether an object had been made: nothing may be written before that is known. */
export class UnsettledError extends Error {
  override readonly name = 'UnsettledError';

  constructor(what: string, cause: unknown) {
    super(
      `whether the ${what} had been made is not known yet: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    );
  }
}

/** An object that another process may have made. */
export interface Sought {
  /** What it is to the step, for example `Job of the step`. */
  what: string;
  name: ObjectName;
  /** It was seen, so that it was made for certain. */
  seen: boolean;
  /** A resourceVersion that is older than its creation can be. */
  since: string;
}

/**
 * A version that is older than all that the status of a run names without a UID: that before the status was written. The
 * run itself may have been written since, by people who annotate it, and vote.
 */
export const versionBefore = ({
  resourceVersion,
  status,
}: Pick<RunView, 'resourceVersion' | 'status'>): string => status.basedOn ?? resourceVersion;

/**
 * The object if it is there; what is found is not made again, as somebody may delete it in that very moment.
 * @throws {Refusal} when somebody deleted it, or nobody can tell
 */
export async function findStarted<T extends KubeObject>(
  client: ResourceClient<T>,
  { what, name, seen, since }: Sought,
): Promise<T | undefined> {
  try {
    const found = await unlessNotFound(client.get(name));
    if (!found) refuseRepeat(what, seen ? 'Existed' : await existedSince(client, name, since));
    return found;
  } catch (error) {
    throw error instanceof Refusal ? error : new UnsettledError(what, error);
  }
}

/**
 * Makes an object that nobody else has made. When it is not known whether the API server has, it is looked for: to send
 * it again would make a second one, had somebody deleted the first meanwhile.
 */
export async function makeOnce<T extends KubeObject>(
  client: ResourceClient<T>,
  object: T,
  sought: Sought,
): Promise<T> {
  try {
    return await client.create(object);
  } catch (error) {
    if (!isAlreadyExists(error) && !isAmbiguous(error)) throw error;
    const found = await findStarted(client, sought);
    if (found) return found;
    throw error;
  }
}

/** Whether the call may have been carried out all the same. */
function isAmbiguous(error: unknown): boolean {
  if (error instanceof ConnectionError) return error.sent;
  return error instanceof ApiError && error.status >= 500;
}

function refuseRepeat(what: string, existence: Existence): void {
  switch (existence) {
    case 'Never':
      return;
    case 'Existed':
      throw new Refusal('Lost', `The ${what} was deleted before its outcome was seen.`, {
        infrastructure: true,
      });
    case 'Unknown':
      throw new Refusal(
        'StartUnknown',
        `The operator was away for so long that it can not tell whether the ${what} had been started; it is not started twice.`,
        { infrastructure: true },
      );
  }
}

/** @throws {Refusal} when the object of that name belongs to somebody else */
export function refuseForeign(
  kind: string,
  { name, owners = [] }: { name: string; owners?: readonly OwnerReference[] | undefined },
  ownerUid: string,
): void {
  if (owners.some((owner) => owner.controller && owner.uid === ownerUid)) return;
  throw new Refusal(
    'NameTaken',
    `A ${kind} named ${name} exists that does not belong to this run: delete it, then run again.`,
  );
}

/** @throws {Refusal} when the object is not the one that was there first */
export function refuseExchanged(
  kind: string,
  { name, uid }: ObjectMeta = {},
  first: string | undefined,
): void {
  if (first === undefined || first === uid) return;
  const message = `The ${kind} ${name} of the step was deleted, and somebody has made another one of its name.`;
  throw new Refusal('Lost', message, { infrastructure: true });
}

/**
 * What a failed start means for the attempt.
 * @throws the error itself when trying again may help and nobody but the operator can do anything about it
 */
function verdictOf(error: unknown, invalid: string, finishedAt: number): Observation {
  if (error instanceof Refusal) {
    const { reason, message, infrastructure, passing } = error;
    if (passing) return { state: 'Absent', blocked: { reason, message } };
    const fault = infrastructure ? { infrastructure } : {};
    return { state: 'Ended', result: { outcome: 'Failed', reason, message, finishedAt, ...fault } };
  }
  if (isInvalid(error)) {
    const { message } = error;
    return { state: 'Ended', result: { outcome: 'Failed', reason: invalid, message, finishedAt } };
  }
  if (!(error instanceof ApiError) || PASSING.has(error.status)) throw error;
  // Also a webhook that fails or gives no reason: the step shows it, and its pendingTimeout ends it.
  return { state: 'Absent', blocked: { reason: blockedReason(error), message: error.message } };
}

const blockedReason = (error: ApiError) =>
  isForbidden(error) && error.message.includes('exceeded quota') ? 'QuotaExceeded' : error.reason;

/** What a call gives, or undefined when the object is not there. */
export async function unlessNotFound<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
