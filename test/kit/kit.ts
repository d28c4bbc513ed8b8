import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowRun } from '../../src/api/resources.ts';
import type { WorkflowSpec } from '../../src/api/workflow.ts';
import type { StepStatus } from '../../src/api/workflow-run.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { run as command } from '../cluster/command.ts';

/** A Workflow as people write it: the parts with defaults may be left out. */
export type Spec = Partial<WorkflowSpec> & Pick<WorkflowSpec, 'steps'>;

const POLL_MS = 100;

/** What tests do in one namespace of a cluster: everything goes through the real kubectl. */
export function createKit(cluster: Pick<Cluster, 'kubectl' | 'kubeconfig'>, namespace: string) {
  const kubectl = (args: readonly string[], input = '') =>
    command([cluster.kubectl, '--kubeconfig', cluster.kubeconfig, '--namespace', namespace, ...args], {
      input,
    });

  const apply = (object: object) => kubectl(['apply', '-f', '-'], JSON.stringify(object));

  /** Gives the name of the object. */
  async function create(object: object): Promise<string> {
    const name = await kubectl(['create', '-o', 'name', '-f', '-'], JSON.stringify(object));
    return name.trim().replace(/^.*\//, '');
  }

  const applyWorkflow = (name: string, spec: Spec) =>
    apply({ apiVersion: 'signalbox.dev/v1alpha1', kind: 'Workflow', metadata: { name }, spec });

  const startRun = (workflow: string, params = {}) =>
    create({
      apiVersion: 'signalbox.dev/v1alpha1',
      kind: 'WorkflowRun',
      metadata: { generateName: `${workflow}-` },
      spec: { workflowRef: { name: workflow }, params },
    });

  async function get<T>(...what: string[]): Promise<T> {
    return JSON.parse(await kubectl(['get', ...what, '-o', 'json'])) as T;
  }

  const getRun = (name: string) => get<WorkflowRun>('workflowrun', name);

  /** Waits until `done` holds of the run; on time-out the error shows the run as it is. */
  async function waitForRun(
    name: string,
    done: (run: WorkflowRun) => boolean = isFinished,
    limitMs = 60_000,
  ): Promise<WorkflowRun> {
    const deadline = Date.now() + limitMs;
    for (;;) {
      const run = await getRun(name);
      if (done(run)) return run;
      if (Date.now() > deadline) {
        throw new Error(
          `run ${name} is not there after ${limitMs} ms: ${JSON.stringify(run.status, null, 1)}`,
        );
      }
      await sleep(POLL_MS);
    }
  }

  /** Applies a workflow, runs it once and gives the finished run. */
  async function runWorkflow(name: string, spec: Spec, params = {}, limitMs?: number): Promise<WorkflowRun> {
    await applyWorkflow(name, spec);
    return waitForRun(await startRun(name, params), isFinished, limitMs);
  }

  const makeNamespace = () =>
    kubectl(
      ['apply', '-f', '-'],
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name: namespace, labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
      }),
    );

  return {
    cluster,
    namespace,
    kubectl,
    apply,
    create,
    applyWorkflow,
    startRun,
    get,
    getRun,
    waitForRun,
    runWorkflow,
    makeNamespace,
  };
}

export type Kit = ReturnType<typeof createKit>;

export const isFinished = (run: WorkflowRun) => run.status?.finishedAt !== undefined;

/** The status of one step. @throws when the run has no such step */
export function stepOf(run: WorkflowRun, name: string): StepStatus {
  const step = run.status?.steps?.find((step) => step.name === name);
  if (!step) throw new Error(`run ${run.metadata.name} has no step ${name}`);
  return step;
}

/** Whether a step is running; a run that was not accepted yet has no steps. */
export const isRunning = (run: WorkflowRun, name: string): boolean =>
  run.status?.steps?.some((step) => step.name === name && step.phase === 'Running') ?? false;

/** `name phase reason` of every step. */
export function phasesOf(run: WorkflowRun): string[] {
  return (run.status?.steps ?? []).map(({ name, phase, reason }) =>
    `${name} ${phase} ${reason ?? ''}`.trim(),
  );
}

/** A kit with a new namespace, so that a test can be run again in the same cluster. */
export async function inNamespace(
  cluster: Pick<Cluster, 'kubectl' | 'kubeconfig'>,
  prefix: string,
): Promise<Kit> {
  const kit = createKit(cluster, `${prefix}-${randomBytes(3).toString('hex')}`);
  await kit.makeNamespace();
  return kit;
}
