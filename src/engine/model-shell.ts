import type { StepStatus, WorkflowRunStatus } from '../api/workflow-run.ts';
import { acceptRun } from './accept.ts';
import { decide } from './decide.ts';
import type { Resolvers } from './compile-step.ts';
import type {
  Decision,
  Effect,
  Graph,
  Node,
  Observation,
  Result,
  RunContext,
  StepResolver,
} from './model.ts';

// For tests: a shell that executes decisions as the real one does, on a cluster and a clock that are only modelled.

/** How an attempt behaves in the modelled cluster. */
export interface Plan {
  kind:
    | 'Succeeds'
    | 'Fails'
    /** Lost before it began, through no fault of its own. */
    | 'Lost'
    /** Waits for ever, as for an image that does not exist. */
    | 'Stuck'
    /** Is refused by the cluster, as by a quota. */
    | 'Blocked'
    /** Runs for ever, and ends when it is stopped. */
    | 'Hangs'
    /** Runs for ever, whatever is done. */
    | 'IgnoresStop';
  /** Milliseconds from its creation to its beginning, and from there to its end. */
  startsAfter: number;
  runsFor: number;
  outputs?: Record<string, unknown>;
}

/** What goes wrong in one turn of the shell. */
export interface Chaos {
  crash: 'None' | 'BeforeWrite' | 'BeforeEffects' | 'AmidEffects';
  /** How far what the shell sees lies behind, in milliseconds. */
  lag: number;
}

const CALM: Chaos = { crash: 'None', lag: 0 };
/** More turns than any run of the tests needs. */
const MAX_TURNS = 3000;
const RETRY_BLOCKED_MS = 10_000;

const script: StepResolver = {
  kind: 'Job',
  resolve(spec, { text }) {
    const env = Object.entries(spec.script?.env ?? {}).map(([key, value]) => [
      key,
      text(`script.env.${key}`, value),
    ]);
    return { ...spec, script: { ...spec.script, env: Object.fromEntries(env) } };
  },
};

const condition: StepResolver = {
  kind: 'Inline',
  resolve: (spec) => spec,
  expressions(spec) {
    const source = ('condition' in spec ? spec.condition?.if : undefined) ?? '';
    return [{ field: 'condition.if', source, variables: [] }];
  },
};

const call: StepResolver = { kind: 'Call', resolve: (spec) => spec };
const workflow: StepResolver = { kind: 'Run', resolve: (spec) => spec };

export const resolvers: Resolvers = { script, condition, workflow, http: call, slack: call };

interface Job {
  step: string;
  attempt: number;
  plan: Plan;
  createdAt: number;
  stoppedAt?: number;
  /** The newest state that was seen: what is seen never goes back. */
  seenUntil: number;
}

/** What happened in a run. */
export interface Trace {
  status: WorkflowRunStatus;
  /** Every status that was written, the first being that of the accepted run. */
  writes: WorkflowRunStatus[];
  /** What was started, in order, and what its templates came to. */
  started: { step: string; attempt: number; env: Record<string, string>; written: WorkflowRunStatus }[];
}

export interface ModelOptions {
  graph: Graph;
  plan: (step: string, attempt: number) => Plan;
  chaos?: readonly Chaos[];
  params?: RunContext['params'];
}

/**
 * Executes a run against a modelled cluster and clock as the real shell does: write, then effects, then wait for
 * what the cluster or the decision says. Checks on the way what must hold in every turn.
 *
 * @throws when the run would wait for ever, or an invariant does not hold
 */
export function executeRun({ graph, plan, chaos = [], params = {} }: ModelOptions): Trace {
  const run: RunContext = {
    name: 'run',
    namespace: 'default',
    uid: 'run-uid',
    workflow: 'workflow',
    params,
    trigger: { type: 'Manual' },
  };
  const jobs = new Map<string, Job>();
  let now = Date.parse('2030-01-01T00:00:00Z');
  let status = acceptRun(graph, 'revision', now);
  let blocked = new Set<string>();
  const trace: Trace = { status, writes: [status], started: [] };

  function observe(lag: number): Map<string, Observation> {
    const running = (status.steps ?? []).filter((step) => step.phase === 'Running' && step.job);
    return new Map(running.map((step) => [step.name, observeStep(step, lag)]));
  }

  function observeStep({ job }: StepStatus, lag: number): Observation {
    const name = job?.name ?? '';
    const found = jobs.get(name);
    if (found) {
      found.seenUntil = Math.max(found.seenUntil, now - lag);
      return stateAt(found, found.seenUntil);
    }
    if (!blocked.has(name)) return { state: 'Absent' };
    return { state: 'Absent', blocked: { reason: 'QuotaExceeded', message: 'exceeded quota' } };
  }

  function perform(effect: Effect): void {
    const job = jobs.get(effect.id);
    if (effect.type === 'Stop') {
      if (job) job.stoppedAt ??= now;
      return;
    }
    if (job) return;
    const next = plan(effect.step, effect.attempt);
    if (next.kind === 'Blocked') blocked.add(effect.id);
    else create(effect, next);
  }

  const activeJobs = () =>
    [...jobs.values()].filter((job) => !['Ended', 'Absent'].includes(stateAt(job, now).state));

  function create(effect: Extract<Effect, { type: 'Start' }>, next: Plan): void {
    checkStart(graph, status, effect, activeJobs());
    jobs.set(effect.id, { ...effect, plan: next, createdAt: now, seenUntil: Number.NEGATIVE_INFINITY });
    trace.started.push({
      step: effect.step,
      attempt: effect.attempt,
      env: effect.spec.script?.env ?? {},
      written: status,
    });
  }

  /** One turn of the shell; gives what it decided unless it crashed on the way. */
  function turn({ crash, lag }: Chaos): Decision | undefined {
    const input = { graph, run, status, observed: observe(lag), resolvers, now };
    const decision = decide(input);
    checkDecision(decision, input);
    if (crash === 'BeforeWrite') return undefined;
    if (decision.status !== status) {
      checkWrite(graph, status, decision.status);
      // Through JSON, as the API server gives it back.
      status = JSON.parse(JSON.stringify(decision.status));
      trace.writes.push(status);
    }
    if (crash === 'BeforeEffects') return undefined;
    const half = crash === 'AmidEffects' ? Math.ceil(decision.effects.length / 2) : decision.effects.length;
    decision.effects.slice(0, half).forEach(perform);
    return crash === 'AmidEffects' ? undefined : decision;
  }

  for (let count = 0; status.finishedAt === undefined; count += 1) {
    demand(count < MAX_TURNS, 'the run does not end');
    const mood = chaos[count] ?? CALM;
    const decision = turn(mood);
    if (decision) now = nextTime(decision);
    else blocked = new Set();
  }
  return { ...trace, status };

  /** When something happens next: in the cluster, as seen with a lag, or because the decision asked for it. */
  function nextTime({ wakeAt }: Decision): number {
    const watched = [...jobs].filter(([name]) =>
      status.steps?.some((step) => step.job?.name === name && !isOver(step)),
    );
    const changes = watched.flatMap(([, job]) => changesOf(job).filter((at) => at > job.seenUntil));
    const times = [
      ...changes.map((at) => Math.max(at, now + 1)),
      ...(blocked.size > 0 ? [now + RETRY_BLOCKED_MS] : []),
      ...(wakeAt === undefined ? [] : [Math.max(wakeAt, now + 1)]),
    ];
    demand(times.length > 0 || status.finishedAt !== undefined, 'the run waits for nothing');
    return times.length > 0 ? Math.min(...times) : now;
  }
}

/** The times at which the state of a job changes. */
function changesOf(job: Job): number[] {
  const { createdAt, plan, stoppedAt } = job;
  const begins = createdAt + plan.startsAfter;
  const stops = stoppedAt === undefined ? [] : [stoppedAt + 500];
  return [createdAt, begins, begins + plan.runsFor, ...stops].filter((at) => Number.isFinite(at));
}

function stateAt(job: Job, time: number): Observation {
  const { plan, createdAt, stoppedAt = Number.POSITIVE_INFINITY } = job;
  const begins = createdAt + plan.startsAfter;
  const stops = stoppedAt + 500;
  if (time < createdAt) return { state: 'Absent' };
  if (plan.kind === 'Stuck') {
    return time < stops
      ? { state: 'Waiting', reason: 'ImagePullBackOff', message: 'no such image' }
      : { state: 'Absent' };
  }
  if (time < begins && time < stops) return { state: 'Starting' };
  if (stops <= begins) return { state: 'Absent' };
  return stateBegun(job, time, begins, stops);
}

function stateBegun({ plan }: Job, time: number, begins: number, stops: number): Observation {
  const forEver = plan.kind === 'Hangs' || plan.kind === 'IgnoresStop';
  const ends = forEver ? Number.POSITIVE_INFINITY : begins + plan.runsFor;
  if (plan.kind === 'Lost') return ended('Failed', 'Evicted', begins, { notStarted: true });
  if (time >= ends && ends <= stops) {
    const outputs = plan.outputs ? { outputs: plan.outputs } : {};
    return plan.kind === 'Fails'
      ? ended('Failed', 'ExitCode', ends)
      : ended('Succeeded', 'Completed', ends, outputs);
  }
  if (time >= stops && plan.kind !== 'IgnoresStop') return ended('Failed', 'DeadlineExceeded', stops);
  return { state: 'Running' };
}

function ended(
  outcome: Result['outcome'],
  reason: string,
  finishedAt: number,
  more: Partial<Result> = {},
): Observation {
  return { state: 'Ended', result: { outcome, reason, finishedAt, ...more } };
}

function demand(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message);
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

const isOver = (step: StepStatus | undefined) => step?.phase !== 'Pending' && step?.phase !== 'Running';

const stepIn = (status: WorkflowRunStatus, name: string) => status.steps?.find((step) => step.name === name);

const isFailure = (graph: Graph, step: StepStatus) =>
  step.phase === 'Failed' && !nodeIn(graph, step.name).spec.continueOnError;

function nodeIn(graph: Graph, name: string): Node {
  const node = graph.nodes.find((node) => node.name === name);
  if (!node) throw new Error(`no step ${name}`);
  return node;
}

/** What must hold when a job is made: it was written before, its dependencies have ended, and it is alone. */
function checkStart(graph: Graph, written: WorkflowRunStatus, effect: Effect, active: readonly Job[]): void {
  const node = nodeIn(graph, effect.step);
  const step = stepIn(written, effect.step);
  demand(step?.phase === 'Running', 'started before it was written');
  demand(step.attempt === effect.attempt && step.job?.name === effect.id, 'another attempt was written');
  const main = graph.nodes.filter((other) => node.finally && !other.finally).map(({ name }) => name);
  for (const name of [...node.waitsFor, ...main]) {
    demand(isOver(stepIn(written, name)), `${effect.step} started before ${name} ended`);
  }
  demand(!active.some((job) => job.step === effect.step), `two attempts of ${effect.step} run at once`);
}

/** The same input gives the same decision, and its outcome needs no other until something is observed. */
function checkDecision(decision: Decision, input: Parameters<typeof decide>[0]): void {
  demand(same(decide(input), decision), 'the same input gives another decision');
  const next = decision.status;
  const jobOf = (status: WorkflowRunStatus, name: string) => stepIn(status, name)?.job?.name;
  const kept = [...input.observed].filter(([name]) => jobOf(next, name) === jobOf(input.status, name));
  const again = decide({ ...input, status: next, observed: new Map(kept) });
  demand(again.status === next, 'a second decision changes something');
}

/** What must hold between one status and the next. */
function checkWrite(graph: Graph, before: WorkflowRunStatus, after: WorkflowRunStatus): void {
  for (const step of after.steps ?? []) {
    const old = stepIn(before, step.name);
    if (isOver(old)) demand(same(step, old), `${step.name} changed after its end`);
    if (old?.phase !== 'Pending' || step.phase === 'Pending') continue;
    checkLeavingPending(graph, before, after, step);
  }
}

/** A failure known when a step starts keeps it from starting; one of an expression may come up beside it. */
function checkLeavingPending(
  graph: Graph,
  before: WorkflowRunStatus,
  after: WorkflowRunStatus,
  step: StepStatus,
): void {
  const node = nodeIn(graph, step.name);
  if (node.finally) return;
  const failures = (after.steps ?? []).filter(
    (other) => !nodeIn(graph, other.name).finally && isFailure(graph, other),
  );
  if (step.phase === 'Running' && node.runIf === 'Success') {
    const known = failures.filter(
      (other) => other.reason !== 'ExpressionError' || isOver(stepIn(before, other.name)),
    );
    demand(known.length === 0, `${step.name} started in a failing run`);
  }
  if (step.reason === 'RunFailing') demand(failures.length > 0, `${step.name} skipped without a failure`);
}
