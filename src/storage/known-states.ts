import type { Secret } from 'kubernetes-types/core/v1.d.ts';
import type { ProjectState } from '../api/project.ts';
import { createInformer } from '../kube/informer.ts';
import { resourceClient } from '../kube/resource.ts';
import type { Transport } from '../kube/transport.ts';
import { readHead } from './heads.ts';
import { ARTIFACT_LABEL, SECRETS } from './secret-blobs.ts';
import { currentOf, type LockHolder, stateHeadSchema, type StateKey } from './state-head.ts';

/** What is known of a state without reading it. */
interface KnownState extends StateKey {
  /** How many versions are kept. */
  versions: number;
  /** Of the current version. */
  serial?: number;
  lineage?: string;
  updatedAt?: string;
  lock?: KnownLock;
}

export interface KnownLock extends LockHolder {
  id: string;
  operation: string;
  since: string;
}

/** The states that the operator keeps, from a watch. */
export interface KnownStates {
  /**
   * How those of a Project are shown in its status, by workspace.
   * @param isGone whether the pod that holds a lock has ended, so that nobody will release it
   */
  shown(namespace: string, project: string, isGone: (lock: KnownLock) => boolean): ProjectState[];
  readonly size: number;
  /** Calls back in the tick of each change of a state. */
  subscribe(listener: (state: StateKey) => void): void;
  /** Watches until the signal is aborted. */
  run(signal: AbortSignal): Promise<void>;
  readonly synced: Promise<void>;
}

/** As many as the status of a Project takes. */
const MOST_SHOWN = 100;

export function createKnownStates(
  transport: Transport,
  namespace: string,
  onError: (error: unknown, at: { resource: string; key?: string }) => void,
): KnownStates {
  const { store, run, synced } = createInformer<Secret, KnownState, 'project'>({
    client: resourceClient<Secret>(transport, SECRETS),
    project: knownStateOf,
    indexers: { project: (state) => [projectKey(state.namespace, state.project)] },
    selection: { namespace, labelSelector: `${ARTIFACT_LABEL}=state` },
    onError,
  });
  return {
    shown: (namespace, project, isGone) =>
      shownStates(store.byIndex('project', projectKey(namespace, project)), isGone),
    get size() {
      return store.size;
    },
    subscribe: (listener) =>
      store.subscribe((change) => listener(change.type === 'Deleted' ? change.previous : change.object)),
    run,
    synced,
  };
}

function shownStates(states: readonly KnownState[], isGone: (lock: KnownLock) => boolean): ProjectState[] {
  return states
    .toSorted((a, b) => (a.workspace < b.workspace ? -1 : 1))
    .slice(0, MOST_SHOWN)
    .map(({ workspace, serial, lineage, versions, updatedAt, lock }) => ({
      workspace,
      versions,
      ...(serial === undefined ? {} : { serial }),
      ...(lineage === undefined ? {} : { lineage }),
      ...(updatedAt === undefined ? {} : { updatedAt }),
      ...(lock === undefined ? {} : { lock: shownLock(lock, isGone(lock)) }),
    }));
}

function shownLock({ id, operation, pod, run, step, since }: KnownLock, orphaned: boolean) {
  return { id, operation, pod, run, step, since, ...(orphaned ? { orphaned } : {}) };
}

function knownStateOf(secret: Secret): KnownState {
  const head = readHead(secret, (json) => stateHeadSchema.parse(json));
  const { namespace, project, workspace, versions, lock } = head;
  const current = currentOf(head);
  return {
    namespace,
    project,
    workspace,
    versions: versions.length,
    ...(current ? { serial: current.serial, lineage: current.lineage, updatedAt: current.time } : {}),
    ...(lock
      ? { lock: { ...lock.holder, id: lock.info.ID, operation: lock.info.Operation, since: lock.since } }
      : {}),
  };
}

const projectKey = (namespace: string, project: string) => `${namespace}/${project}`;
