import { createHash } from 'node:crypto';
import type { ObjectReference } from 'kubernetes-types/core/v1.d.ts';
import type { Event } from 'kubernetes-types/events/v1.d.ts';
import { microTime } from './micro-time.ts';
import { isNotFound } from './errors.ts';
import type { ResourceClient, ResourceType } from './resource.ts';

export const EVENTS: ResourceType = {
  group: 'events.k8s.io',
  version: 'v1',
  plural: 'events',
  kind: 'Event',
  namespaced: true,
};

/** Something that happened to an object, as `kubectl describe` shows it. */
export interface Happening {
  /** apiVersion, kind, namespace, name and uid of the object. */
  regarding: ObjectReference;
  type: 'Normal' | 'Warning';
  /** CamelCase word for machines. */
  reason: string;
  /** Sentence for people; cut at 1 KiB. */
  note: string;
}

/** Tells people what happens to objects. */
export interface EventRecorder {
  /**
   * Sends an event in the background, or counts one more on the same event of the last ten minutes. Returns at once and never
   * throws: events are a courtesy, and are dropped when there are too many of them.
   */
  record(happening: Happening): void;
  /** Sends what waits, for at most two seconds, and nothing after that. */
  close(): Promise<void>;
}

export interface EventRecorderOptions {
  client: ResourceClient<Event>;
  /** Who tells: the controller's name, such as `signalbox.dev/operator`. */
  controller: string;
  /** Which process of it, such as the Pod's name. */
  instance: string;
  /** Told why an event was not kept: the server's error, or `EventDropped`. */
  onError: (error: unknown) => void;
  /** Milliseconds since the epoch. @default Date.now */
  wallClock?: () => number;
}

/** The event was not sent, because there are too many of its object, or of all. */
export class EventDropped extends Error {
  override readonly name = 'EventDropped';
  readonly reason: 'ObjectLimit' | 'QueueFull';

  constructor(reason: EventDropped['reason'], { regarding, reason: of }: Happening) {
    super(`event ${of} of ${regarding.kind} ${regarding.namespace}/${regarding.name} was dropped: ${reason}`);
    this.reason = reason;
  }
}

/** The same event again within this time is counted on the first one. */
const WINDOW_MS = 10 * 60_000;
/** Events to send; more are dropped. */
const QUEUE_LIMIT = 1_000;
/** Series and objects that are remembered; the oldest are forgotten. */
const MEMORY = 2_000;
/** An object may have so many events at once, and then one more each interval. */
const BURST = 25;
const REFILL_MS = 10_000;
const CLOSE_MS = 2_000;
const NOTE_BYTES = 1_024;

/** One event and its repetitions. */
interface Series {
  happening: Happening;
  name: string;
  firstAt: number;
  lastAt: number;
  count: number;
  stored: boolean;
}

/** Makes a recorder that sends one event after the other through the given client. */
export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  const { client, onError, wallClock = Date.now } = options;
  const known = recentMap<Series>();
  const allowance = recentMap<{ tokens: number; at: number }>();
  const queue = new Set<Series>();
  let sending: Promise<void> | undefined;
  let closed = false;

  /** The series that the event belongs to, with this one counted. */
  function count(happening: Happening, now: number): Series {
    const key = keyOf(happening);
    const series = known.get(key);
    if (series && now - series.lastAt < WINDOW_MS) {
      series.count++;
      series.lastAt = now;
      return series;
    }
    const name = eventName(happening, key, now);
    return known.set(key, { happening, name, firstAt: now, lastAt: now, count: 1, stored: false });
  }

  /** A bucket of tokens for each object, so that one in trouble does not drown out the others. */
  function mayTell({ uid = '' }: ObjectReference, now: number): boolean {
    const bucket = allowance.get(uid) ?? { tokens: BURST, at: now };
    const tokens = Math.min(BURST, bucket.tokens + (now - bucket.at) / REFILL_MS);
    allowance.set(uid, { tokens: Math.max(0, tokens - 1), at: now });
    return tokens >= 1;
  }

  function record(happening: Happening): void {
    if (closed) return;
    const now = wallClock();
    const series = count(happening, now);
    if (queue.has(series)) return;
    if (!mayTell(happening.regarding, now)) return onError(new EventDropped('ObjectLimit', happening));
    if (queue.size >= QUEUE_LIMIT) return onError(new EventDropped('QueueFull', happening));
    queue.add(series);
    sending ??= sendAll();
  }

  async function sendAll(): Promise<void> {
    for (const series of queue) {
      queue.delete(series);
      await send(series).catch(onError);
    }
    sending = undefined;
  }

  async function send(series: Series): Promise<void> {
    const { namespace = 'default' } = series.happening.regarding;
    const repetition = { series: { count: series.count, lastObservedTime: microTime(series.lastAt) } };
    if (series.stored) {
      const patched = await client.patch({ namespace, name: series.name }, repetition).catch(unlessGone);
      if (patched) return;
    }
    await client.create({
      metadata: { namespace, name: series.name },
      ...series.happening,
      note: cut(series.happening.note),
      eventTime: microTime(series.firstAt),
      ...(series.count > 1 ? repetition : {}),
      action: series.happening.reason,
      reportingController: options.controller,
      reportingInstance: options.instance,
    });
    series.stored = true;
  }

  async function close(): Promise<void> {
    closed = true;
    const limit = AbortSignal.timeout(CLOSE_MS);
    const late = new Promise<void>((resolve) => limit.addEventListener('abort', () => resolve()));
    await Promise.race([sending, late]);
    queue.clear();
  }

  return { record, close };
}

/** A map that forgets what was not used for longest. */
function recentMap<V>() {
  const map = new Map<string, V>();
  return {
    get(key: string): V | undefined {
      const value = map.get(key);
      if (value !== undefined) {
        map.delete(key);
        map.set(key, value);
      }
      return value;
    },
    set(key: string, value: V): V {
      map.delete(key);
      map.set(key, value);
      for (const [oldest] of map) {
        if (map.size <= MEMORY) break;
        map.delete(oldest);
      }
      return value;
    },
  };
}

function keyOf({ regarding, type, reason, note }: Happening): string {
  return JSON.stringify([regarding.uid, type, reason, note]);
}

/** Starts like the object's name, so that `kubectl get events` reads well, and fits into 253 characters. */
function eventName({ regarding }: Happening, key: string, now: number): string {
  const hash = createHash('sha256').update(`${key} ${now}`).digest('hex').slice(0, 16);
  return `${(regarding.name ?? '').slice(0, 200)}.${hash}`;
}

function cut(note: string): string {
  const bytes = Buffer.from(note);
  if (bytes.length <= NOTE_BYTES) return note;
  // Decoding puts a replacement character where the cut went through a character.
  return `${bytes.toString('utf8', 0, NOTE_BYTES - 6).replace(/\uFFFD$/, '')}...`;
}

/** The API server keeps events for an hour only. */
function unlessGone(error: unknown): undefined {
  if (!isNotFound(error)) throw error;
  return undefined;
}
