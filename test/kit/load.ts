import { setTimeout as sleep } from 'node:timers/promises';
import { API_VERSION, GROUP, VERSION } from '../../src/api/common.ts';
import type { Workflow, WorkflowRun } from '../../src/api/resources.ts';
import { loadConnection } from '../../src/kube/config.ts';
import { resourceClient } from '../../src/kube/resource.ts';
import { createTransport } from '../../src/kube/transport.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { Spec } from './kit.ts';

const typeOf = (kind: string, plural: string) => ({
  group: GROUP,
  version: VERSION,
  kind,
  plural,
  namespaced: true,
});

/** Name of the load's client in the audit log. */
export const LOAD_CLIENT = 'load';

const NAMESPACE = 'default';
const CREATES_AT_ONCE = 16;
const POLL_MS = 50;

/** Starts runs and waits for their ends, many at once and at little cost. Times are in milliseconds since the epoch. */
export interface Load {
  apply(name: string, spec: Spec): Promise<void>;
  /** Creates so many runs as fast as the API server takes them. Gives their names. */
  start(workflow: string, count: number): Promise<string[]>;
  /** Waits until all these runs have ended, and gives them. */
  finished(names: readonly string[], limitMs: number): Promise<WorkflowRun[]>;
  /** The runs as they are, by name. */
  runs(): ReadonlyMap<string, WorkflowRun>;
  close(): Promise<void>;
}

export async function createLoad(cluster: Pick<Cluster, 'kubeconfig'>): Promise<Load> {
  const transport = createTransport(await loadConnection({ kubeconfig: cluster.kubeconfig }), {
    userAgent: LOAD_CLIENT,
  });
  const workflows = resourceClient<Workflow>(transport, typeOf('Workflow', 'workflows'));
  const runs = resourceClient<WorkflowRun>(transport, typeOf('WorkflowRun', 'workflowruns'));
  const known = new Map<string, WorkflowRun>();
  const stop = new AbortController();
  const { resourceVersion } = await runs.list({ namespace: NAMESPACE });
  const watching = watch(resourceVersion);

  /** Goes on from the last version seen when the API server is restarted under it. */
  async function watch(from: string): Promise<void> {
    while (!stop.signal.aborted) {
      const options = {
        resourceVersion: from,
        timeoutSeconds: 3600,
        idleTimeoutMs: 3_600_000,
        signal: stop.signal,
      };
      await runs
        .watch({ namespace: NAMESPACE }, options, ({ type, object }) => {
          from = object.metadata.resourceVersion ?? from;
          if (type !== 'BOOKMARK') known.set(object.metadata.name ?? '', object);
        })
        .catch(() => sleep(POLL_MS));
    }
  }

  async function startOne(workflow: string): Promise<string> {
    const run: WorkflowRun = {
      apiVersion: API_VERSION,
      kind: 'WorkflowRun',
      metadata: { generateName: `${workflow}-`, namespace: NAMESPACE },
      spec: { workflowRef: { name: workflow }, trigger: { type: 'Manual' } },
    };
    return (await runs.create(run)).metadata.name ?? '';
  }

  return {
    async apply(name, spec) {
      const workflow = { metadata: { name, namespace: NAMESPACE }, spec } as Workflow;
      await workflows.apply(workflow, { fieldManager: LOAD_CLIENT });
    },

    async start(workflow, count) {
      const names: string[] = [];
      let left = count;
      const lane = async () => {
        while (left-- > 0) names.push(await startOne(workflow));
      };
      await Promise.all(Array.from({ length: CREATES_AT_ONCE }, lane));
      return names;
    },

    async finished(names, limitMs) {
      const deadline = Date.now() + limitMs;
      for (;;) {
        const ended = names
          .map((name) => known.get(name))
          .filter((run) => run?.status?.finishedAt !== undefined);
        if (ended.length === names.length) return ended.filter((run) => run !== undefined);
        if (Date.now() > deadline)
          throw new Error(`${names.length - ended.length} of ${names.length} runs have not ended`);
        await sleep(POLL_MS);
      }
    },

    runs: () => known,

    async close() {
      stop.abort();
      await watching;
      await transport.close();
    },
  };
}
