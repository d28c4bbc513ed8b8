import type { ControllerRevision } from 'kubernetes-types/apps/v1.d.ts';
import type { Job } from 'kubernetes-types/batch/v1.d.ts';
import type { ConfigMap, Pod, Secret } from 'kubernetes-types/core/v1.d.ts';
import { GROUP, VERSION } from '../api/common.ts';
import type { Project, Workflow, WorkflowRun } from '../api/resources.ts';
import { createInformer, type Informer } from '../kube/informer.ts';
import type { Reflector } from '../kube/reflector.ts';
import { type KubeObject, type ResourceClient, type ResourceType, resourceClient } from '../kube/resource.ts';
import { type Indexer, keyOf } from '../kube/store.ts';
import type { Transport } from '../kube/transport.ts';
import { LABELS, labelValue, PROJECT_LABEL } from '../steps/labels.ts';
import { callsOf } from './cycles.ts';
import { type CheckView, checkView } from './source-check.ts';
import { type ContentionIndex, contentionIndexers } from './contention.ts';
import {
  type JobView,
  jobView,
  type PodView,
  podView,
  type ProjectView,
  projectView,
  type RevisionView,
  type RunView,
  revisionView,
  runView,
  type WorkflowView,
  workflowView,
} from './views.ts';

const ofGroup =
  (group: string, version: string) =>
  (kind: string, plural: string): ResourceType => ({
    group,
    version,
    kind,
    plural,
    namespaced: true,
  });
const own = ofGroup(GROUP, VERSION);

const TYPES = {
  workflows: own('Workflow', 'workflows'),
  runs: own('WorkflowRun', 'workflowruns'),
  projects: own('Project', 'projects'),
  jobs: ofGroup('batch', 'v1')('Job', 'jobs'),
  pods: ofGroup('', 'v1')('Pod', 'pods'),
  secrets: ofGroup('', 'v1')('Secret', 'secrets'),
  configMaps: ofGroup('', 'v1')('ConfigMap', 'configmaps'),
  revisions: ofGroup('apps', 'v1')('ControllerRevision', 'controllerrevisions'),
};

/** One kind of object: how to write it, and what is known of it. */
export interface Kind<T extends KubeObject, P, I extends string = never> {
  client: ResourceClient<T>;
  store: Informer<T, P, I>['store'];
}

/** How runs are found. */
export type RunIndex = 'workflow' | 'label' | 'owner' | ContentionIndex;

/** Everything that the controllers read and write in the cluster. */
export interface Cluster {
  workflows: Kind<Workflow, WorkflowView, 'calls'>;
  runs: Kind<WorkflowRun, RunView, RunIndex>;
  projects: Kind<Project, ProjectView>;
  jobs: Kind<Job, JobView, 'run'>;
  pods: Kind<Pod, PodView>;
  /** The pods that find out whether the source of a project can be reached. */
  checks: Kind<Pod, CheckView, 'project'>;
  revisions: Kind<ControllerRevision, RevisionView, 'workflow'>;
  /** Read one at a time, when a step asks for it, and neither listed nor kept. */
  secrets: ResourceClient<Secret>;
  /** As Secrets. */
  configMaps: ResourceClient<ConfigMap>;
  /** Watches until the signal is aborted. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves when everything has been read once. */
  synced: Promise<void>;
}

export interface ClusterOptions {
  transport: Transport;
  /** The namespace to watch; all when absent. */
  namespace?: string;
  /** @returns milliseconds since the epoch */
  now: () => number;
  onError: (error: unknown, at: { resource: string; key?: string }) => void;
}

/** Makes clients and stores; nothing runs before `run`. */
export function createCluster({ transport, namespace, now, onError }: ClusterOptions): Cluster {
  const reflectors: Reflector[] = [];

  function kind<T extends KubeObject, P, I extends string = never>(
    type: ResourceType,
    project: (raw: T) => P,
    indexers: Record<I, Indexer<P>>,
    labelSelector?: string,
  ): Kind<T, P, I> {
    const client = resourceClient<T>(transport, type);
    const selection = { namespace, labelSelector };
    const informer = createInformer<T, P, I>({ client, project, indexers, selection, onError });
    reflectors.push(informer);
    return { client, store: informer.store };
  }

  const kinds = {
    workflows: kind(TYPES.workflows, workflowView, { calls: callsOf }),
    runs: kind(TYPES.runs, runView, {
      workflow: (run: RunView) => [workflowKey(run)],
      label: (run: RunView) => [keyOf({ ...run, name: labelValue(run.name) })],
      owner: (run: RunView) => (run.owner ? [run.owner.uid] : []),
      ...contentionIndexers,
    }),
    projects: kind(TYPES.projects, projectView, {}),
    jobs: kind(TYPES.jobs, jobView, { run: (job: JobView) => [job.run.uid] }, LABELS.run),
    pods: kind(TYPES.pods, (pod: Pod) => podView(pod, now()), {}, LABELS.run),
    checks: kind(
      TYPES.pods,
      (pod: Pod) => checkView(pod, now()),
      { project: (check: CheckView) => [check.project] },
      PROJECT_LABEL,
    ),
    revisions: kind(
      TYPES.revisions,
      revisionView,
      { workflow: (revision: RevisionView) => [keyOf({ ...revision, name: revision.workflow })] },
      LABELS.workflow,
    ),
  };
  return {
    ...kinds,
    secrets: resourceClient(transport, TYPES.secrets),
    configMaps: resourceClient(transport, TYPES.configMaps),
    run: async (signal) => void (await Promise.all(reflectors.map((reflector) => reflector.run(signal)))),
    synced: Promise.all(reflectors.map((reflector) => reflector.synced)).then(() => {}),
  };
}

/** Key of the workflow that a run is of. */
export function workflowKey(run: RunView): string {
  return keyOf({ namespace: run.namespace, name: run.spec.workflowRef.name });
}
