import * as z from 'zod';
import { GROUP } from '../api/common.ts';
import type { Workflow } from '../api/resources.ts';
import type { Sealing } from './vote.ts';

// Who created a run, as the API server knew them. The UID of a run is not known while it is being created, so that the
// record is bound to the place, the name and the time instead: the API server sets the time of creation itself.

/** The annotation that holds the record. */
export const CREATED_BY = `${GROUP}/created-by`;

/** How far the time of the record may lie from that of the creation: an admission takes less than that. */
const MAX_DRIFT_MS = 60_000;

const record = z.strictObject({
  user: z.string().min(1).max(256),
  time: z.iso.datetime(),
  signature: z.string().max(64),
});

/** @param now milliseconds since the epoch */
export function createdBy(metadata: Origin, user: string, sealing: Sealing, now: number): string {
  const time = new Date(now).toISOString();
  const signature = sealing.seal('creator', textOf(metadata, user, time));
  return JSON.stringify({ user, time, signature });
}

/** What tells who created a run: a part of its metadata. */
export interface Origin {
  namespace?: string | undefined;
  name?: string | undefined;
  generateName?: string | undefined;
  creationTimestamp?: string | undefined;
  annotations?: Record<string, string> | undefined;
}

/** Who created a run; undefined where no record of this run says so. */
export function creatorOf(metadata: Origin, sealing: Sealing): string | undefined {
  const found = readRecord(metadata.annotations?.[CREATED_BY]);
  if (!found) return undefined;
  const { user, time, signature } = found;
  const { creationTimestamp = '', generateName = '', name = '' } = metadata;
  if (!name.startsWith(generateName)) return undefined;
  // A time that is none is never near.
  if (!(Math.abs(Date.parse(time) - Date.parse(creationTimestamp)) <= MAX_DRIFT_MS)) return undefined;
  return sealing.isOurs('creator', textOf(metadata, user, time), signature) ? user : undefined;
}

/** A generated name is not known yet. */
function textOf({ namespace = '', name = '', generateName }: Origin, user: string, time: string): string {
  return JSON.stringify([namespace, generateName ? '' : name, generateName ?? '', user, time]);
}

function readRecord(text: string | undefined): z.infer<typeof record> | undefined {
  if (text === undefined || text.length > 1024) return undefined;
  try {
    return record.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** The annotation of a workflow that says who asked for a run with `signalbox.dev/run=now`. */
export const RUN_BY = `${GROUP}/run-by`;

/** How long the operator may take to start a run that somebody asked for, before it is not sure any more who that was. */
const MAX_WAIT_MS = 600_000;

/** @param now milliseconds since the epoch */
export function runBy(
  { uid = '' }: Workflow['metadata'],
  user: string,
  sealing: Sealing,
  now: number,
): string {
  const time = new Date(now).toISOString();
  const signature = sealing.seal('creator', JSON.stringify(['run', uid, user, time]));
  return JSON.stringify({ user, time, signature });
}

/** Who asked for a run of a workflow; undefined where no record says so. */
export function askerOf(
  { uid, record: text }: { uid: string; record: string | undefined },
  sealing: Sealing,
  now: number,
): string | undefined {
  const found = readRecord(text);
  if (!found || Math.abs(now - Date.parse(found.time)) > MAX_WAIT_MS) return undefined;
  const { user, time, signature } = found;
  return sealing.isOurs('creator', JSON.stringify(['run', uid, user, time]), signature) ? user : undefined;
}
