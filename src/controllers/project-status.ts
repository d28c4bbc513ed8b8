import type { Condition } from '../api/common.ts';
import type { ProjectState, ProjectStatus } from '../api/project.ts';
import type { Verdict } from './source-check.ts';
import type { ProjectView } from './views.ts';

/** What is known of a project. */
export interface ProjectFindings {
  /** What a check found; absent when none has ended since the last status. */
  verdict?: Verdict | undefined;
  /** What keeps the check from running. */
  trouble?: { reason: string; message: string } | undefined;
  states: readonly ProjectState[];
}

/**
 * What is reported about a project.
 *
 * @param now milliseconds since the epoch
 */
export function projectStatusOf(project: ProjectView, findings: ProjectFindings, now: number): ProjectStatus {
  const { status, generation } = project;
  const { verdict, states } = findings;
  const { states: _states, ...before } = status;
  const judged = verdict ? { observedGeneration: generation, checkedAt: new Date(now).toISOString() } : {};
  return {
    ...before,
    ...judged,
    ...(verdict?.reachable ? { commit: verdict.commit } : {}),
    conditions: [
      since(status, { ...readyOf(project, findings), observedGeneration: generation }, now),
      since(status, lockedOf(states), now),
    ],
    ...(states.length > 0 ? { states: [...states] } : {}),
  };
}

type Judgement = Omit<Condition, 'lastTransitionTime'>;

function since({ conditions = [] }: ProjectStatus, condition: Judgement, now: number): Condition {
  const before = conditions.find(({ type }) => type === condition.type);
  const isSame = before?.status === condition.status;
  return {
    ...condition,
    lastTransitionTime: isSame ? before.lastTransitionTime : new Date(now).toISOString(),
  };
}

function readyOf(
  { spec, status, generation }: ProjectView,
  { verdict, trouble }: ProjectFindings,
): Judgement {
  const ready = (is: Condition['status'], reason: string, message: string) => ({
    type: 'Ready',
    status: is,
    reason,
    message,
  });
  if (verdict?.reachable) {
    return ready(
      'True',
      'Reachable',
      `${spec.git.ref ?? 'The default branch'} stands for commit ${verdict.commit}.`,
    );
  }
  if (verdict) return ready('False', verdict.reason, verdict.message);
  const before = status.conditions?.find(({ type }) => type === 'Ready');
  if (trouble)
    return ready(
      status.observedGeneration === generation && before ? before.status : 'Unknown',
      trouble.reason,
      trouble.message,
    );
  if (status.observedGeneration === generation && before)
    return ready(before.status, before.reason, before.message);
  return ready('Unknown', 'Checking', 'A pod finds out whether the repository can be reached.');
}

function lockedOf(states: readonly ProjectState[]): Judgement {
  const locked = states.filter(({ lock }) => lock !== undefined);
  const orphaned = locked.filter(({ lock }) => lock?.orphaned);
  const condition = (status: Condition['status'], reason: string, message: string) => ({
    type: 'StateLocked',
    status,
    reason,
    message,
  });
  if (orphaned.length > 0) return condition('True', 'Orphaned', orphaned.map(orphanText).join(' '));
  if (locked.length > 0) return condition('True', 'Locked', locked.map(lockText).join(' '));
  return condition('False', 'Unlocked', 'Nobody holds the lock of a state.');
}

const lockText = ({ workspace, lock }: ProjectState): string =>
  `The state of workspace ${workspace} is locked by step ${lock?.step} of run ${lock?.run} since ${lock?.since}.`;

const orphanText = ({ workspace, lock }: ProjectState): string =>
  `The lock of workspace ${workspace} was left behind by step ${lock?.step} of run ${lock?.run}, whose pod is gone. Find out how far it came, then annotate the project with signalbox.dev/unlock=${lock?.id}.`;
