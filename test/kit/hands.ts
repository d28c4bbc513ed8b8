import type { Binding, Pod } from 'kubernetes-types/core/v1.d.ts';
import type { Event } from 'kubernetes-types/events/v1.d.ts';
import { API_VERSION, GROUP, VERSION } from '../../src/api/common.ts';
import type { Project, Workflow, WorkflowRun } from '../../src/api/resources.ts';
import { isNotFound } from '../../src/kube/errors.ts';
import { loadConnection } from '../../src/kube/config.ts';
import { EVENTS } from '../../src/kube/events.ts';
import { resourceClient } from '../../src/kube/resource.ts';
import { createTransport } from '../../src/kube/transport.ts';
import { MAIN } from '../../src/steps/job.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { waitFor } from '../cluster/wait.ts';
import type { Spec } from './kit.ts';

const LIMIT_MS = 60_000;

/**
 * What people and kubelets do in one namespace of a cluster without nodes, where each pod waits until the test ends it.
 * Without kubectl, for tests of which each needs hundreds of calls.
 */
export async function createHands(cluster: Pick<Cluster, 'kubeconfig'>, namespace: string) {
  const connection = await loadConnection({ kubeconfig: cluster.kubeconfig });
  const transport = createTransport(connection, { userAgent: 'hands' });
  const own = (kind: string, plural: string) => ({
    group: GROUP,
    version: VERSION,
    kind,
    plural,
    namespaced: true,
  });
  const core = (kind: string, plural: string) => ({
    group: '',
    version: 'v1',
    kind,
    plural,
    namespaced: true,
  });
  const runs = resourceClient<WorkflowRun>(transport, own('WorkflowRun', 'workflowruns'));
  const workflows = resourceClient<Workflow>(transport, own('Workflow', 'workflows'));
  const pods = resourceClient<Pod>(transport, core('Pod', 'pods'));
  const events = resourceClient<Event>(transport, EVENTS);

  const annotations = (values: Record<string, string>) =>
    Object.fromEntries(Object.entries(values).map(([name, value]) => [`${GROUP}/${name}`, value]));

  return {
    runs,
    workflows,
    pods,
    projects: resourceClient<Project>(transport, own('Project', 'projects')),

    async apply(name: string, spec: Spec): Promise<void> {
      const workflow = { metadata: { namespace, name }, spec } as Workflow;
      await workflows.apply(workflow, { fieldManager: 'hands' });
    },

    /** Creates a run, and gives its name. */
    async start(workflow: string, params: Record<string, string> = {}, asked: Record<string, string> = {}) {
      const run: WorkflowRun = {
        apiVersion: API_VERSION,
        kind: 'WorkflowRun',
        metadata: { namespace, generateName: `${workflow}-`, annotations: annotations(asked) },
        spec: { workflowRef: { name: workflow }, params, trigger: { type: 'Manual' } },
      };
      return (await runs.create(run)).metadata.name ?? '';
    },

    annotateRun: (name: string, values: Record<string, string>) =>
      runs.patch({ namespace, name }, { metadata: { annotations: annotations(values) } }),
    annotateWorkflow: (name: string, values: Record<string, string>) =>
      workflows.patch({ namespace, name }, { metadata: { annotations: annotations(values) } }),

    run: (name: string) => runs.get({ namespace, name }),

    /** Waits until the run is as it should be. */
    runIs: (name: string, isReady: (run: WorkflowRun) => boolean) =>
      waitFor(`run ${name}`, LIMIT_MS, async () => {
        const run = await runs.get({ namespace, name });
        if (!isReady(run)) throw new Error(JSON.stringify(run.status));
        return run;
      }),

    /** Ends the pod of a step, once it is there, as a kubelet does whose container has ended and left this message. */
    async endPod(run: string, step: string, exitCode = 0, message?: string): Promise<void> {
      const labelSelector = `${GROUP}/run=${run},${GROUP}/step=${step}`;
      const left = message === undefined ? {} : { message };
      const terminated = { exitCode, startedAt: seconds(), finishedAt: seconds(), ...left };
      const container = { name: MAIN, image: 'none', imageID: '', ready: false, restartCount: 0 };
      const end = {
        phase: exitCode === 0 ? 'Succeeded' : 'Failed',
        containerStatuses: [{ ...container, state: { terminated } }],
      };
      await waitFor(`the pod of step ${step} of run ${run}`, LIMIT_MS, async () => {
        const { items } = await pods.list({ namespace, labelSelector });
        const pod = items.find(({ status }) => status?.phase === 'Pending');
        if (!pod) return undefined;
        const { name = '', resourceVersion = '' } = pod.metadata ?? {};
        // The operator may stop the pod in this very moment: then it is read again.
        return pods.patchStatus({ namespace, name, resourceVersion }, end);
      });
    },

    /** Gives the pod of a step to a node that is not there, so that nobody ends it. */
    async bindPod(run: string, step: string): Promise<string> {
      const labelSelector = `${GROUP}/run=${run},${GROUP}/step=${step}`;
      const pod = await waitFor(`the pod of step ${step} of run ${run}`, LIMIT_MS, async () => {
        return (await pods.list({ namespace, labelSelector })).items[0];
      });
      const name = pod.metadata?.name ?? '';
      const target = { apiVersion: 'v1', kind: 'Node', name: 'nowhere' };
      const bindings = resourceClient<Binding>(transport, core('Binding', `pods/${name}/binding`));
      await bindings.create({ metadata: { namespace, name }, target });
      return name;
    },

    workflowIs: (name: string, isReady: (workflow: Workflow) => boolean) =>
      waitFor(`workflow ${name}`, LIMIT_MS, async () => {
        const workflow = await workflows.get({ namespace, name });
        if (!isReady(workflow)) throw new Error(JSON.stringify(workflow.status));
        return workflow;
      }),

    async runsOf(workflow: string): Promise<WorkflowRun[]> {
      const { items } = await runs.list({ namespace });
      return items.filter(({ spec }) => spec.workflowRef.name === workflow);
    },

    /** What was told about an object, by its UID, the oldest first: `type reason: note`, and how often. */
    async told(uid: string): Promise<{ text: string; count: number }[]> {
      const { items } = await events.list({ namespace });
      const own = items.filter(({ regarding }) => regarding?.uid === uid);
      own.sort((a, b) => ((a.eventTime ?? '') < (b.eventTime ?? '') ? -1 : 1));
      return own.map(({ type, reason, note, series }) => ({
        text: `${type} ${reason}: ${note}`,
        count: series?.count ?? 1,
      }));
    },

    /** Whether the run is there. */
    exists: (name: string) =>
      runs.get({ namespace, name }).then(
        () => true,
        (error: unknown) => {
          if (isNotFound(error)) return false;
          throw error;
        },
      ),

    [Symbol.asyncDispose]: () => transport.close(),
  };
}
export type Hands = Awaited<ReturnType<typeof createHands>>;

/** Now, as kubelets give times. */
const seconds = () => `${new Date().toISOString().slice(0, 19)}Z`;
