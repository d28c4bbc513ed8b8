import type { ControllerRevision } from 'kubernetes-types/apps/v1.d.ts';
import type { Job } from 'kubernetes-types/batch/v1.d.ts';
import type { Pod } from 'kubernetes-types/core/v1.d.ts';
import type { ObjectMeta } from 'kubernetes-types/meta/v1.d.ts';
import type { Workflow, WorkflowRun } from '../api/resources.ts';
import type { WorkflowSpec, WorkflowStatus } from '../api/workflow.ts';
import type { WorkflowRunSpec, WorkflowRunStatus } from '../api/workflow-run.ts';
import type { Observation } from '../engine/model.ts';
import { LABELS } from '../steps/labels.ts';
import { observePod } from '../steps/pod-outcome.ts';

/** What is kept in memory of every object, in this folder's own words. */
interface View {
  namespace: string;
  name: string;
  uid: string;
  resourceVersion: string;
}

export interface WorkflowView extends View {
  generation: number;
  spec: WorkflowSpec;
  status: WorkflowStatus;
}

export interface RunView extends View {
  createdAt: number;
  deleting: boolean;
  spec: WorkflowRunSpec;
  /** Whole while the run is active; what lists and retention need once it has ended. */
  status: WorkflowRunStatus;
}

export interface JobView extends View {
  /** The run that owns it. */
  run: { name: string; uid: string };
  step: string;
  attempt: number;
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
  /** Whether it has been asked to end. */
  stopping: boolean;
  startedAt: string | undefined;
  observation: Observation;
}

export interface RevisionView extends View {
  workflow: string;
}

export function workflowView(workflow: Workflow): WorkflowView {
  return {
    ...viewOf(workflow.metadata),
    generation: workflow.metadata.generation ?? 0,
    spec: workflow.spec,
    status: workflow.status ?? {},
  };
}

export function runView({ metadata, spec, status = {} }: WorkflowRun): RunView {
  return {
    ...viewOf(metadata),
    createdAt: Date.parse(metadata.creationTimestamp ?? ''),
    deleting: metadata.deletionTimestamp !== undefined,
    spec: status.finishedAt ? { ...spec, params: {} } : spec,
    status: status.finishedAt ? summaryOf(status) : status,
  };
}

/** Ten thousand finished runs are kept in memory; their steps are not. */
function summaryOf({ phase, startedAt, finishedAt, revision }: WorkflowRunStatus): WorkflowRunStatus {
  return { phase, startedAt, finishedAt, revision };
}

export function jobView({ metadata = {}, status }: Job): JobView {
  const owner = metadata.ownerReferences?.find((reference) => reference.controller);
  return {
    ...viewOf(metadata),
    run: { name: owner?.name ?? '', uid: owner?.uid ?? '' },
    step: metadata.labels?.[LABELS.step] ?? '',
    attempt: Number(metadata.labels?.[LABELS.attempt] ?? 0),
    createdAt: metadata.creationTimestamp ?? '',
    open: !status?.conditions?.some(
      ({ type, status }) => status === 'True' && (type === 'Complete' || type === 'Failed'),
    ),
  };
}

/** @param now milliseconds since the epoch */
export function podView(pod: Pod, now: number): PodView {
  const { metadata = {}, spec, status } = pod;
  const scheduled = spec?.nodeName !== undefined;
  return {
    ...viewOf(metadata),
    job: metadata.ownerReferences?.find((reference) => reference.controller)?.uid ?? '',
    run: metadata.labels?.[LABELS.run] ?? '',
    scheduled,
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

function viewOf({ namespace = '', name = '', uid = '', resourceVersion = '' }: ObjectMeta): View {
  return { namespace, name, uid, resourceVersion };
}
