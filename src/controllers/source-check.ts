import type { Pod } from 'kubernetes-types/core/v1.d.ts';
import { API_VERSION } from '../api/common.ts';
import { commitOf } from '../steps/report.ts';
import { hash64 } from '../engine/hash.ts';
import type { Observation } from '../engine/model.ts';
import { podSpecOf } from '../steps/job.ts';
import { labelValue, PROJECT_LABEL, RUNNER_LABEL } from '../steps/labels.ts';
import { observePod } from '../steps/pod-outcome.ts';
import { checkProgram } from '../steps/project-program.ts';
import type { Images } from '../steps/step-type.ts';
import type { ProjectView } from './views.ts';

/** How long a check may run, and how long its pod may take to start. */
export const CHECK_TIMEOUT_MS = 120_000;
/** How long what was found holds. A repository that can not be reached is tried again sooner. */
const REACHED_FOR_MS = 1_800_000;
const FAILED_FOR_MS = 60_000;

/** A pod that finds out whether the source of a project can be reached. */
export interface CheckView {
  namespace: string;
  name: string;
  uid: string;
  /** UID of the project. */
  project: string;
  projectName: string;
  /** Milliseconds since the epoch. */
  createdAt: number;
  observation: Observation;
  commit?: string;
}

/** @param now milliseconds since the epoch */
export function checkView(pod: Pod, now: number): CheckView {
  const { metadata = {}, status } = pod;
  const owner = metadata.ownerReferences?.find(({ controller }) => controller);
  const terminated = status?.containerStatuses?.[0]?.state?.terminated;
  const commit = commitOf(terminated?.message ?? '');
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name ?? '',
    uid: metadata.uid ?? '',
    project: owner?.uid ?? '',
    projectName: owner?.name ?? '',
    createdAt: Date.parse(metadata.creationTimestamp ?? ''),
    observation: observePod(pod, now),
    ...(commit === undefined ? {} : { commit }),
  };
}

/** When the source has to be looked at again, in milliseconds since the epoch; 0 when that was never done. */
export function dueAt({ generation, status }: ProjectView): number {
  const { observedGeneration, checkedAt, conditions = [] } = status;
  if (observedGeneration !== generation || checkedAt === undefined) return 0;
  const ready = conditions.find(({ type }) => type === 'Ready');
  return Date.parse(checkedAt) + (ready?.status === 'True' ? REACHED_FOR_MS : FAILED_FOR_MS);
}

/** The name of the pod of the next check. It follows from what is known now, so that each check is made once. */
export function checkNameOf({ name, uid, generation, status }: ProjectView): string {
  const hash = hash64(`${uid}/${generation}/${status.checkedAt ?? ''}`)
    .toString(36)
    .padStart(13, '0');
  return `${name.slice(0, 40).replaceAll('.', '-')}-check-${hash}`;
}

/** The pod of the next check. */
export function checkPodOf(project: ProjectView, images: Images): Pod {
  const { namespace, name, uid, spec } = project;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: checkNameOf(project),
      namespace,
      labels: { [PROJECT_LABEL]: labelValue(name), [RUNNER_LABEL]: 'true' },
      ownerReferences: [{ apiVersion: API_VERSION, kind: 'Project', name, uid, controller: true }],
    },
    spec: podSpecOf(checkProgram(spec, imageOf(project, images)), {}, CHECK_TIMEOUT_MS),
  };
}

/** All of them have git and the runner; the one that the steps will need is on the node already. */
function imageOf({ spec: { terraform, ansible } }: ProjectView, images: Images): string {
  if (terraform || !ansible) return terraform?.image ?? images[terraform?.engine ?? 'opentofu'];
  return ansible.image ?? images.ansible;
}

/** What a check found. */
export type Verdict =
  | { reachable: true; commit: string }
  | { reachable: false; reason: string; message: string };

/**
 * What a check found; undefined while it goes on.
 *
 * @param now milliseconds since the epoch
 */
export function verdictOf({ observation, commit, createdAt }: CheckView, now: number): Verdict | undefined {
  if (observation.state === 'Ended') {
    const { outcome, reason, message } = observation.result;
    if (outcome === 'Succeeded' && commit !== undefined) return { reachable: true, commit };
    return { reachable: false, reason, message: message ?? 'The check gives no details.' };
  }
  if (observation.state === 'Running' || now < createdAt + CHECK_TIMEOUT_MS) return undefined;
  const { reason, message } =
    observation.state === 'Waiting'
      ? observation
      : { reason: 'PendingTimeout', message: 'The pod that looks at the repository does not start.' };
  return { reachable: false, reason, message };
}
