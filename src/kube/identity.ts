import type { KubeObject, ObjectName } from './resource.ts';

/** `namespace/name`, or the name alone for cluster-scoped objects. */
export function keyOf({ namespace, name }: ObjectName): string {
  return namespace ? `${namespace}/${name}` : name;
}

/** The reverse of `keyOf`. */
export function nameOf(key: string): ObjectName {
  const slash = key.indexOf('/');
  return slash === -1 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

/**
 * Resource versions of one resource type are integers that grow with each write (KEP-5504), in practice etcd's
 * revisions, far below 2^53.
 *
 * @throws {RangeError} for anything else, because nothing here would hold.
 */
export function revisionOf(resourceVersion: string | undefined): number {
  const revision = Number(resourceVersion);
  if (resourceVersion && Number.isSafeInteger(revision)) return revision;
  throw new RangeError(`resourceVersion "${resourceVersion}" is not an integer: versions cannot be compared`);
}

/** Key of an object from the API. */
export function keyOfObject({ metadata }: KubeObject): string {
  return keyOf({ namespace: metadata?.namespace, name: metadata?.name ?? '' });
}
