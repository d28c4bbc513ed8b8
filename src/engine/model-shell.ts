import type { StepStatus, WorkflowRunStatus } from '../api/workflow-run.ts';
import type { Vote } from '../api/approval-status.ts';
import { acceptRun } from './accept.ts';
import { askedAt } from './ballot.ts';
import type { Resolvers } from './compile-step.ts';
import { cancelRun, retryRun } from './control.ts';
import { decide } from './decide.ts';
import type { Decision, Effect, Graph, Observation, RunContext, StartEffect, StepResolver } from './model.ts';
import { checkDecision, checkStart, checkWrite, demand, nodeOf } from './model-checks.ts';
import { changesOf, type ModelAttempt, type Plan, stateAt } from './model-cluster.ts';
import { jobName } from './names.ts';
import { timeOf } from './text.ts';

// For tests: a shell that executes decisions as the real one does, on a cluster and a clock that are only modelled.

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
/** How long after its end a run is continued, in milliseconds. */
const REST_MS = 60_000;
const START = Date.parse('2030-01-01T00:00:00Z');

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
    return [{ field: 'condition.if', source, variables: {} }];
  },
};

const approval: StepResolver = {
  kind: 'Approval',
  resolve(spec, { text }) {
    if (!('approval' in spec) || spec.approval?.message === undefined) return spec;
    return {
      ...spec,
      approval: { ...spec.approval, message: text('approval.message', spec.approval.message) },
    };
  },
};

const http: StepResolver = {
  kind: 'Call',
  resolve: (spec, { text }) =>
    spec.http ? { ...spec, http: { ...spec.http, url: text('http.url', spec.http.url) } } : spec,
};

const slack: StepResolver = {
  kind: 'Call',
  resolve(spec, { text }) {
    const { message, ...rest } = spec.slack ?? {};
    return {
      ...spec,
      slack: message === undefined ? rest : { ...rest, message: text('slack.message', message) },
    };
  },
};

const workflow: StepResolver = {
  kind: 'Run',
  resolve(spec, { scalar }) {
    if (!spec.workflow) return spec;
    const params = Object.entries(spec.workflow.params ?? {}).map(([name, value]) => [
      name,
      scalar(`workflow.params.${name}`, value),
    ]);
    return { ...spec, workflow: { ...spec.workflow, params: Object.fromEntries(params) } };
  },
};

/** To the engine a step in a pod is a step in a pod. */
const job: StepResolver = { kind: 'Job', resolve: (spec) => spec };

export const resolvers: Resolvers = {
  terraform: job,
  ansible: job,
  script,
  approval,
  condition,
  http,
  slack,
  workflow,
};

/** The vote on an attempt of an approval, if there is one, and until when votes were seen. */
interface Ballot {
  vote: Vote | undefined;
  seenUntil: number;
}

const ballotOf = ({ name, attempt }: StepStatus): string => `${name}/${attempt}`;

/** How somebody votes on an approval, as its plan has it. */
function voteOn(row: StepStatus, plan: ModelOptions['plan'], round: number): Vote | undefined {
  const { name: step, type, attempt = 1 } = row;
  if (type !== 'approval') return undefined;
  const { kind, runsFor } = plan(step, attempt);
  if (kind !== 'Succeeds' && kind !== 'Fails') return undefined;
  const asked = askedAt(row);
  return {
    step,
    round,
    attempt,
    asked,
    digest: '',
    user: 'jane',
    as: 'team:drawn',
    own: false,
    decision: kind === 'Succeeds' ? 'Approve' : 'Reject',
    time: timeOf(Date.parse(asked) + runsFor),
    signature: 'good',
  };
}

/** From the start of a run, or of its continuation, to its end. */
export interface Round {
  /** The status that it began with. */
  before: WorkflowRunStatus;
  /** The one that it ended with. */
  after: WorkflowRunStatus;
}

/** What happened in a run. */
export interface Trace {
  /** The last one. */
  status: WorkflowRunStatus;
  rounds: Round[];
  /** Every status that was written, the first being that of the accepted run. */
  writes: WorkflowRunStatus[];
  /** What was started, in order, and the step as its templates came to. */
  started: { row: string; attempt: number; spec: StartEffect['spec']; written: WorkflowRunStatus }[];
  /** Why the run could not be continued. */
  refusal?: string;
}

export interface ModelOptions {
  graph: Graph;
  plan: (row: string, attempt: number) => Plan;
  chaos?: readonly Chaos[];
  params?: RunContext['params'];
  /** When somebody cancels the run, in milliseconds since its start. */
  cancels?: readonly number[];
  /** From where the run is continued after its end, if it is. */
  retry?: 'failed' | { step: string } | undefined;
}

/**
 * Executes a run against a modelled cluster and clock as the real shell does: write, then effects, then wait for
 * what the cluster or the decision says. Checks on the way what must hold in every turn.
 *
 * @throws when the run would wait for ever, or an invariant does not hold
 */
export function executeRun(options: ModelOptions): Trace {
  const { graph, plan, chaos = [], params = {}, retry } = options;
  const run: RunContext = {
    name: 'run',
    namespace: 'default',
    uid: 'run-uid',
    workflow: 'workflow',
    params,
    trigger: { type: 'Manual' },
  };
  const attempts = new Map<string, ModelAttempt>();
  /** What each name was given to. */
  const meanings = new Map<string, string>();
  let cancels = (options.cancels ?? []).map((after) => START + after).toSorted((a, b) => a - b);
  let now = START;
  let status = acceptRun(graph, { revision: 'revision' }, now);
  /** The votes on approvals: annotations of the run, which no crash takes away. */
  const ballots = new Map<string, Ballot>();
  let blocked = new Set<string>();
  let turns = 0;
  const trace: Trace = { status, rounds: [], writes: [status], started: [] };

  const idOf = ({ name, attempt = 1 }: StepStatus) => jobName(run, name, attempt, status.round);
  const going = () =>
    (status.steps ?? []).filter(
      ({ phase, attempt, retryAt }) => phase === 'Running' && attempt !== undefined && retryAt === undefined,
    );

  const asked = () =>
    (status.steps ?? []).filter(
      ({ type, attempt, startedAt }) =>
        type === 'approval' && attempt !== undefined && startedAt !== undefined,
    );

  const observe = (lag: number): Map<string, Observation> =>
    new Map([
      ...going().map((row) => [row.name, observeRow(row, lag)] as const),
      ...asked().map((row) => [row.name, observeVotes(row, lag)] as const),
    ]);

  function observeVotes(row: StepStatus, lag: number): Observation {
    const ballot = ballots.get(ballotOf(row)) ?? { vote: voteOn(row, plan, status.round ?? 0), seenUntil: 0 };
    ballots.set(ballotOf(row), ballot);
    ballot.seenUntil = Math.max(ballot.seenUntil, now - lag);
    const { vote, seenUntil } = ballot;
    return { state: 'Votes', votes: vote && Date.parse(vote.time) <= seenUntil ? [vote] : [] };
  }

  function observeRow(row: StepStatus, lag: number): Observation {
    const id = idOf(row);
    const found = attempts.get(id);
    if (found) {
      // A call is seen by who makes it.
      found.seenUntil = Math.max(found.seenUntil, found.kind === 'Call' ? now : now - lag);
      return stateAt(found, found.seenUntil);
    }
    if (!blocked.has(id)) return { state: 'Absent' };
    return { state: 'Absent', blocked: { reason: 'QuotaExceeded', message: 'exceeded quota' } };
  }

  function perform(effect: Effect): void {
    const known = attempts.get(effect.id);
    if (effect.type === 'Stop') {
      if (known) known.stoppedAt ??= now;
      return;
    }
    if (known) return;
    const next = plan(effect.step, effect.attempt);
    if (next.kind === 'Blocked') blocked.add(effect.id);
    else create(effect, next);
  }

  function create(effect: StartEffect, next: Plan): void {
    const { step: row, attempt, id, spec } = effect;
    const { round = 0 } = status;
    const active = [...attempts.values()].filter(
      (one) => one.round === round && !['Ended', 'Absent'].includes(stateAt(one, now).state),
    );
    checkStart(graph, status, effect, active);
    const meaning = `${round}/${row}/${attempt}`;
    demand((meanings.get(id) ?? meaning) === meaning, `${id} is the name of two attempts`);
    meanings.set(id, meaning);
    const { kind } = nodeOf(graph, row);
    attempts.set(id, { row, attempt, round, kind, plan: next, createdAt: now, seenUntil: -Infinity });
    trace.started.push({ row, attempt, spec, written: status });
  }

  /** One turn of the shell; gives what it decided unless it crashed on the way. */
  function turn({ crash, lag }: Chaos): Decision | undefined {
    const before = status;
    const due = cancels;
    while ((cancels[0] ?? Infinity) <= now) {
      cancels = cancels.slice(1);
      status = cancelRun(status, { reason: 'Cancelled', message: 'Somebody cancelled it.' }, now);
    }
    const input = { graph, run, status, observed: observe(lag), resolvers, now };
    const decision = decide(input);
    checkDecision(decision, input);
    if (crash === 'BeforeWrite') {
      // A cancellation is an annotation, and still there.
      cancels = due;
      status = before;
      return undefined;
    }
    if (decision.status !== before) {
      checkWrite(graph, before, decision.status, now);
      // Through JSON, as the API server gives it back.
      status = JSON.parse(JSON.stringify(decision.status));
      trace.writes.push(status);
    }
    if (crash === 'BeforeEffects') return undefined;
    const half = crash === 'AmidEffects' ? Math.ceil(decision.effects.length / 2) : decision.effects.length;
    decision.effects.slice(0, half).forEach(perform);
    return crash === 'AmidEffects' ? undefined : decision;
  }

  /** What a process remembers goes with it: what was refused, and the calls that it makes. */
  function forget(): void {
    blocked = new Set();
    for (const [id, { kind }] of attempts) if (kind === 'Call') attempts.delete(id);
  }

  /** When something happens next: in the cluster, as seen with a lag, or because the decision asked for it. */
  function nextTime({ wakeAt = Infinity }: Decision): number {
    const changes = going().flatMap((row) => {
      const found = attempts.get(idOf(row));
      return found ? changesOf(found).filter((at) => at > found.seenUntil) : [];
    });
    const votes = going().flatMap((row) => {
      const { vote, seenUntil = 0 } = ballots.get(ballotOf(row)) ?? { vote: voteOn(row, plan, 0) };
      return vote && Date.parse(vote.time) > seenUntil ? [Date.parse(vote.time)] : [];
    });
    const times = [...changes, ...votes, wakeAt, cancels[0] ?? Infinity].map((at) => Math.max(at, now + 1));
    const next = Math.min(...times, blocked.size > 0 ? now + RETRY_BLOCKED_MS : Infinity);
    demand(Number.isFinite(next) || status.finishedAt !== undefined, 'the run waits for nothing');
    return Number.isFinite(next) ? next : now;
  }

  function takeToEnd(): void {
    const before = status;
    for (; status.finishedAt === undefined; turns += 1) {
      demand(turns < MAX_TURNS, 'the run does not end');
      const decision = turn(chaos[turns] ?? CALM);
      if (decision) now = nextTime(decision);
      else forget();
    }
    trace.rounds.push({ before, after: status });
  }

  takeToEnd();
  if (retry === undefined) return { ...trace, status };
  now += REST_MS;
  const next = retryRun(graph, status, retry, now);
  if (!next.ok) return { ...trace, status, refusal: next.message };
  status = { ...next.status, phase: 'Running' };
  trace.writes.push(status);
  takeToEnd();
  return { ...trace, status };
}
