import type { Job } from 'kubernetes-types/batch/v1.d.ts';
import type { Pod } from 'kubernetes-types/core/v1.d.ts';
import { setTimeout as sleep } from 'node:timers/promises';
import { GROUP, VERSION } from '../../src/api/common.ts';
import type { WorkflowRun } from '../../src/api/resources.ts';
import type { Connection } from '../../src/kube/config.ts';
import { type KubeObject, type ResourceClient, resourceClient } from '../../src/kube/resource.ts';
import { createTransport } from '../../src/kube/transport.ts';
import type { WatchEvent } from '../../src/kube/watch.ts';
import { LABELS } from '../../src/steps/labels.ts';

/** Name of the campaign's own client in the audit log. */
export const OBSERVER = 'faults-observer';

const NAMESPACE = 'default';
const POLL_MS = 100;

/** A Job, pod or run that was made for a step, from its creation on. */
export interface Made {
  kind: 'Job' | 'Pod' | 'WorkflowRun';
  name: string;
  uid: string;
  /** Name of the run that it was made for. */
  run: string;
  step: string;
  /** Name of its row in the status of that run. */
  row: string;
  attempt: number;
  /** Version of the cluster at which it was created; comparable with those of all other objects. */
  createdAt: number;
  /** Its newest state. */
  object: Job | Pod | WorkflowRun;
  deleted: boolean;
}

/** What the API server told, in order, to one that connects to it directly and misses nothing. */
export interface History {
  /** Everything that was ever made for a step, by UID. */
  readonly made: ReadonlyMap<string, Made>;
  /** The newest version of every run. */
  readonly runs: ReadonlyMap<string, WorkflowRun>;
  /** Deletes the object at once, as an impatient person would. */
  remove(made: Made): Promise<void>;
  close(): Promise<void>;
}

export interface Observer {
  /** A version of a run, and the one before it. */
  onRun(before: WorkflowRun | undefined, after: WorkflowRun): void;
  onMade(made: Made): void;
}

const typeOf = (group: string, version: string, kind: string, plural: string) => ({
  group,
  version,
  kind,
  plural,
  namespaced: true,
});

/** Watches runs, Jobs and pods from now on. Start it before there are any. */
export async function observe(connection: Connection, observer: Observer): Promise<History> {
  const transport = createTransport(connection, { userAgent: OBSERVER });
  const clients = {
    WorkflowRun: resourceClient<WorkflowRun>(
      transport,
      typeOf(GROUP, VERSION, 'WorkflowRun', 'workflowruns'),
    ),
    Job: resourceClient<Job>(transport, typeOf('batch', 'v1', 'Job', 'jobs')),
    Pod: resourceClient<Pod>(transport, typeOf('', 'v1', 'Pod', 'pods')),
  };
  const stop = new AbortController();
  const made = new Map<string, Made>();
  const runs = new Map<string, WorkflowRun>();

  /** Goes on from the last version seen should the watch end. */
  async function follow<T extends KubeObject>(
    client: ResourceClient<T>,
    onEvent: (type: WatchEvent<T>['type'], object: T) => void,
  ): Promise<void> {
    let { resourceVersion } = await client.list({ namespace: NAMESPACE });
    const watch = () =>
      client.watch(
        { namespace: NAMESPACE },
        { resourceVersion, timeoutSeconds: 3600, idleTimeoutMs: 3_600_000, signal: stop.signal },
        (event) => {
          resourceVersion = event.object.metadata?.resourceVersion ?? resourceVersion;
          if (event.type !== 'BOOKMARK') onEvent(event.type, event.object);
        },
      );
    following.push(repeat(watch));
  }

  async function repeat(watch: () => Promise<void>): Promise<void> {
    while (!stop.signal.aborted) await watch().catch(() => sleep(POLL_MS));
  }

  const onRun = (type: string, run: WorkflowRun) => {
    const name = run.metadata.name ?? '';
    onRunOfStep(type, run);
    if (type === 'DELETED') return;
    const before = runs.get(name);
    runs.set(name, run);
    observer.onRun(before, run);
  };

  const onObject = (kind: Made['kind']) => (type: string, object: Made['object']) => {
    const uid = object.metadata?.uid ?? '';
    const known = made.get(uid);
    if (known) {
      Object.assign(known, { object, deleted: known.deleted || type === 'DELETED' });
    } else if (object.metadata?.labels?.[LABELS.run] !== undefined) {
      const found = madeOf(kind, object);
      made.set(uid, found);
      observer.onMade(found);
    }
  };

  const onRunOfStep = onObject('WorkflowRun');
  const following: Promise<void>[] = [];
  await follow(clients.WorkflowRun, onRun);
  await follow(clients.Job, onObject('Job'));
  await follow(clients.Pod, onObject('Pod'));

  return {
    made,
    runs,
    async remove({ kind, name, uid }) {
      const options = { uid, gracePeriodSeconds: 0, propagationPolicy: 'Background' } as const;
      await clients[kind].delete({ namespace: NAMESPACE, name }, options);
    },
    async close() {
      stop.abort();
      await Promise.all(following);
      await transport.close();
    },
  };
}

function madeOf(kind: Made['kind'], object: Made['object']): Made {
  const { name = '', uid = '', labels = {}, resourceVersion = '0' } = object.metadata ?? {};
  const { [LABELS.step]: step = '', [LABELS.instance]: instance } = labels;
  return {
    kind,
    name,
    uid,
    run: labels[LABELS.run] ?? '',
    step,
    row: instance === undefined ? step : `${step}[${instance}]`,
    attempt: Number(labels[LABELS.attempt] ?? 0),
    createdAt: Number(resourceVersion),
    object,
    deleted: false,
  };
}
