import type { WorkflowRun } from '../../src/api/resources.ts';
import type { DrawnWorkflow } from './drawn.ts';
import type { Answer, PeopleApi } from './people-api.ts';
import { persist } from './persist.ts';

export interface OwnersOptions {
  api: Pick<PeopleApi, 'create' | 'annotate'>;
  workflowOf(run: WorkflowRun): DrawnWorkflow | undefined;
  count(what: string): void;
  /** Told of what nobody could have done for a run. */
  onWrong(run: string, message: string): void;
}

/** Those who start runs, cancel them, and have them go on. While no operator answers they try again. */
export interface Owners {
  /** Starts a run, as the one who is drawn to. Gives its name. */
  start(workflow: DrawnWorkflow): Promise<string>;
  /** Shows them a run, as it is now. */
  onRun(run: WorkflowRun): void;
  /** Names of the runs that they asked to go on when they had ended. */
  readonly continued: ReadonlySet<string>;
  /** Whether no run has yet to go on that they asked for. */
  isContent(): boolean;
}

export function createOwners({ api, workflowOf, count, onWrong }: OwnersOptions): Owners {
  const cancelled = new Set<string>();
  const continued = new Set<string>();
  const awaited = new Set<string>();

  function ask(run: string, { startedBy }: DrawnWorkflow, asked: Record<string, string>): void {
    persist(async () => taken(await api.annotate(startedBy, run, asked))).catch((error: unknown) =>
      onWrong(run, `nobody could ask for ${JSON.stringify(asked)}: ${String(error)}`),
    );
  }

  /** What was drawn to be cancelled is cancelled when its last step is under way. */
  function cancel(name: string, workflow: DrawnWorkflow, run: WorkflowRun): void {
    if (workflow.endedBy !== 'Cancel' || !isHanging(workflow, run) || cancelled.has(name)) return;
    cancelled.add(name);
    count('run cancelled by somebody');
    ask(name, workflow, { cancel: 'true' });
  }

  /** What was drawn to be continued is, once, when it has ended. */
  function carryOn(name: string, workflow: DrawnWorkflow, run: WorkflowRun): void {
    if (run.status?.round !== undefined) awaited.delete(name);
    if (continued.has(name) || !isToGoOn(workflow, run)) return;
    continued.add(name);
    awaited.add(name);
    count('run continued by somebody');
    const { continued: from = '' } = workflow;
    ask(name, workflow, { retry: from === 'failed' ? from : `from:${from}` });
  }

  return {
    continued,
    isContent: () => awaited.size === 0,
    start: ({ name, startedBy }) =>
      persist(async () => taken(await api.create(startedBy, name)).metadata.name ?? ''),
    onRun(run) {
      const { name = '' } = run.metadata;
      const workflow = workflowOf(run);
      if (!workflow) return;
      cancel(name, workflow, run);
      carryOn(name, workflow, run);
    },
  };
}

/** @throws Error with what was said instead */
function taken(answer: Answer): WorkflowRun {
  if (answer.taken) return answer.run;
  throw new Error('unheard' in answer ? answer.unheard : answer.message);
}

/** Whether the step that does not end by itself is under way. */
function isHanging({ steps }: DrawnWorkflow, { status }: WorkflowRun): boolean {
  const hanging = steps.find(({ expected }) => expected.reason === 'RunTimedOut');
  return status?.steps?.find(({ name }) => name === hanging?.name)?.phase === 'Running';
}

/** Whether a run has ended that is to be continued. */
const isToGoOn = ({ continued }: DrawnWorkflow, { status }: WorkflowRun): boolean =>
  continued !== undefined &&
  status?.finishedAt !== undefined &&
  (continued !== 'failed' || status.phase === 'Failed');
