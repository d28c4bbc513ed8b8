import { isAlreadyExists } from './errors.ts';
import { collectionPath, objectPath, queryString, selectors } from './path.ts';
import type { ApiRequest, Transport } from './transport.ts';
import { type WatchEvent, type WatchOptions, watchResource } from './watch.ts';

/** One kind of object as the API serves it. */
export interface ResourceType {
  /** Empty for the core group. */
  group: string;
  version: string;
  plural: string;
  kind: string;
  namespaced: boolean;
}

/** What every object has. Narrower types fit too. */
export interface KubeObject {
  apiVersion?: string | undefined;
  kind?: string | undefined;
  metadata?: ObjectMeta | undefined;
}

/** The part of an object's metadata that this folder reads. */
export interface ObjectMeta {
  name?: string | undefined;
  namespace?: string | undefined;
  uid?: string | undefined;
  resourceVersion?: string | undefined;
}

/** Names one object. `namespace` stays away for cluster-scoped ones. */
export interface ObjectName {
  namespace?: string | undefined;
  name: string;
}

/** Names one object at one version: a write based on an older one gets a 409 (`isConflict`). */
export interface ObjectVersion extends ObjectName {
  resourceVersion: string;
}

export interface CallOptions {
  signal?: AbortSignal;
  /** Limit for one try, instead of the transport's. */
  timeoutMs?: number;
}

/** Which objects; all by default. */
export interface Selection {
  namespace?: string | undefined;
  labelSelector?: string | undefined;
  fieldSelector?: string | undefined;
}

export interface ObjectList<T> {
  items: T[];
  resourceVersion: string;
}

export interface DeleteOptions extends CallOptions {
  /** Delete only this incarnation. Also makes the call safe to repeat after a lost answer. */
  uid?: string;
  propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
  gracePeriodSeconds?: number;
}

export interface ApplyOptions extends CallOptions {
  /** Owner of the fields that are applied. Takes them over from other managers. */
  fieldManager: string;
}

/**
 * The calls of one resource. All return the object as the server keeps it after the call, for the store, and throw what
 * `Transport.request` throws.
 */
export interface ResourceClient<T extends KubeObject> {
  readonly type: ResourceType;
  get(name: ObjectName, options?: CallOptions): Promise<T>;
  /** All objects, read in pages. */
  list(selection?: Selection, options?: CallOptions): Promise<ObjectList<T>>;
  /** The pages of a list, one at a time, all at the same resourceVersion. Throws Expired when reading took too long. */
  pages(selection?: Selection, options?: CallOptions): AsyncGenerator<ObjectList<T>>;
  /** Never repeated once it may have been carried out: a ConnectionError with `sent` leaves open whether it was. */
  create(object: T, options?: CallOptions): Promise<T>;
  /**
   * Creates an object whose name follows from what it is for, so that it exists once however often this is called.
   * Repeated after a lost answer. `created: false`: it is the object that was found; the caller must look
   * at its owner before it trusts it.
   */
  ensure(object: T, options?: CallOptions): Promise<{ object: T; created: boolean }>;
  /** JSON merge patch. With `metadata.resourceVersion` in it a stale writer gets 409. */
  patch(name: ObjectName, patch: object, options?: CallOptions): Promise<T>;
  /** Merge patch of the status subresource, based on the version given. */
  patchStatus(version: ObjectVersion, status: object, options?: CallOptions): Promise<T>;
  /** Server-side apply: creates the object or takes the given fields over. */
  apply(object: T, options: ApplyOptions): Promise<T>;
  /** Resolves when the object is deleted or its deletion has begun. */
  delete(name: ObjectName, options?: DeleteOptions): Promise<void>;
  /** One watch request: resolves when the server ends it. See `watchResource`. */
  watch(selection: Selection, options: WatchOptions, onEvent: (event: WatchEvent<T>) => void): Promise<void>;
}

/** Objects per page of a list, as kubectl and client-go ask for. */
const PAGE_SIZE = 500;

/** The client of one resource. `T` is what the server is trusted to send for it. */
export function resourceClient<T extends KubeObject>(
  transport: Transport,
  type: ResourceType,
): ResourceClient<T> {
  return {
    type,
    ...reading<T>(transport, type),
    ...making<T>(transport, type),
    ...changing<T>(transport, type),
  };
}

/** Makes the calls of one resource that are answered by an object. */
function caller<T>(transport: Transport, type: ResourceType) {
  type Call = Partial<ApiRequest> & Pick<ApiRequest, 'verb' | 'method' | 'path' | 'idempotent'>;
  return async (call: Call): Promise<T> => (await transport.request({ resource: type.plural, ...call })) as T;
}

function reading<T extends KubeObject>(
  transport: Transport,
  type: ResourceType,
): Pick<ResourceClient<T>, 'get' | 'list' | 'pages' | 'watch'> {
  const call = caller<T>(transport, type);
  const callPage = caller<{ items: T[]; metadata: { resourceVersion: string; continue?: string } }>(
    transport,
    type,
  );

  async function* pages(selection: Selection = {}, options?: CallOptions): AsyncGenerator<ObjectList<T>> {
    const collection = collectionPath(type, selection.namespace);
    let next: string | undefined;
    do {
      const path = collection + queryString({ ...selectors(selection), limit: PAGE_SIZE, continue: next });
      const { items, metadata } = await callPage({
        verb: 'list',
        method: 'GET',
        path,
        idempotent: true,
        ...options,
      });
      yield { items, resourceVersion: metadata.resourceVersion };
      next = metadata.continue;
    } while (next);
  }

  return {
    pages,
    get: (name, options) =>
      call({ verb: 'get', method: 'GET', path: objectPath(type, name), idempotent: true, ...options }),
    async list(selection, options) {
      const all: ObjectList<T> = { items: [], resourceVersion: '' };
      for await (const page of pages(selection, options)) {
        all.items.push(...page.items);
        all.resourceVersion = page.resourceVersion;
      }
      return all;
    },
    watch: (selection, options, onEvent) => watchResource(transport, type, selection, options, onEvent),
  };
}

function making<T extends KubeObject>(
  transport: Transport,
  type: ResourceType,
): Pick<ResourceClient<T>, 'create' | 'ensure' | 'apply'> {
  const call = caller<T>(transport, type);
  const post = (object: T, idempotent: boolean, options?: CallOptions) =>
    call({
      verb: 'create',
      method: 'POST',
      path: collectionPath(type, object.metadata?.namespace),
      body: typed(type, object),
      idempotent,
      ...options,
    });

  return {
    create: (object, options) => post(object, false, options),
    async ensure(object, options) {
      try {
        return { object: await post(object, true, options), created: true };
      } catch (error) {
        if (!isAlreadyExists(error)) throw error;
        const path = objectPath(type, nameOf(object));
        const found = await call({ verb: 'get', method: 'GET', path, idempotent: true, ...options });
        return { object: found, created: false };
      }
    },
    apply: (object, { fieldManager, ...options }) =>
      call({
        verb: 'apply',
        method: 'PATCH',
        path: objectPath(type, nameOf(object)) + queryString({ fieldManager, force: true }),
        body: typed(type, object),
        contentType: 'application/apply-patch+yaml',
        idempotent: true,
        ...options,
      }),
  };
}

function changing<T extends KubeObject>(
  transport: Transport,
  type: ResourceType,
): Pick<ResourceClient<T>, 'patch' | 'patchStatus' | 'delete'> {
  const call = caller<T>(transport, type);
  const merge = { verb: 'patch', method: 'PATCH', contentType: 'application/merge-patch+json' } as const;

  return {
    patch: (name, patch, options) =>
      call({
        ...merge,
        path: objectPath(type, name),
        body: patch,
        idempotent: carriesVersion(patch),
        ...options,
      }),
    patchStatus: ({ resourceVersion, ...name }, status, options) =>
      call({
        ...merge,
        resource: `${type.plural}/status`,
        path: `${objectPath(type, name)}/status`,
        body: { metadata: { resourceVersion }, status },
        idempotent: true,
        ...options,
      }),
    async delete(name, { uid, propagationPolicy, gracePeriodSeconds, ...options }: DeleteOptions = {}) {
      const preconditions = uid === undefined ? undefined : { uid };
      await call({
        verb: 'delete',
        method: 'DELETE',
        path: objectPath(type, name),
        body: {
          kind: 'DeleteOptions',
          apiVersion: 'v1',
          preconditions,
          propagationPolicy,
          gracePeriodSeconds,
        },
        idempotent: uid !== undefined,
        ...options,
      });
    },
  };
}

function nameOf({ metadata }: KubeObject): ObjectName {
  return { namespace: metadata?.namespace, name: metadata?.name ?? '' };
}

/** The server wants to know in the body what the path already says. */
function typed<T extends KubeObject>({ group, version, kind }: ResourceType, object: T): T {
  return { ...object, apiVersion: group ? `${group}/${version}` : version, kind };
}

/** A patch of a named version does nothing the second time, except say Conflict. */
function carriesVersion(patch: { metadata?: ObjectMeta }): boolean {
  return patch.metadata?.resourceVersion !== undefined;
}
