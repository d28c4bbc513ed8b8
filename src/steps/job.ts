import type { Job } from 'kubernetes-types/batch/v1.d.ts';
import type { Container, Pod, PodSpec, PodTemplateSpec } from 'kubernetes-types/core/v1.d.ts';
import type { OwnerReference } from 'kubernetes-types/meta/v1.d.ts';
import { API_VERSION, GROUP } from '../api/common.ts';
import type { PodSettings } from '../api/pod-settings.ts';
import { type FinallyStep, type Step, timeoutOf } from '../api/step.ts';
import { attemptLabels, MADE_AFTER, RUNNER_LABEL } from './labels.ts';
import type { Program } from './step-type.ts';

/** Value of a Job's `spec.managedBy`: the built-in Job controller leaves such Jobs alone. */
export const MANAGED_BY = `${GROUP}/run-controller`;

/** Name of the container that runs the step. */
export const MAIN = 'main';

const OUTPUT_FILE = '/signalbox/output';
const HOME = '/home/signalbox';
const WORKSPACE = '/workspace';
const UID = 65532;

/** The run that an attempt belongs to. */
export interface Owner {
  namespace: string;
  name: string;
  uid: string;
  workflow: string;
}

/** One attempt of a step. */
export interface AttemptSpec {
  name: string;
  /** Name of its row in the status: the step, or an instance of it such as `plan[us]`. */
  row: string;
  step: Step | FinallyStep;
  attempt: number;
  program: Program;
  podDefaults: PodSettings;
  /** A resourceVersion from before the Job is made. */
  madeAfter: string;
}

/** The Job of one attempt. The API server adds the selector labels to its pod template. */
export function jobOf(owner: Owner, attempt: AttemptSpec): Job {
  const labels = attemptLabels({ run: owner, step: attempt.row, attempt: attempt.attempt });
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: attempt.name,
      namespace: owner.namespace,
      labels,
      annotations: { [MADE_AFTER]: attempt.madeAfter },
      ownerReferences: [runReference(owner)],
    },
    spec: {
      managedBy: MANAGED_BY,
      backoffLimit: 0,
      completions: 1,
      parallelism: 1,
      template: templateOf(attempt, labels),
    },
  };
}

/**
 * The one pod of a Job as the API server returned it, with the Job's name, so that creating it a second time is
 * refused with AlreadyExists.
 */
export function podOf(job: Job): Pod {
  const { name = '', namespace = '', uid = '' } = job.metadata ?? {};
  const template = job.spec?.template;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace,
      ...(template?.metadata?.labels ? { labels: template.metadata.labels } : {}),
      ...(template?.metadata?.annotations ? { annotations: template.metadata.annotations } : {}),
      ownerReferences: [
        { apiVersion: 'batch/v1', kind: 'Job', name, uid, controller: true, blockOwnerDeletion: true },
      ],
    },
    ...(template?.spec ? { spec: template.spec } : {}),
  };
}

/** Makes what an attempt is made of go with its run, and the deletion of the run wait for it. */
export function runReference(owner: Pick<Owner, 'name' | 'uid'>): OwnerReference {
  return {
    apiVersion: API_VERSION,
    kind: 'WorkflowRun',
    name: owner.name,
    uid: owner.uid,
    controller: true,
    blockOwnerDeletion: true,
  };
}

function templateOf(attempt: AttemptSpec, labels: Record<string, string>): PodTemplateSpec {
  const { program, step } = attempt;
  const settings = { ...attempt.podDefaults, ...step.pod };
  return {
    metadata: {
      labels: { ...labels, ...(program.isRunner ? { [RUNNER_LABEL]: 'true' } : {}) },
      ...(program.keepOnNode ? { annotations: KEEP_ON_NODE } : {}),
    },
    spec: podSpecOf(program, settings, timeoutOf(step)),
  };
}

/** Asks the cluster autoscaler to leave the node in place. */
const KEEP_ON_NODE = { 'cluster-autoscaler.kubernetes.io/safe-to-evict': 'false' };

/**
 * A pod that runs one program, in the restricted Pod Security Standard.
 *
 * @param timeout in milliseconds
 */
export function podSpecOf(program: Program, settings: PodSettings, timeout: number): PodSpec {
  const { gracePeriodSeconds, mounts = [] } = program;
  const serviceAccountName = settings.serviceAccountName ?? program.serviceAccountName;
  return {
    restartPolicy: 'Never',
    activeDeadlineSeconds: Math.max(1, Math.ceil(timeout / 1000)),
    automountServiceAccountToken: serviceAccountName !== undefined,
    enableServiceLinks: false,
    // As process 1 a script would ignore SIGTERM, and every stop would take the whole grace period.
    shareProcessNamespace: program.isRunner !== true,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: UID,
      runAsGroup: UID,
      fsGroup: UID,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    containers: [containerOf(program, settings)],
    volumes: [
      { name: 'home', emptyDir: {} },
      { name: 'tmp', emptyDir: {} },
      { name: 'workspace', emptyDir: {} },
      ...mounts.map(({ volume }) => volume),
    ],
    ...(gracePeriodSeconds === undefined ? {} : { terminationGracePeriodSeconds: gracePeriodSeconds }),
    ...(serviceAccountName ? { serviceAccountName } : {}),
    ...(settings.nodeSelector ? { nodeSelector: settings.nodeSelector } : {}),
    ...(settings.tolerations ? { tolerations: settings.tolerations } : {}),
    ...(settings.imagePullSecrets ? { imagePullSecrets: settings.imagePullSecrets } : {}),
  } as PodSpec;
}

function containerOf(program: Program, settings: PodSettings): Container {
  return {
    name: MAIN,
    image: program.image,
    ...(program.command ? { command: program.command } : {}),
    env: [{ name: 'HOME', value: HOME }, { name: 'SIGNALBOX_OUTPUT', value: OUTPUT_FILE }, ...program.env],
    workingDir: WORKSPACE,
    terminationMessagePath: OUTPUT_FILE,
    terminationMessagePolicy: 'File',
    ...(settings.resources ? { resources: settings.resources } : {}),
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    volumeMounts: [
      { name: 'home', mountPath: HOME },
      { name: 'tmp', mountPath: '/tmp' },
      { name: 'workspace', mountPath: WORKSPACE },
      ...(program.mounts ?? []).map(({ volume, path, writable }) => ({
        name: volume.name,
        mountPath: path,
        readOnly: writable !== true,
      })),
    ],
  } as Container;
}
