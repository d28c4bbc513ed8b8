import type { ObjectName, ResourceType, Selection } from './resource.ts';

/** Path of all objects of a type, or of those in one namespace. */
export function collectionPath(type: ResourceType, namespace?: string): string {
  const base = type.group ? `/apis/${type.group}/${type.version}` : `/api/${type.version}`;
  const inNamespace = type.namespaced && namespace ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  return `${base}${inNamespace}/${type.plural}`;
}

/** Path of one object. */
export function objectPath(type: ResourceType, { namespace, name }: ObjectName): string {
  return `${collectionPath(type, namespace)}/${encodeURIComponent(name)}`;
}

type Query = Record<string, string | number | boolean | undefined>;

/** The selection as query parameters; the namespace is part of the path. */
export function selectors({ labelSelector, fieldSelector }: Selection): Query {
  return { labelSelector, fieldSelector };
}

/** `?a=b` of what is defined, or nothing. */
export function queryString(query: Query): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) parameters.set(name, String(value));
  }
  return parameters.size === 0 ? '' : `?${parameters.toString()}`;
}
