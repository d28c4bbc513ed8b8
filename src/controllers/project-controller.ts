import { isDeepStrictEqual } from 'node:util';
import { API_VERSION } from '../api/common.ts';
import type { ProjectState } from '../api/project.ts';
import type { EventRecorder } from '../kube/events.ts';
import { keyOf } from '../kube/store.ts';
import type { WorkQueue } from '../kube/work-queue.ts';
import type { Images } from '../steps/step-type.ts';
import type { Cluster } from './cluster.ts';
import { changes } from './merge-patch.ts';
import { projectStatusOf } from './project-status.ts';
import {
  CHECK_TIMEOUT_MS,
  checkNameOf,
  type CheckView,
  checkPodOf,
  dueAt,
  verdictOf,
} from './source-check.ts';
import { unlessNotFound } from './starts.ts';
import { annotationOf, type ProjectView, projectView } from './views.ts';

/** Who holds a lock, as far as it matters for whether anybody will release it. */
export interface Holder {
  pod: string;
  podUid: string;
}

/** The managed states, as a Project shows them. */
export interface ProjectStates {
  /** @param isGone whether the pod that holds a lock has ended, so that nobody will release it */
  shown(namespace: string, project: string, isGone: (holder: Holder) => boolean): ProjectState[];
  /** Calls back at each change of a state. */
  subscribe(listener: (of: { namespace: string; project: string }) => void): void;
  /** Takes a lock away from whoever holds it. */
  unlock(
    state: { namespace: string; project: string; workspace: string },
    lockId: string,
  ): Promise<'Unlocked' | 'NotLocked' | 'OtherLock'>;
}

export interface ProjectControllerOptions {
  cluster: Pick<Cluster, 'projects' | 'checks' | 'pods'>;
  queue: Pick<WorkQueue, 'add' | 'addAfter'>;
  events: EventRecorder;
  images: Images;
  states: ProjectStates;
  /** Milliseconds since the epoch. */
  now: () => number;
}

/**
 * Reports on projects: whether their source can be reached, which a pod finds out with the project's own credentials, and
 * who holds the locks of their states; and breaks a lock when a person asks for it.
 */
export function createProjectController(options: ProjectControllerOptions) {
  const { cluster, queue, events, images, states, now } = options;
  const { projects, checks, pods } = cluster;

  projects.store.subscribe((change) => {
    if (change.source === 'Watch') queue.add(change.key);
  });
  checks.store.subscribe((change) => {
    const { namespace, projectName } = change.type === 'Deleted' ? change.previous : change.object;
    if (change.source === 'Watch') queue.add(keyOf({ namespace, name: projectName }));
  });
  states.subscribe(({ namespace, project }) => queue.add(keyOf({ namespace, name: project })));
  pods.store.subscribe((change) => {
    const pod = change.type === 'Deleted' ? change.previous : change.object;
    if (change.type !== 'Deleted' && pod.observation.state !== 'Ended') return;
    for (const project of lockedBy(pod)) queue.add(keyOf(project));
  });

  /** The projects whose status says that this pod holds a lock. */
  function lockedBy({ namespace, name }: { namespace: string; name: string }): ProjectView[] {
    const holds = ({ lock }: ProjectState) => lock?.pod === name && !lock.orphaned;
    return projects.store.list().filter((project) => {
      return project.namespace === namespace && project.status.states?.some(holds);
    });
  }

  function isGone(namespace: string, { pod, podUid }: Holder): boolean {
    const known = pods.store.get(keyOf({ namespace, name: pod }));
    return known?.uid !== podUid || known.observation.state === 'Ended';
  }

  const statesOf = ({ namespace, name }: ProjectView) =>
    states.shown(namespace, name, (holder) => isGone(namespace, holder));

  /** Does what the annotation asks for, and says what came of it. */
  async function unlock(project: ProjectView): Promise<ProjectView> {
    const id = project.control.unlock;
    if (id === undefined) return project;
    const answer = await breakLock(project, id);
    const { namespace, name, uid, resourceVersion } = project;
    const annotations = { [annotationOf('unlock')]: null };
    const patched = await projects.client.patch(project, { metadata: { resourceVersion, annotations } });
    projects.store.upsert(patched);
    const regarding = { apiVersion: API_VERSION, kind: 'Project', namespace, name, uid };
    events.record({ regarding, ...answer });
    return projectView(patched);
  }

  async function breakLock(project: ProjectView, id: string) {
    const refused = (note: string) => ({ type: 'Warning', reason: 'UnlockRefused', note }) as const;
    const state = statesOf(project).find(({ lock }) => lock?.id === id);
    if (!state?.lock) return refused(`No state of the project has a lock with the ID ${id.slice(0, 64)}.`);
    const { run, step, orphaned } = state.lock;
    if (!orphaned) {
      return refused(
        `The lock is held by step ${step} of run ${run}, whose pod is at work: cancel the run, and the lock is released.`,
      );
    }
    const { namespace, name } = project;
    await states.unlock({ namespace, project: name, workspace: state.workspace }, id);
    const note = `The lock that step ${step} of run ${run} had left on workspace ${state.workspace} was broken.`;
    return { type: 'Normal', reason: 'Unlocked', note } as const;
  }

  async function removeCheck({ namespace, name, uid }: CheckView): Promise<void> {
    await unlessNotFound(checks.client.delete({ namespace, name }, { uid }));
  }

  async function begin(project: ProjectView): Promise<void> {
    const { object } = await checks.client.ensure(checkPodOf(project, images));
    checks.store.upsert(object);
  }

  async function report(project: ProjectView, check: CheckView | undefined): Promise<void> {
    const verdict = check && verdictOf(check, now());
    const trouble = check?.observation.state === 'Waiting' ? check.observation : undefined;
    const status = projectStatusOf(project, { verdict, trouble, states: statesOf(project) }, now());
    if (isDeepStrictEqual(status, project.status)) return;
    projects.store.upsert(await projects.client.patchStatus(project, changes(project.status, status)));
  }

  return async function reconcile(key: string): Promise<void> {
    const found = projects.store.get(key);
    if (!found) return;
    const project = await unlock(found);
    const own = checks.store.byIndex('project', project.uid);
    // One whose end has been written down has another name.
    const check = own.find(({ name }) => name === checkNameOf(project));
    for (const old of own) if (old !== check) await removeCheck(old);
    await report(project, check);
    const isOver = check && verdictOf(check, now()) !== undefined;
    if (check && isOver) return removeCheck(check);
    // Whether it starts is looked at once more.
    if (check) return queue.addAfter(key, check.createdAt + CHECK_TIMEOUT_MS - now());
    const due = dueAt(project) - now();
    if (due > 0) queue.addAfter(key, due);
    else await begin(project);
  };
}
