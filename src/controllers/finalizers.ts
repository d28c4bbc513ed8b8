import { GROUP } from '../api/common.ts';
import { isNotFound } from '../kube/errors.ts';
import type { KubeObject, ObjectVersion, ResourceClient } from '../kube/resource.ts';

/** Keeps a run that is deleted until what it started has been stopped. */
export const RUN_FINALIZER = `${GROUP}/run`;

/** Keeps a workflow that is deleted until its runs and revisions are gone. */
export const WORKFLOW_FINALIZER = `${GROUP}/workflow`;

interface Finalized extends ObjectVersion {
  finalizers: readonly string[];
}

/**
 * Has the API server keep the object until {@link removeFinalizer}.
 * @throws {ApiError} Conflict when the object was changed meanwhile
 */
export function addFinalizer<T extends KubeObject>(
  client: ResourceClient<T>,
  object: Finalized,
  finalizer: string,
): Promise<T> {
  return patchFinalizers(client, object, [...object.finalizers, finalizer]);
}

/**
 * Lets the object go. The answer must not go into a store: the object may be gone with it.
 * @throws {ApiError} Conflict when the object was changed meanwhile
 */
export async function removeFinalizer<T extends KubeObject>(
  client: ResourceClient<T>,
  object: Finalized,
  finalizer: string,
): Promise<void> {
  const others = object.finalizers.filter((one) => one !== finalizer);
  try {
    await patchFinalizers(client, object, others);
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

function patchFinalizers<T extends KubeObject>(
  client: ResourceClient<T>,
  { namespace, name, resourceVersion }: Finalized,
  finalizers: readonly string[],
): Promise<T> {
  return client.patch({ namespace, name }, { metadata: { resourceVersion, finalizers } });
}
