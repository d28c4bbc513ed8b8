import { createReflector, type Reflector, type ReflectorOptions } from './reflector.ts';
import type { KubeObject } from './resource.ts';
import { createStore, type Store } from './store.ts';
import type { TableOptions } from './table.ts';

export type InformerOptions<T extends KubeObject, P, I extends string> = Omit<
  TableOptions<T, P, I>,
  'onError'
> &
  Omit<ReflectorOptions<T, P, I>, 'store' | 'onError'> & {
    /** Told what went wrong without stopping anything: a broken watch, or what a projection or listener threw. */
    onError: (error: unknown, at: { resource: string; key?: string }) => void;
  };

/** A store and the reflector that fills it. */
export interface Informer<T extends KubeObject, P, I extends string> extends Reflector {
  readonly store: Store<T, P, I>;
}

/** Makes the store and its reflector; nothing runs before `run`. */
export function createInformer<T extends KubeObject, P, I extends string>(
  options: InformerOptions<T, P, I>,
): Informer<T, P, I> {
  const resource = options.client.type.plural;
  const store = createStore<T, P, I>({
    project: options.project,
    indexers: options.indexers,
    onError: (error, key) => options.onError(error, { resource, key }),
  });
  const reflector = createReflector({
    ...options,
    store,
    onError: (error) => options.onError(error, { resource }),
  });
  return { ...reflector, store };
}
