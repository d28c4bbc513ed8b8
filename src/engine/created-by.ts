import * as z from 'zod';
import { GROUP } from '../api/common.ts';
import type { Workflow, WorkflowRun } from '../api/resources.ts';
import type { Sealing } from './vote.ts';

// Who created a run, as the API server knew them. The UID of a run is not known while it is being created, so that the
// record is bound to the place, the name and the time instead: the API server sets the time of creation itself. A run
// that a trigger started was started by nobody, which any approver may approve: that record is also bound to what the
// run does, so that it is of no use on a run that somebody makes in its place.

/** The annotation that holds the record. */
export const CREATED_BY = `${GROUP}/created-by`;

/** How far the time of the record may lie from that of the creation: an admission takes less than that. */
const MAX_DRIFT_MS = 60_000;

const seal = { time: z.iso.datetime(), signature: z.string().max(64) };
const record = z.strictObject({ user: z.string().min(1).max(256), ...seal });
const triggerRecord = z.strictObject({ trigger: z.literal(true), ...seal });

/** Who created a run: a person or a program, by the name that the API server knows, or the operator for a trigger. */
export type Creator = { kind: 'User'; user: string } | { kind: 'Trigger' };

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

/** A run, as far as it tells who created it. */
export interface Created {
  metadata: Origin;
  spec: WorkflowRun['spec'];
}

/** The record on a run that a trigger starts, or that such a run starts by a step. @param now milliseconds since the epoch */
export function createdByTrigger(run: Created, sealing: Sealing, now: number): string {
  const time = new Date(now).toISOString();
  const signature = sealing.seal('trigger', textOfRun(run, time));
  return JSON.stringify({ trigger: true, time, signature });
}

/** The record on a run that somebody else creates for whoever is the creator. */
export const createdFor = (creator: Creator, run: Created, sealing: Sealing, now: number): string =>
  creator.kind === 'User'
    ? createdBy(run.metadata, creator.user, sealing, now)
    : createdByTrigger(run, sealing, now);

/** Who created a run; undefined where no record of this run says so. */
export function creatorOf(run: Created, sealing: Sealing): Creator | undefined {
  const { creationTimestamp = '', generateName = '', name = '', annotations } = run.metadata;
  const text = annotations?.[CREATED_BY];
  const found = readRecord(text, record) ?? readRecord(text, triggerRecord);
  if (!found || !name.startsWith(generateName)) return undefined;
  const { time, signature } = found;
  // A time that is none is never near.
  if (!(Math.abs(Date.parse(time) - Date.parse(creationTimestamp)) <= MAX_DRIFT_MS)) return undefined;
  if ('trigger' in found) {
    return sealing.isOurs('trigger', textOfRun(run, time), signature) ? { kind: 'Trigger' } : undefined;
  }
  const { user } = found;
  return sealing.isOurs('creator', textOf(run.metadata, user, time), signature)
    ? { kind: 'User', user }
    : undefined;
}

/** A generated name is not known yet. */
function textOf({ namespace = '', name = '', generateName }: Origin, user: string, time: string): string {
  return JSON.stringify([namespace, generateName ? '' : name, generateName ?? '', user, time]);
}

/** The API server keeps the members of an object in an order of its own. */
function textOfRun({ metadata, spec }: Created, time: string): string {
  const { namespace = '', name = '' } = metadata;
  return JSON.stringify([namespace, name, sorted(spec), time]);
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(sorted);
  const entries = Object.entries(value).filter(([, one]) => one !== undefined);
  return entries.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([key, one]) => [key, sorted(one)]);
}

function readRecord<T>(text: string | undefined, schema: z.ZodType<T>): T | undefined {
  if (text === undefined || text.length > 1024) return undefined;
  try {
    return schema.safeParse(JSON.parse(text)).data;
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
  const found = readRecord(text, record);
  if (!found || Math.abs(now - Date.parse(found.time)) > MAX_WAIT_MS) return undefined;
  const { user, time, signature } = found;
  return sealing.isOurs('creator', JSON.stringify(['run', uid, user, time]), signature) ? user : undefined;
}
