import type { ConditionStep } from '../api/condition-step.ts';
import type { StepStatus, WorkflowRunStatus } from '../api/workflow-run.ts';
import { acceptRun } from './accept.ts';
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
export function takeOn(spec: object, params: RunContext['params'] = {}) {
  const compiled = compile(spec, resolvers);
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.problems));
  const { graph } = compiled;
  const run = {
    name: 'r',
    namespace: 'ns',
    uid: 'uid',
    workflow: 'w',
    params,
    trigger: { type: 'Manual' as const },
  };
  let status = acceptRun(graph, 'revision', T0);
  let last: Decision = { status, effects: [] };
  return {
    /** Decides on what is seen; the steps that are not named are running if they were started. */
    at(time: number, seen: Record<string, Observation> = {}): Decision {
      const started = (status.steps ?? []).filter((one) => one.job && one.phase === 'Running');
      const observed = new Map([
        ...started.map((one) => [one.name, running] as const),
        ...Object.entries(seen),
      ]);
      last = decide({ graph, run, status, observed, resolvers, now: T0 + time });
      status = last.status;
      return last;
    },
    step(name: string): StepStatus {
      const found = status.steps?.find((one) => one.name === name);
      if (!found) throw new Error(`no step ${name}`);
      return found;
    },
    /** `name:Phase` or `name:Phase/Reason` of each step. */
    phases: () =>
      (status.steps ?? [])
        .map(({ name, phase, reason }) => `${name}:${phase}${reason ? `/${reason}` : ''}`)
        .join(' '),
    /** `Start name-attempt` of each effect. */
    effects: () => last.effects.map(({ type, step, attempt }) => `${type} ${step}-${attempt}`).join(' '),
    /** When to decide again, since the run was accepted. */
    wake: () => (last.wakeAt === undefined ? undefined : last.wakeAt - T0),
    get status(): WorkflowRunStatus {
      return status;
    },
  };
}

export const time = (ms: number) => new Date(T0 + ms).toISOString();
export const envOf = (effect: Effect | undefined) =>
  effect?.type === 'Start' ? effect.spec.script?.env : undefined;
