import type { Vote } from '../api/approval-status.ts';
import type { ApprovalStep } from '../api/approval-step.ts';
import type { ConditionStep } from '../api/condition-step.ts';
import type { StepStatus, WorkflowRunStatus } from '../api/workflow-run.ts';
import { acceptRun } from './accept.ts';
import { askedAt } from './ballot.ts';
import { cancelRun, retryRun } from './control.ts';
import { decide } from './decide.ts';
import { compile } from './graph.ts';
import type { Decision, Effect, Observation, Result, RunContext } from './model.ts';
import { resolvers } from './model-shell.ts';

// What the tests of the engine say: steps, what is seen of them, and a run that is taken on turn by turn.

export const T0 = Date.parse('2030-01-01T00:00:00Z');
export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;

export const step = (name: string, more: object = {}) => ({ name, script: { bash: 'true' }, ...more });
export const withEnv = (name: string, env: Record<string, string>, more: object = {}) =>
  step(name, { script: { bash: 'true', env }, ...more });
/** A step that starts another run. */
export const runOf = (name: string, more: object = {}) => ({ name, workflow: { name: 'other' }, ...more });
/** A step that the operator carries out by a call. */
export const callOf = (name: string, more: object = {}) => ({
  name,
  http: { url: 'https://example.com' },
  ...more,
});
/** A condition, with the steps of `then` and of `else`. */
export function choose(
  name: string,
  source: string,
  branches: [(string[] | undefined)?, string[]?] = [],
  more: object = {},
) {
  const sides = (['then', 'else'] as const).map((side, index) => [side, branches[index]] as const);
  const given: Pick<ConditionStep, 'then' | 'else'> = Object.fromEntries(sides.filter(([, list]) => list));
  return { name, condition: { if: source, ...given }, ...more };
}

/** A step that waits for team t. */
export const approvalOf = (name: string, more: Partial<ApprovalStep> = {}, rest: object = {}) => ({
  name,
  approval: { approvers: ['team:t'], ...more },
  ...rest,
});
/** A vote on the approval of a row as it waits now, a second after it was asked; `more` makes it another. */
export function voteOn(row: StepStatus, user: string, more: Partial<Vote> = {}): Vote {
  const asked = askedAt(row);
  return {
    step: row.name,
    round: 0,
    attempt: row.attempt ?? 1,
    asked,
    digest: row.approval?.digest ?? '',
    user,
    as: 'team:t',
    own: false,
    decision: 'Approve',
    time: new Date(Date.parse(asked) + SECOND).toISOString(),
    signature: 'good',
    ...more,
  };
}
export const voted = (...votes: Vote[]): Observation => ({ state: 'Votes', votes });

export const running: Observation = { state: 'Running' };
export const starting: Observation = { state: 'Starting' };
export const absent: Observation = { state: 'Absent' };
export const waiting = (reason: string, message = 'why'): Observation => ({
  state: 'Waiting',
  reason,
  message,
});

/** Ended, as far as the time tells, when it is observed. */
const ended = (result: Partial<Result> & Pick<Result, 'outcome' | 'reason'>): Observation => ({
  state: 'Ended',
  result: { finishedAt: Number.MAX_SAFE_INTEGER, ...result },
});
export const succeeded = (more: Partial<Result> = {}) =>
  ended({ outcome: 'Succeeded', reason: 'Completed', ...more });
export const failed = (reason = 'ExitCode', more: Partial<Result> = {}) =>
  ended({ outcome: 'Failed', reason, message: 'It failed.', ...more });
export const evicted = failed('Evicted', { notStarted: true });

/** A run that a test takes on turn by turn. Times are milliseconds since it was accepted. */
export function takeOn(spec: object, params: RunContext['params'] = {}, name = 'r') {
  const compiled = compile(spec, resolvers);
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.problems));
  const { graph } = compiled;
  const run = {
    name,
    namespace: 'ns',
    uid: 'uid',
    workflow: 'w',
    params,
    trigger: { type: 'Manual' as const },
  };
  let status = acceptRun(graph, { revision: 'revision' }, T0);
  let last: Decision = { status, effects: [] };
  const sent: string[] = [];
  const rows = () => [...(status.steps ?? []), ...(status.notifications ?? [])];
  const going = () =>
    rows()
      .filter(isGoing)
      .map(({ name }) => name);
  return {
    graph,
    /** Decides on what is seen; what is not named is running if it was started. */
    at(time: number, seen: Record<string, Observation> = {}): Decision {
      const started = going().map((name) => [name, running] as const);
      const observed = new Map([...started, ...Object.entries(seen)]);
      last = decide({ graph, run, status, observed, resolvers, now: T0 + time });
      status = last.status;
      sent.push(...last.effects.flatMap(messageOf));
      return last;
    },
    cancel(time: number, message = 'Cancelled by jane.'): void {
      status = cancelRun(status, { reason: 'Cancelled', message }, T0 + time);
    },
    /** Continues the run that has ended, and has it started. */
    retry(time: number, from?: string): void {
      const next = retryRun(graph, status, from === undefined ? 'failed' : { step: from }, T0 + time);
      if (!next.ok) throw new Error(next.message);
      status = { ...next.status, phase: 'Running' };
    },
    /** Why the run can not be continued. */
    refusal(from?: string): string {
      const next = retryRun(graph, status, from === undefined ? 'failed' : { step: from }, T0);
      return next.ok ? '' : next.message;
    },
    /** Has the run go on from this status. */
    write(changed: WorkflowRunStatus): void {
      status = changed;
    },
    /** The names of the attempts that the effects are about. */
    ids: () => last.effects.map(({ id }) => id),
    /** What has an attempt that runs, steps and notifications. */
    going,
    step(name: string): StepStatus {
      const found = rows().find((one) => one.name === name);
      if (!found) throw new Error(`no step ${name}`);
      return found;
    },
    /** `name:Phase` or `name:Phase/Reason` of each step. */
    phases: () => (status.steps ?? []).map(textOf).join(' '),
    /** The same of each notification. */
    notifications: () => (status.notifications ?? []).map(textOf).join(' '),
    /** `Start name-attempt` of each effect, and `Stop! name-attempt` of a stop that nobody waits for. */
    effects: () => last.effects.map(nameOf).join(' '),
    /** The messages that all decisions so far have sent. */
    sent: () => sent,
    /** When to decide again, since the run was accepted. */
    wake: () => (last.wakeAt === undefined ? undefined : last.wakeAt - T0),
    get status(): WorkflowRunStatus {
      return status;
    },
  };
}

const isGoing = ({ phase, attempt, retryAt }: StepStatus) =>
  phase === 'Running' && attempt !== undefined && retryAt === undefined;

const textOf = ({ name, phase, reason }: StepStatus) => `${name}:${phase}${reason ? `/${reason}` : ''}`;

/** The message that a start sends to Slack. */
export const messageOf = (effect: Effect): string[] =>
  effect.type === 'Start' && effect.spec.slack?.message !== undefined ? [effect.spec.slack.message] : [];

function nameOf(effect: Effect): string {
  const isForced = effect.type === 'Stop' && effect.force;
  return `${effect.type}${isForced ? '!' : ''} ${effect.step}-${effect.attempt}`;
}

/** Takes a run to its end, a second for each turn; what is not named succeeds at once. */
export function runThrough(
  spec: object,
  results: Record<string, Observation> = {},
  params: RunContext['params'] = {},
) {
  const run = takeOn(spec, params);
  finishRun(run, 0, results);
  return run;
}

/** The same with a run that is on its way. */
export function finishRun(
  run: ReturnType<typeof takeOn>,
  from: number,
  results: Record<string, Observation> = {},
): void {
  run.at(from);
  for (let turn = 1; run.status.finishedAt === undefined && turn < 1000; turn += 1) {
    const ends = run.going().map((name) => [name, results[name] ?? succeeded()] as const);
    run.at(from + turn * SECOND, Object.fromEntries(ends));
  }
}

export const time = (ms: number) => new Date(T0 + ms).toISOString();
export const envOf = (effect: Effect | undefined) =>
  effect?.type === 'Start' ? effect.spec.script?.env : undefined;

// Steps with forEach.

export const each = (items: unknown[], more: object = {}) => ({ forEach: { items, ...more } });
export const eachOf = (expression: string, more: object = {}) => ({ forEach: { expression, ...more } });

/** The result of a step that gives a list. */
export const found = (list: unknown) => succeeded({ outputs: { list } });

/** A run in which step `find` has given a list, and step `many` has an instance for each of its entries. */
export function afterFinding(list: unknown, forEach: object = {}, more: object = {}) {
  const many = step('many', { ...eachOf('steps.find.outputs.list', forEach), ...more });
  const run = takeOn({ steps: [step('find'), many, step('next')] });
  run.at(0);
  run.at(SECOND, { find: found(list) });
  return run;
}
