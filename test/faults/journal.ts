import type { Pod } from 'kubernetes-types/core/v1.d.ts';
import type { WorkflowRun } from '../../src/api/resources.ts';
import type { StepStatus } from '../../src/api/workflow-run.ts';
import type { DrawnWorkflow } from './drawn.ts';
import { type Finding, finding } from './findings.ts';
import type { Made, Observer } from './history.ts';
import { transitionProblems } from './transitions.ts';

/** What is noted and judged while the campaign goes on. */
export interface Journal extends Observer {
  readonly findings: readonly Finding[];
  /** Version of the cluster in which a status first spoke of a Job or run, by its name. */
  readonly intents: ReadonlyMap<string, number>;
}

/** All Jobs and runs that a row of a status speaks of. */
export function objectsOf({ job, run, attempts = [] }: StepStatus): NonNullable<StepStatus['job']>[] {
  return [...attempts.flatMap((attempt) => [attempt.job, attempt.run]), job, run].filter(
    (object) => object !== undefined,
  );
}

export function createJournal(workflowOf: (run: WorkflowRun) => DrawnWorkflow | undefined): Journal {
  const findings: Finding[] = [];
  const intents = new Map<string, number>();
  const pods: Made[] = [];
  const active = new Map<string, DrawnWorkflow>();

  function noteIntents({ metadata, status }: WorkflowRun): void {
    for (const { name } of (status?.steps ?? []).flatMap(objectsOf)) {
      if (!intents.has(name)) intents.set(name, Number(metadata.resourceVersion));
    }
  }

  /** Of a workflow whose runs queue, one is active at a time. */
  function noteActive(workflow: DrawnWorkflow, { metadata, status }: WorkflowRun): void {
    const name = metadata.name ?? '';
    const others = [...active].filter(([other, of]) => of === workflow && other !== name);
    const isActive = status?.phase === 'Running' || status?.phase === 'AwaitingApproval';
    if (isActive && !active.has(name) && workflow.queued) {
      findings.push(...others.map(([other]) => finding('Wrong', name)(`is active beside ${other}`)));
    }
    if (isActive) active.set(name, workflow);
    else active.delete(name);
  }

  return {
    findings,
    intents,
    onRun(before, after) {
      noteIntents(after);
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
