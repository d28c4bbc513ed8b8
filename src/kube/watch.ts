import type { Status } from 'kubernetes-types/meta/v1.d.ts';
import { ApiError } from './errors.ts';
import { lineSplitter } from './lines.ts';
import { collectionPath, queryString, selectors } from './path.ts';
import type { KubeObject, ObjectMeta, ResourceType, Selection } from './resource.ts';
import type { Transport } from './transport.ts';

/** One line of a watch. `Bookmark` says only how far the watch has come. */
export type WatchEvent<T> =
  | { type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: T }
  | {
      type: 'BOOKMARK';
      object: { metadata: { resourceVersion: string; annotations?: Record<string, string> } };
    };

export interface WatchOptions {
  /** Events after this version. Absent: from now. */
  resourceVersion?: string;
  /**
   * First stream all objects as they are now as ADDED, then a bookmark for which `endsInitialEvents` holds, then go on
   * (the API's streaming list, KEP-3157).
   */
  sendInitialEvents?: boolean;
  /** The server ends the watch after this time. */
  timeoutSeconds: number;
  /** The server counts as dead when it sends nothing for so long; it sends a bookmark about once a minute. */
  idleTimeoutMs: number;
  signal?: AbortSignal;
}

type WireEvent<T> = WatchEvent<T> | { type: 'ERROR'; object: Status };

/**
 * Makes one watch request and hands on each event in the tick in which its last byte arrives. What `onEvent` throws
 * ends the watch with that error as cause.
 *
 * @throws {ApiError} the server refused, or ended the watch with an error, such as `isExpired`.
 * @throws {ConnectionError} the connection broke or stayed silent.
 */
export async function watchResource<T extends KubeObject>(
  transport: Transport,
  type: ResourceType,
  selection: Selection,
  options: WatchOptions,
  onEvent: (event: WatchEvent<T>) => void,
): Promise<void> {
  const name = { verb: 'watch', resource: type.plural };
  const stopped = new AbortController();
  const onLine = (line: string) => {
    const event = JSON.parse(line) as WireEvent<T>;
    if (event.type !== 'ERROR') onEvent(event);
    else stopped.abort(new ApiError(name, event.object));
  };
  await transport.stream({
    ...name,
    path: collectionPath(type, selection.namespace) + watchQuery(selection, options),
    signal: options.signal ? AbortSignal.any([options.signal, stopped.signal]) : stopped.signal,
    idleTimeoutMs: options.idleTimeoutMs,
    onChunk: lineSplitter(onLine),
  });
}

/** Whether a bookmark marks the end of the initial events. */
export function endsInitialEvents(bookmark: {
  metadata: ObjectMeta & { annotations?: Record<string, string> };
}): boolean {
  return bookmark.metadata.annotations?.['k8s.io/initial-events-end'] === 'true';
}

function watchQuery(selection: Selection, options: WatchOptions): string {
  const initial = options.sendInitialEvents
    ? { sendInitialEvents: true, resourceVersionMatch: 'NotOlderThan' }
    : {};
  return queryString({
    watch: true,
    allowWatchBookmarks: true,
    resourceVersion: options.resourceVersion,
    timeoutSeconds: options.timeoutSeconds,
    ...initial,
    ...selectors(selection),
  });
}
