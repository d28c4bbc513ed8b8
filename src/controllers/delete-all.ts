import { isNotFound } from '../kube/errors.ts';
import type { KubeObject, ResourceClient } from '../kube/resource.ts';
import { settled } from './settled.ts';

/** Whoever lowers a retention lets go of thousands of objects, and must not keep others waiting for that. */
const AT_ONCE = 16;

interface Named {
  namespace: string;
  name: string;
  uid: string;
}

/**
 * Deletes some of these objects, and what belongs to each after it.
 *
 * @returns whether there are more
 */
export async function deleteAll<T extends KubeObject>(
  client: ResourceClient<T>,
  objects: readonly Named[],
): Promise<boolean> {
  const batch = objects.slice(0, AT_ONCE);
  await settled(
    batch.map(({ uid, ...name }) => {
      const call = client.delete(
        { namespace: name.namespace, name: name.name },
        { uid, propagationPolicy: 'Background' },
      );
      return call.catch((error: unknown) => {
        if (!isNotFound(error)) throw error;
      });
    }),
  );
  return batch.length < objects.length;
}
