import { API_VERSION } from '../api/common.ts';
import type { WorkflowRun } from '../api/resources.ts';
import type { ScheduleStatus } from '../api/workflow.ts';
import { CREATED_BY, createdByTrigger } from '../engine/created-by.ts';
import type { Problem } from '../engine/model.ts';
import { timeOf } from '../engine/text.ts';
import type { Sealing } from '../engine/vote.ts';
import { ApiError } from '../kube/errors.ts';
import type { EventRecorder, Happening } from '../kube/events.ts';
import {
  decideSchedule,
  type Missed,
  type NamedSchedule,
  type ScheduleDecision,
  scheduledRunName,
} from '../triggers/schedule.ts';
import type { Cluster } from './cluster.ts';
import { RUN_FINALIZER } from './finalizers.ts';
import { PASSING } from './starts.ts';
import type { RunView, WorkflowView } from './views.ts';
import type { Verdict } from './workflow-status.ts';

/** A run that the cluster refused, for example for quota, is tried again after this time. */
const REFUSED_RETRY_MS = 10_000;

/** Starts the runs that schedules ask for. */
export interface Schedules {
  /**
   * Starts what is due.
   *
   * @param problems what is wrong with the workflow: while there is something, nothing is started
   * @param ownRuns the runs of the workflow
   * @throws when it is not known whether a run was started: what is there tells when this is asked again
   */
  serve(
    workflow: WorkflowView,
    problems: readonly Problem[],
    ownRuns: readonly RunView[],
  ): Promise<SchedulesReport>;
}

/** Where the schedules of a workflow stand. Times are in milliseconds since the epoch. */
export interface SchedulesReport {
  statuses: ScheduleStatus[];
  /** When the next run is to be started. */
  nextAt?: number;
  /** When to look again. */
  lookAt?: number;
  /** How well that went; absent where there are no schedules. */
  verdict?: Verdict;
  /** Tells what was missed, once: to be called when this is in the status, as it is found again before that. */
  tellMissed: () => void;
}

/** What came of so many times of schedules. */
export interface ScheduleOutcome {
  result: 'started' | 'missed' | 'refused';
  count: number;
}

export interface SchedulesOptions {
  runs: Pick<Cluster['runs'], 'client'>;
  events: EventRecorder;
  /** Puts on record that nobody has started the runs; nothing without keys. */
  sealing?: Sealing | undefined;
  onOutcome: (outcome: ScheduleOutcome) => void;
  /** Milliseconds since the epoch. */
  now: () => number;
}

/** What came of one schedule. */
interface Served {
  decision: ScheduleDecision;
  status: ScheduleStatus | undefined;
  verdict?: Verdict;
  missed?: { count: number; message: string };
}

export function createSchedules({ runs, events, sealing, onOutcome, now }: SchedulesOptions): Schedules {
  async function serveOne(
    workflow: WorkflowView,
    trigger: NamedSchedule,
    ownRuns: readonly RunView[],
  ): Promise<Served> {
    const before = workflow.status.schedules?.find(({ name }) => name === trigger.name);
    const started = startedBy(workflow, trigger.name, ownRuns);
    const decision = decideSchedule({ trigger, status: before, started, now: now() });
    const { due, missed, status } = decision;
    const refused = due === undefined ? undefined : await start(workflow, trigger, due);
    // The time is still due, until it is too late for it.
    if (refused?.again) return { decision, status: before, verdict: refused.verdict };
    if (missed) {
      const message = missedText(trigger, missed);
      const late: Verdict = { status: 'False', reason: 'ScheduleMissed', message };
      const { count } = missed;
      return { decision, status, verdict: refused?.verdict ?? late, missed: { count, message } };
    }
    const verdict = refused?.verdict ?? (due === undefined ? undefined : ON_TIME);
    return { decision, status, ...(verdict ? { verdict } : {}) };
  }

  /** Creates the run, or finds it. Why that was not possible, if it was not. */
  async function start(
    workflow: WorkflowView,
    trigger: NamedSchedule,
    due: number,
  ): Promise<Refused | undefined> {
    const wanted = onRecord(runOf(workflow, trigger, due));
    const name = wanted.metadata.name ?? '';
    try {
      const { object, created } = await runs.client.ensure(wanted);
      if (!isOf(object, wanted)) return refuse(workflow, nameTaken(trigger, name), { again: false });
      if (created) tellStarted(workflow, trigger, name);
      return undefined;
    } catch (error) {
      if (!(error instanceof ApiError) || PASSING.has(error.status)) throw error;
      const said = `The run that ${quoted(trigger)} has for ${timeOf(due)} can not be created, and is tried again: ${error.message}`;
      return refuse(workflow, said, { again: true });
    }
  }

  function onRecord(run: WorkflowRun): WorkflowRun {
    if (!sealing) return run;
    const annotations = { [CREATED_BY]: createdByTrigger(run, sealing, now()) };
    return { ...run, metadata: { ...run.metadata, annotations } };
  }

  function tell(workflow: WorkflowView, told: Pick<Happening, 'type' | 'reason' | 'note'>): void {
    const { namespace, name, uid } = workflow;
    events.record({
      regarding: { apiVersion: API_VERSION, kind: 'Workflow', namespace, name, uid },
      ...told,
    });
  }

  function tellStarted(workflow: WorkflowView, trigger: NamedSchedule, name: string): void {
    onOutcome({ result: 'started', count: 1 });
    tell(workflow, {
      type: 'Normal',
      reason: 'RunCreated',
      note: `Created run ${name} of ${quoted(trigger)}.`,
    });
  }

  function tellMissed(workflow: WorkflowView, all: readonly Served[]): void {
    for (const { missed } of all) {
      if (!missed) continue;
      onOutcome({ result: 'missed', count: missed.count });
      tell(workflow, { type: 'Warning', reason: 'ScheduleMissed', note: missed.message });
    }
  }

  function refuse(workflow: WorkflowView, message: string, { again }: { again: boolean }): Refused {
    onOutcome({ result: 'refused', count: 1 });
    tell(workflow, { type: 'Warning', reason: 'RunRefused', note: message });
    return { again, verdict: { status: 'False', reason: 'RunRefused', message } };
  }

  return {
    async serve(workflow, problems, ownRuns) {
      const triggers = schedulesIn(workflow);
      if (triggers.length === 0 || workflow.spec.state !== 'Active' || problems.length > 0) {
        return { statuses: [], tellMissed: () => {} };
      }
      const all: Served[] = [];
      for (const trigger of triggers) all.push(await serveOne(workflow, trigger, ownRuns));
      return { ...reportOf(workflow, all, now()), tellMissed: () => tellMissed(workflow, all) };
    },
  };
}

interface Refused {
  verdict: Verdict;
  /** Whether to try again. */
  again: boolean;
}

const ON_TIME: Verdict = {
  status: 'True',
  reason: 'OnTime',
  message: 'Runs are started when they are scheduled.',
};

const schedulesIn = ({ spec }: WorkflowView): NamedSchedule[] =>
  (spec.triggers ?? []).flatMap(({ name, schedule }) => (schedule ? [{ name, ...schedule }] : []));

/** The times of a schedule that runs are there for. One that somebody else made has another name, or is none. */
function startedBy(workflow: WorkflowView, trigger: string, ownRuns: readonly RunView[]): number[] {
  return ownRuns.flatMap(({ name, spec: { trigger: by } }) => {
    if (by.type !== 'Schedule' || by.name !== trigger) return [];
    const time = Date.parse(by.scheduledAt ?? '');
    return !Number.isNaN(time) && name === scheduledRunName(workflow, trigger, time) ? [time] : [];
  });
}

function runOf(workflow: WorkflowView, { name: trigger, params }: NamedSchedule, due: number): WorkflowRun {
  return {
    apiVersion: API_VERSION,
    kind: 'WorkflowRun',
    metadata: {
      namespace: workflow.namespace,
      name: scheduledRunName(workflow, trigger, due),
      finalizers: [RUN_FINALIZER],
    },
    spec: {
      workflowRef: { name: workflow.name },
      ...(params ? { params } : {}),
      trigger: { type: 'Schedule', name: trigger, scheduledAt: timeOf(due) },
    },
  };
}

function isOf({ spec }: WorkflowRun, wanted: WorkflowRun): boolean {
  const { type, name, scheduledAt } = wanted.spec.trigger;
  return (
    spec.workflowRef.name === wanted.spec.workflowRef.name &&
    spec.trigger.type === type &&
    spec.trigger.name === name &&
    spec.trigger.scheduledAt === scheduledAt
  );
}

function reportOf(
  workflow: WorkflowView,
  all: readonly Served[],
  now: number,
): Omit<SchedulesReport, 'tellMissed'> {
  const verdicts = all.flatMap(({ verdict }) => verdict ?? []);
  const nextAt = Math.min(...all.map(({ decision }) => decision.nextAt));
  const isRefused = all.some(({ decision, status }) => status !== decision.status);
  return {
    statuses: all.flatMap(({ status }) => status ?? []),
    nextAt,
    lookAt: isRefused ? Math.min(nextAt, now + REFUSED_RETRY_MS) : nextAt,
    verdict: verdicts.find(({ status }) => status === 'False') ?? verdicts[0] ?? verdictBefore(workflow),
  };
}

/** Nothing was to be done: it stays as it was. */
function verdictBefore({ status }: WorkflowView): Verdict {
  const before = status.conditions?.find(({ type }) => type === 'Scheduled');
  if (!before) return ON_TIME;
  return { status: before.status, reason: before.reason, message: before.message };
}

const quoted = ({ name }: NamedSchedule) => `schedule ${name}`;

function nameTaken(trigger: NamedSchedule, name: string): string {
  return `A run named ${name} exists that was not made for ${quoted(trigger)}, so that this time is left out: delete it.`;
}

function missedText(trigger: NamedSchedule, { count, last, why }: Missed): string {
  const what = count === 1 ? `The run of ${quoted(trigger)}` : `${count} runs of ${quoted(trigger)}`;
  const when = count === 1 ? `for ${timeOf(last)} was` : `up to ${timeOf(last)} were`;
  switch (why) {
    case 'Replaced':
      return `${what} ${when} not started in time; the one after that was started instead.`;
    case 'TooLate':
      return `${what} ${when} not started: it was later than startingDeadline, ${trigger.startingDeadline}, allows.`;
    default:
      return why satisfies never;
  }
}
