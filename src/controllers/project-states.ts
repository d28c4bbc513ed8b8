import type { Storage } from '../storage/storage.ts';
import type { ProjectStates } from './project-controller.ts';

/** The states that are kept, as Projects show them; without a storage there are none. */
export function projectStatesOf(storage: Pick<Storage, 'known' | 'unlock'> | undefined): ProjectStates {
  if (!storage) return { shown: () => [], subscribe: () => {}, unlock: async () => 'NotLocked' };
  const { known, unlock } = storage;
  return { shown: known.shown, subscribe: known.subscribe, unlock };
}
