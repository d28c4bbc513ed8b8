import { API_VERSION, type Scalar, scalar } from '../api/common.ts';
import type { WorkflowRun } from '../api/resources.ts';
import { askerOf, CREATED_BY, createdBy } from '../engine/created-by.ts';
import { SHORT_HASH, shortHash } from '../engine/hash.ts';
import type { Problem } from '../engine/model.ts';
import { resolveParams } from '../engine/params.ts';
import { cut, MAX_QUOTE } from '../engine/text.ts';
import type { Sealing } from '../engine/vote.ts';
import type { EventRecorder } from '../kube/events.ts';
import type { Cluster } from './cluster.ts';
import { RUN_FINALIZER } from './finalizers.ts';
import { describe } from './problems.ts';
import { annotationOf, type WorkflowView, workflowView } from './views.ts';

/** Longest name of a run that is made up here, as the API server makes up names. */
const MAX_NAME = 63;

/**
 * Starts the runs that people ask for by annotating a workflow. Which run is meant is in the status before the run is
 * created, and until the annotation is gone: each annotation gives one run, whenever the operator is killed.
 */
export interface ManualRuns {
  /**
   * Does what the annotations ask for, if anything.
   *
   * @param problems what is wrong with the workflow
   * @returns the workflow as it was written last
   */
  serve(workflow: WorkflowView, problems: readonly Problem[]): Promise<WorkflowView>;
}

export interface ManualRunsOptions {
  cluster: Pick<Cluster, 'workflows' | 'runs'>;
  events: EventRecorder;
  /** Puts on record who asked for a run; nothing without keys. */
  sealing?: Sealing | undefined;
  /** Milliseconds since the epoch. */
  now: () => number;
}

export function createManualRuns({ cluster, events, sealing, now }: ManualRunsOptions): ManualRuns {
  const { workflows, runs } = cluster;
  /** Workflows whose annotation this process took away, while the status still names the run: another may come. */
  const answered = new Set<string>();

  async function intend(workflow: WorkflowView, manualRun: { name: string } | null): Promise<WorkflowView> {
    const written = await workflows.client.patchStatus(workflow, { manualRun });
    workflows.store.upsert(written);
    return workflowView(written);
  }

  async function forget(workflow: WorkflowView): Promise<WorkflowView> {
    const after = workflow.status.manualRun ? await intend(workflow, null) : workflow;
    answered.delete(workflow.uid);
    return after;
  }

  /** Creates the run, or finds it. Why that was not possible, if it was not. */
  async function create(workflow: WorkflowView, name: string): Promise<string | undefined> {
    const given = paramsIn(workflow);
    if (typeof given === 'string') return given;
    const wanted = onRecord(workflow, runOf(workflow, name, given));
    const { object } = await runs.client.ensure(wanted);
    const { workflowRef, trigger } = object.spec;
    if (workflowRef.name === workflow.name && trigger.type === 'Manual') return undefined;
    return `A run named ${name} exists that was not made for this: delete it, then ask again.`;
  }

  function onRecord({ uid, control }: WorkflowView, run: WorkflowRun): WorkflowRun {
    const asker = sealing && askerOf({ uid, record: control['run-by'] }, sealing, now());
    if (!sealing || asker === undefined) return run;
    const annotations = { [CREATED_BY]: createdBy(run.metadata, asker, sealing, now()) };
    return { ...run, metadata: { ...run.metadata, annotations } };
  }

  /** Takes the annotations away, and says what came of them. */
  async function answer(
    workflow: WorkflowView,
    name: string,
    refused: string | undefined,
  ): Promise<WorkflowView> {
    const { resourceVersion } = workflow;
    const annotations = {
      [annotationOf('run')]: null,
      [annotationOf('params')]: null,
      ...(workflow.control['run-by'] === undefined ? {} : { [annotationOf('run-by')]: null }),
    };
    const patched = await workflows.client.patch(workflow, { metadata: { resourceVersion, annotations } });
    workflows.store.upsert(patched);
    answered.add(workflow.uid);
    const after = workflowView(patched);
    events.record({ regarding: regarding(workflow), ...eventOf(name, refused) });
    return forget(after);
  }

  return {
    async serve(found, problems) {
      const workflow = answered.has(found.uid) ? await forget(found) : found;
      if (workflow.control.run === undefined) return forget(workflow);
      const known = workflow.status.manualRun;
      const refused = known ? undefined : refusalOf(workflow, problems);
      if (refused !== undefined) return answer(workflow, '', refused);
      const intended = known ? workflow : await intend(workflow, { name: nameFor(workflow) });
      const name = intended.status.manualRun?.name ?? '';
      return answer(intended, name, await create(intended, name));
    },
  };
}

/** Of its own for each time that somebody asks: every annotation is a version of the workflow. */
function nameFor({ name, uid, resourceVersion }: WorkflowView): string {
  const hash = shortHash(`${uid}/${resourceVersion}`);
  return `${name.slice(0, MAX_NAME - SHORT_HASH - 1).replace(/[-.]+$/, '')}-${hash}`;
}

/** Why no run is started, as a sentence that says what to do about it. */
function refusalOf(workflow: WorkflowView, problems: readonly Problem[]): string | undefined {
  const { control, spec } = workflow;
  if (control.run !== 'now') {
    return `${annotationOf('run')} must be now, and is "${cut(control.run ?? '', MAX_QUOTE)}".`;
  }
  if (spec.state === 'Draft') return 'The workflow is a draft: set spec.state to Active or Paused first.';
  if (problems.length > 0) return `The workflow can not run. ${describe(problems)}`;
  const given = paramsIn(workflow);
  if (typeof given === 'string') return given;
  const params = resolveParams(spec.params ?? [], given);
  return params.ok ? undefined : describe(params.problems.map(inAnnotation));
}

const inAnnotation = ({ field, message }: Problem): Problem => ({
  field: field.replace('spec.params', annotationOf('params')),
  message,
});

/** The params that the annotation gives, or what is wrong with it. */
function paramsIn({ control }: WorkflowView): Record<string, Scalar> | string {
  if (control.params === undefined) return {};
  const must = `${annotationOf('params')} must be a JSON object of strings, numbers and booleans, such as {"region": "us"}`;
  const parsed = parseJson(control.params);
  if (!parsed) return `${must}, and is no JSON: ${cut(control.params, MAX_QUOTE)}`;
  const { value } = parsed;
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return `${must}, and is no object.`;
  const entries: [string, unknown][] = Object.entries(value);
  const wrong = entries.find(([, one]) => !scalar.safeParse(one).success);
  return wrong
    ? `${must}, and ${wrong[0]} is none of these.`
    : (Object.fromEntries(entries) as Record<string, Scalar>);
}

function parseJson(text: string): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

function runOf(
  { namespace, name: workflow }: WorkflowView,
  name: string,
  params: Record<string, Scalar>,
): WorkflowRun {
  return {
    apiVersion: API_VERSION,
    kind: 'WorkflowRun',
    metadata: { namespace, name, finalizers: [RUN_FINALIZER] },
    spec: { workflowRef: { name: workflow }, params, trigger: { type: 'Manual' } },
  };
}

function eventOf(name: string, refused: string | undefined) {
  if (refused === undefined)
    return { type: 'Normal', reason: 'RunCreated', note: `Created run ${name}.` } as const;
  return { type: 'Warning', reason: 'RunRefused', note: refused } as const;
}

function regarding({ namespace, name, uid }: WorkflowView) {
  return { apiVersion: API_VERSION, kind: 'Workflow', namespace, name, uid };
}
