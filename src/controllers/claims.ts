import type { Entry } from './admission.ts';
import type { Cluster } from './cluster.ts';
import { type ContentionIndex, contentionIndexers } from './contention.ts';
import type { RunView } from './views.ts';

/**
 * What runs are about to become, until the store shows it: others are judged by that at once, and wake those that are
 * about to wait for them.
 */
export interface Claims {
  /** The status is about to be written over the version of the run that is given. */
  make(run: RunView, entry: Entry): void;
  /** What was about to be written over this version of the run, and may have been. */
  of(run: RunView): Entry | undefined;
  /** The status is in the store, or will never be. Gives the run as it was claimed to be. */
  drop(uid: string): RunView | undefined;
  /** What the store finds, or will find once what is being written is there. */
  find(index: ContentionIndex, value: string): RunView[];
  lookUp(key: string): RunView | undefined;
}

export function createClaims(store: Cluster['runs']['store']): Claims {
  const claims = new Map<string, { base: string; entry: Entry; view: RunView }>();

  store.subscribe((change) => {
    const { uid, resourceVersion } = change.type === 'Deleted' ? change.previous : change.object;
    const claim = claims.get(uid);
    if (!claim || (change.type !== 'Deleted' && resourceVersion === claim.base)) return;
    // What is being written is part of this version, or will be refused because of it.
    claims.delete(uid);
  });

  return {
    make(run, entry) {
      claims.set(run.uid, { base: run.resourceVersion, entry, view: { ...run, status: entry.status } });
    },
    of({ uid, resourceVersion }) {
      const claim = claims.get(uid);
      return claim?.base === resourceVersion ? claim.entry : undefined;
    },
    drop(uid) {
      const claim = claims.get(uid);
      claims.delete(uid);
      return claim?.view;
    },
    find(index, value) {
      const stored = store.byIndex(index, value).filter(({ uid }) => !claims.has(uid));
      const claimed = Array.from(claims.values(), ({ view }) => view);
      return [...stored, ...claimed.filter((view) => contentionIndexers[index](view).includes(value))];
    },
    lookUp(key) {
      const stored = store.get(key);
      return stored && (claims.get(stored.uid)?.view ?? stored);
    },
  };
}
