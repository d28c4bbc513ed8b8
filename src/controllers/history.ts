import { isExpired } from '../kube/errors.ts';
import { revisionOf } from '../kube/identity.ts';
import type { KubeObject, ObjectName, ResourceClient } from '../kube/resource.ts';

/** Whether an object of a name has existed since a version of the cluster. */
export type Existence = 'Existed' | 'Never' | 'Unknown';

/** Of watches that are to end within 3 s or later, the API server tells a bookmark a second or two after the start. */
const WATCH_SECONDS = 4;
const IDLE_MS = 10_000;

/** The history ended before it had told everything: ask again. */
export class HistoryCutError extends Error {
  override readonly name = 'HistoryCutError';

  constructor({ namespace, name }: ObjectName) {
    super(`the API server ended the history of ${namespace}/${name} before it had told all of it`);
  }
}

/**
 * Asks the API server's own history whether an object was there at any time since `resourceVersion`, also when it has
 * been deleted since. This tells a start that was cut short by a crash, which is to be done again, from one whose object
 * somebody deleted, which must not be. `Unknown`: the API server has forgotten that far back.
 *
 * A watch may end at any time without having told a thing, so its end proves nothing. What does is a bookmark that is as
 * new as a list which was made before.
 *
 * @throws {HistoryCutError} there was neither an event nor such a bookmark
 */
export async function existedSince<T extends KubeObject>(
  client: ResourceClient<T>,
  { namespace, name }: ObjectName,
  resourceVersion: string,
): Promise<Existence> {
  const selection = { namespace, fieldSelector: `metadata.name=${name}` };
  const now = await client.list(selection);
  if (now.items.length > 0) return 'Existed';
  const told = new AbortController();
  let existence: Existence | undefined;
  const options = {
    resourceVersion,
    timeoutSeconds: WATCH_SECONDS,
    idleTimeoutMs: IDLE_MS,
    signal: told.signal,
  };
  try {
    await client.watch(selection, options, ({ type, object }) => {
      if (type !== 'BOOKMARK') existence = 'Existed';
      else if (revisionOf(object.metadata?.resourceVersion) >= revisionOf(now.resourceVersion))
        existence ??= 'Never';
      if (existence) told.abort();
    });
  } catch (error) {
    if (isExpired(error)) return 'Unknown';
    if (!existence) throw error;
  }
  if (!existence) throw new HistoryCutError({ namespace, name });
  return existence;
}
