import type { Pod } from 'kubernetes-types/core/v1.d.ts';
import type { WorkflowRun } from '../../src/api/resources.ts';
import type { StepStatus } from '../../src/api/workflow-run.ts';
import { type DrawnWorkflow, mostActive } from './drawn.ts';
import { type Finding, finding } from './findings.ts';
import type { Made, Observer } from './history.ts';
import { transitionProblems } from './transitions.ts';

/** What is noted and judged while the campaign goes on. */
export interface Journal extends Observer {
  readonly findings: readonly Finding[];
  /** Version of the cluster in which a status first spoke of a Job or run, by its name. */
  readonly intents: ReadonlyMap<string, number>;
  readonly lives: ReadonlyMap<string, Life>;
  /** Each run, by its name, as it was at the end of its first round, its second, ... */
  readonly ends: ReadonlyMap<string, readonly WorkflowRun[]>;
}

/** When a run was first seen, and when it was first seen to have ended, in milliseconds since the epoch. */
export interface Life {
  seenAt: number;
  endedAt?: number;
}

/** All Jobs and runs that a row of a status speaks of. */
export function objectsOf({ job, run, attempts = [] }: StepStatus): NonNullable<StepStatus['job']>[] {
  return [...attempts.flatMap((attempt) => [attempt.job, attempt.run]), job, run].filter(
    (object) => object !== undefined,
  );
}

/** @param limit how many runs may be active at a time, those apart that steps started */
export function createJournal(
  workflowOf: (run: WorkflowRun) => DrawnWorkflow | undefined,
  limit = Number.POSITIVE_INFINITY,
): Journal {
  const findings: Finding[] = [];
  const intents = new Map<string, number>();
  const pods: Made[] = [];
  const active = new Map<string, DrawnWorkflow>();
  const lives = new Map<string, Life>();
  const ends = new Map<string, WorkflowRun[]>();

  function noteIntents({ metadata, status }: WorkflowRun): void {
    for (const { name } of (status?.steps ?? []).flatMap(objectsOf)) {
      if (!intents.has(name)) intents.set(name, Number(metadata.resourceVersion));
    }
  }

  /** Of a workflow that says how many, no more runs are active at a time; nor are more altogether than may be. */
  function noteActive(workflow: DrawnWorkflow, { metadata, status }: WorkflowRun): void {
    const name = metadata.name ?? '';
    if (metadata.ownerReferences) return;
    const isActive = status?.phase === 'Running' || status?.phase === 'AwaitingApproval';
    if (!isActive) return void active.delete(name);
    if (!active.has(name)) findings.push(...tooMany(workflow).map(finding('Wrong', name)));
    active.set(name, workflow);
  }

  /** Why one more run of a workflow must not be active. */
  function tooMany(workflow: DrawnWorkflow): string[] {
    const same = [...active].filter(([, of]) => of === workflow).map(([other]) => other);
    return [
      ...(same.length < mostActive(workflow) ? [] : [`is active beside ${same.join(', ')}`]),
      ...(active.size < limit ? [] : [`is active beside ${active.size} others, and ${limit} may be`]),
    ];
  }

  function noteLife({ metadata, status }: WorkflowRun): void {
    const { name = '' } = metadata;
    const life = lives.get(name) ?? { seenAt: Date.now() };
    if (status?.finishedAt !== undefined) life.endedAt ??= Date.now();
    lives.set(name, life);
  }

  function noteEnd(run: WorkflowRun): void {
    const { finishedAt, round = 0 } = run.status ?? {};
    const known = ends.get(run.metadata.name ?? '') ?? [];
    if (finishedAt !== undefined && known.length <= round) known.push(run);
    ends.set(run.metadata.name ?? '', known);
  }

  return {
    findings,
    intents,
    lives,
    ends,
    onRun(before, after) {
      noteIntents(after);
      noteLife(after);
      noteEnd(after);
      const workflow = workflowOf(after);
      if (!workflow) return;
      noteActive(workflow, after);
      const problems = before ? transitionProblems(workflow, before, after) : [];
      findings.push(...problems.map(finding('Wrong', after.metadata.name ?? '')));
    },
    onMade(made) {
      if (made.kind !== 'Pod') return;
      const beside = pods.filter((pod) => pod.run === made.run && pod.row === made.row && isAtWork(pod));
      const told = finding('Twice', made.run);
      findings.push(...beside.map(({ name }) => told(`pod ${made.name} was made while ${name} was at work`)));
      pods.push(made);
    },
  };
}

/** Whether it is a pod that has neither ended nor been deleted. */
export function isAtWork({ kind, object, deleted }: Made): boolean {
  if (kind !== 'Pod') return false;
  const { status } = object as Pod;
  return !deleted && status?.phase !== 'Succeeded' && status?.phase !== 'Failed';
}
