import type { ObjectMeta } from 'kubernetes-types/meta/v1.d.ts';
import { isNotFound } from './errors.ts';
import { collectionPath, objectPath, queryString, selectors } from './path.ts';
import type { CallOptions, ObjectName, ResourceType, Selection } from './resource.ts';
import type { Transport } from './transport.ts';

const ACCEPT = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';
const ACCEPT_ONE = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1';
const PAGE_SIZE = 500;

/** The metadata of the selected objects, page by page; what the objects hold does not travel. */
export async function* listMetadata(
  transport: Transport,
  type: ResourceType,
  selection: Selection,
  options: CallOptions = {},
): AsyncGenerator<ObjectMeta> {
  let next: string | undefined;
  do {
    const query = queryString({ ...selectors(selection), limit: PAGE_SIZE, continue: next });
    const page = (await transport.request({
      verb: 'list',
      resource: type.plural,
      method: 'GET',
      path: collectionPath(type, selection.namespace) + query,
      accept: ACCEPT,
      idempotent: true,
      ...options,
    })) as { items: { metadata: ObjectMeta }[] | null; metadata: { continue?: string } };
    // In this form an empty list is null.
    for (const { metadata } of page.items ?? []) yield metadata;
    next = page.metadata.continue;
  } while (next);
}

/** The metadata of one object; undefined when it is not there. What the object holds does not travel. */
export async function readMetadata(
  transport: Transport,
  type: ResourceType,
  name: ObjectName,
  options: CallOptions = {},
): Promise<ObjectMeta | undefined> {
  try {
    const { metadata } = (await transport.request({
      verb: 'get',
      resource: type.plural,
      method: 'GET',
      path: objectPath(type, name),
      accept: ACCEPT_ONE,
      idempotent: true,
      ...options,
    })) as { metadata: ObjectMeta };
    return metadata;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
