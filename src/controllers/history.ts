import { isExpired } from '../kube/errors.ts';
import type { KubeObject, ObjectName, ResourceClient } from '../kube/resource.ts';

/** Whether an object of a name has existed since a version of the cluster. */
export type Existence = 'Existed' | 'Never' | 'Unknown';

const WATCH_SECONDS = 1;
const IDLE_MS = 10_000;

/**
 * Asks the API server's own history whether an object was there at any time since `resourceVersion`, also when it has
 * been deleted since. This tells a start that was cut short by a crash, which is to be done again, from one whose object
 * somebody deleted, which must not be. `Unknown`: the API server has forgotten that far back.
 */
export async function existedSince<T extends KubeObject>(
  client: ResourceClient<T>,
  { namespace, name }: ObjectName,
  resourceVersion: string,
): Promise<Existence> {
  let seen = false;
  const selection = { namespace, fieldSelector: `metadata.name=${name}` };
  const options = { resourceVersion, timeoutSeconds: WATCH_SECONDS, idleTimeoutMs: IDLE_MS };
  try {
    await client.watch(selection, options, ({ type }) => {
      seen ||= type !== 'BOOKMARK';
    });
  } catch (error) {
    if (!isExpired(error)) throw error;
    return 'Unknown';
  }
  return seen ? 'Existed' : 'Never';
}
