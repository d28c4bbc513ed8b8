import type { ControllerRevision } from 'kubernetes-types/apps/v1.d.ts';
import type { Job } from 'kubernetes-types/batch/v1.d.ts';
import type { Pod } from 'kubernetes-types/core/v1.d.ts';
import type { ObjectMeta } from 'kubernetes-types/meta/v1.d.ts';
import { GROUP } from '../api/common.ts';
import type { ProjectSpec, ProjectStatus } from '../api/project.ts';
import type { Project, Workflow, WorkflowRun } from '../api/resources.ts';
import type { StepTypeName } from '../api/step.ts';
import type { WorkflowSpec, WorkflowStatus } from '../api/workflow.ts';
import type { WorkflowRunSpec, WorkflowRunStatus, WorkflowRunTrigger } from '../api/workflow-run.ts';
import type { Observation } from '../engine/model.ts';
import { CREATED_BY, type Origin } from '../engine/created-by.ts';
import { VOTE_PREFIX } from '../engine/vote.ts';
import { LABELS } from '../steps/labels.ts';
import { observePod } from '../steps/pod-outcome.ts';

/** What is kept in memory of every object, in this folder's own words. */
interface View {
  namespace: string;
  name: string;
  uid: string;
  resourceVersion: string;
}

/** What people may ask of an object by an annotation of our group, without the prefix. */
export type ControlName = 'cancel' | 'retry' | 'run' | 'run-by' | 'params' | 'unlock';

/** What was asked, by the name of the annotation. */
export type Control = Readonly<Partial<Record<ControlName, string>>>;

/** An object that people control by annotations, and that is kept until what belongs to it is gone. */
interface ControlledView extends View {
  control: Control;
  finalizers: readonly string[];
  /** When its deletion was asked for, in milliseconds since the epoch. */
  deletedAt?: number;
}

export interface WorkflowView extends ControlledView {
  generation: number;
  spec: WorkflowSpec;
  status: WorkflowStatus;
}

export interface ProjectView extends ControlledView {
  generation: number;
  spec: ProjectSpec;
  status: ProjectStatus;
}

export interface RunView extends ControlledView {
  createdAt: number;
  /** The run that started it by a step. */
  owner?: { name: string; uid: string };
  /** What tells who created it, while the run goes on. */
  origin: Origin;
  /** The annotations that hold votes, while the run goes on. */
  votes: Readonly<Record<string, string>>;
  spec: WorkflowRunSpec;
  /** Steps of it have worked on Projects: there may be plans that are kept for it. */
  onProjects?: true;
  /** Whole while there is something to do; what others need to know of it after that. */
  status: WorkflowRunStatus;
}

export interface JobView extends View {
  /** The run that owns it. */
  run: { name: string; uid: string };
  createdAt: string;
  /** Whether its status still has to be closed. */
  open: boolean;
}

export interface PodView extends View {
  /** UID of the Job that owns it. */
  job: string;
  /** Its label that names the run. */
  run: string;
  scheduled: boolean;
  /** How long it may take to end once it is stopped, in milliseconds. */
  gracePeriod: number;
  /** Whether it has been asked to end. */
  stopping: boolean;
  startedAt: string | undefined;
  observation: Observation;
}

export interface RevisionView extends View {
  workflow: string;
}

export function workflowView({ metadata, spec, status = {} }: Workflow): WorkflowView {
  return {
    ...controlledViewOf(metadata, ['run', 'run-by', 'params']),
    generation: metadata.generation ?? 0,
    spec,
    status,
  };
}

export function projectView({ metadata, spec, status = {} }: Project): ProjectView {
  return { ...controlledViewOf(metadata, ['unlock']), generation: metadata.generation ?? 0, spec, status };
}

/** Ten thousand finished runs are kept in memory; their steps and params are not. */
export function runView(run: WorkflowRun): RunView {
  const view = wholeRunView(run);
  if (!isSettled(view.status)) return view;
  return { ...view, origin: {}, votes: {}, spec: { ...view.spec, params: {} }, status: summaryOf(view) };
}

export function wholeRunView({ metadata, spec, status = {} }: WorkflowRun): RunView {
  const owner = metadata.ownerReferences?.find(
    ({ controller, kind }) => controller && kind === 'WorkflowRun',
  );
  return {
    ...controlledViewOf(metadata, ['cancel', 'retry']),
    createdAt: Date.parse(metadata.creationTimestamp ?? ''),
    ...(owner ? { owner: { name: owner.name, uid: owner.uid } } : {}),
    origin: originOf(metadata),
    votes: votesIn(metadata),
    spec,
    ...(status.steps?.some(({ type }) => PROJECT_STEPS.has(type)) ? { onProjects: true as const } : {}),
    status,
  };
}

/** What started a run; by whom, the API server knows better than the one who wrote the run. */
export const triggerOf = ({ spec, status }: Pick<RunView, 'spec' | 'status'>): WorkflowRunTrigger =>
  status.startedBy === undefined ? spec.trigger : { ...spec.trigger, by: status.startedBy };

function originOf({ namespace, name, generateName, creationTimestamp, annotations }: ObjectMeta): Origin {
  const record = annotations?.[CREATED_BY];
  if (record === undefined) return {};
  return { namespace, name, generateName, creationTimestamp, annotations: { [CREATED_BY]: record } };
}

function votesIn({ annotations = {} }: ObjectMeta): Record<string, string> {
  return Object.fromEntries(Object.entries(annotations).filter(([name]) => name.startsWith(VOTE_PREFIX)));
}

const PROJECT_STEPS = new Set<StepTypeName>(['terraform', 'ansible']);

/** Whether a run has ended, and so has the telling of it. */
export function isSettled({ finishedAt, notifications = [] }: WorkflowRunStatus): boolean {
  return finishedAt !== undefined && !notifications.some(({ phase }) => phase === 'Running');
}

/** Whoever started the run by a step reads what came of it from here. */
function summaryOf({ status, owner }: RunView): WorkflowRunStatus {
  const { phase, startedAt, finishedAt, revision, cancellation, round, handled } = status;
  const { outputs, reason, message } = status;
  return {
    phase,
    startedAt,
    finishedAt,
    revision,
    ...(cancellation === undefined ? {} : { cancellation }),
    ...(round === undefined ? {} : { round }),
    ...(handled === undefined ? {} : { handled }),
    ...(owner ? { outputs, reason, message } : {}),
  };
}

export function jobView({ metadata = {}, status }: Job): JobView {
  const owner = metadata.ownerReferences?.find((reference) => reference.controller);
  return {
    ...viewOf(metadata),
    run: { name: owner?.name ?? '', uid: owner?.uid ?? '' },
    createdAt: metadata.creationTimestamp ?? '',
    open: !status?.conditions?.some(
      ({ type, status }) => status === 'True' && (type === 'Complete' || type === 'Failed'),
    ),
  };
}

/** What Kubernetes gives a pod by itself. */
export const DEFAULT_GRACE_MS = 30_000;

/** @param now milliseconds since the epoch */
export function podView(pod: Pod, now: number): PodView {
  const { metadata = {}, spec, status } = pod;
  const scheduled = spec?.nodeName !== undefined;
  return {
    ...viewOf(metadata),
    job: metadata.ownerReferences?.find((reference) => reference.controller)?.uid ?? '',
    run: metadata.labels?.[LABELS.run] ?? '',
    scheduled,
    gracePeriod: (spec?.terminationGracePeriodSeconds ?? DEFAULT_GRACE_MS / 1000) * 1000,
    // Without a node nobody watches the deadline, which may be that of a step with a short timeout.
    stopping:
      metadata.deletionTimestamp !== undefined ||
      (scheduled && spec?.activeDeadlineSeconds === STOP_DEADLINE_SECONDS),
    startedAt: status?.startTime,
    observation: observePod(pod, now),
  };
}

/** The deadline that is set on a running pod to stop it: the kubelet ends it gracefully, and its logs stay. */
export const STOP_DEADLINE_SECONDS = 1;

export function revisionView({ metadata = {} }: ControllerRevision): RevisionView {
  return { ...viewOf(metadata), workflow: metadata.labels?.[LABELS.workflow] ?? '' };
}

/** The annotation by which something is asked. */
export const annotationOf = (name: ControlName) => `${GROUP}/${name}` as const;

function controlledViewOf(metadata: ObjectMeta, names: readonly ControlName[]): ControlledView {
  const { annotations = {}, deletionTimestamp, finalizers = [] } = metadata;
  const asked = names.filter((name) => annotations[annotationOf(name)] !== undefined);
  return {
    ...viewOf(metadata),
    control: Object.fromEntries(asked.map((name) => [name, annotations[annotationOf(name)]])),
    finalizers,
    ...(deletionTimestamp === undefined ? {} : { deletedAt: Date.parse(deletionTimestamp) }),
  };
}

function viewOf({ namespace = '', name = '', uid = '', resourceVersion = '' }: ObjectMeta): View {
  return { namespace, name, uid, resourceVersion };
}
