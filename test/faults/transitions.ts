import { isDeepStrictEqual } from 'node:util';
import type { WorkflowRun } from '../../src/api/resources.ts';
import type { StepStatus, WorkflowRunStatus } from '../../src/api/workflow-run.ts';
import { type DrawnStep, type DrawnWorkflow, mainSteps } from './drawn.ts';
import { isDealtWith } from './approval-rules.ts';
import { resumedOf } from './rounds.ts';

const hasEnded = (step: StepStatus | undefined) =>
  step !== undefined && step.phase !== 'Pending' && step.phase !== 'Running';

/** What a finished run may still be told: that its annotation has been acted on, how its notifications went, and when. */
const ASIDE = ['handled', 'notifications', 'basedOn'];

type Steps = ReadonlyMap<string, StepStatus>;

const stepsOf = ({ steps = [] }: WorkflowRunStatus): Steps => new Map(steps.map((step) => [step.name, step]));

/**
 * What is wrong with the way from one version of a run to the next: what has ended changes no more, nothing goes back,
 * and nothing starts before its time.
 */
export function transitionProblems(
  workflow: DrawnWorkflow,
  run: WorkflowRun,
  { status: after = {} }: WorkflowRun,
): string[] {
  const { status: before = {} } = run;
  const isContinued = before.finishedAt !== undefined && after.round !== before.round;
  if (before.finishedAt !== undefined && !isContinued) {
    const changed = difference(before, after, ASIDE);
    return changed === '' ? [] : [`its status changed after its end: ${changed}`];
  }
  if (isContinued && (workflow.continued === undefined || after.round !== 1))
    return [`goes on in round ${after.round}, and nobody asked for that`];
  const old = isContinued ? reopened(workflow, run) : stepsOf(before);
  const next = stepsOf(after);
  return [
    ...[...old.values()].flatMap((step) => stepProblems(step, next.get(step.name))),
    ...workflow.steps.flatMap((step) => startProblems(workflow, step, old, next)),
  ];
}

/** The rows with which a round begins: what is done over waits again. */
function reopened(workflow: DrawnWorkflow, run: WorkflowRun): Steps {
  const { rows, isRedone } = resumedOf(workflow, run);
  const again = ({ name, type, attempt }: StepStatus): StepStatus => ({
    name,
    type,
    phase: 'Pending',
    ...(attempt === undefined ? {} : { attempt }),
  });
  return new Map([...rows.values()].map((row) => [row.name, isRedone(row.name) ? again(row) : row]));
}

function stepProblems(before: StepStatus, after: StepStatus | undefined): string[] {
  const { name } = before;
  if (!after) return [`step ${name} vanished from the status`];
  if (hasEnded(before)) {
    const changed = difference(before, after);
    return changed === '' ? [] : [`step ${name} changed after its end: ${changed}`];
  }
  if (before.phase === 'Running' && after.phase === 'Pending')
    return [`step ${name} went back from ${before.phase} to ${after.phase}`];
  const { attempt = 0 } = before;
  if ((after.attempt ?? 0) < attempt)
    return [`step ${name} went back from attempt ${attempt} to ${after.attempt}`];
  const renamed = after.attempt === attempt && before.job && after.job && after.job.name !== before.job.name;
  return [
    ...(renamed ? [`attempt ${attempt} of step ${name} changed its Job`] : []),
    ...(before.approval && after.attempt === attempt ? questionProblems(before, after) : []),
  ];
}

/** While people are asked, the question stays as it is, and no vote gets lost that was counted. */
function questionProblems({ name, approval: before }: StepStatus, { approval: after }: StepStatus): string[] {
  const { votes: old = [], ...question } = before ?? {};
  const { votes: next = [], ...same } = after ?? {};
  const changed = difference(question, same);
  const lost = old.filter(({ user, time }) => !next.some((vote) => vote.user === user && vote.time >= time));
  return [
    ...(changed === '' ? [] : [`step ${name} asks for something else: ${changed}`]),
    ...lost.map(({ user, decision }) => `step ${name} lost the vote of ${user}: ${decision}`),
  ];
}

/** A step begins when what it waits for has ended, and, unless it is for failures, when nothing has failed. */
function startProblems({ steps }: DrawnWorkflow, step: DrawnStep, before: Steps, after: Steps): string[] {
  const begins = before.get(step.name)?.phase !== 'Running' && after.get(step.name)?.phase === 'Running';
  if (!begins) return [];
  const main = mainSteps(steps);
  const awaited = [...step.waitsFor, ...(step.isFinal ? main.map(({ name }) => name) : [])];
  const early = awaited.filter((name) => !hasEnded(after.get(name)));
  const failed =
    step.runIf === 'Success' ? main.filter((other) => hadFailed(other, before)).map(({ name }) => name) : [];
  return [
    ...early.map((name) => `step ${step.name} began before ${name} had ended`),
    ...failed.map((name) => `step ${step.name} began although ${name} had failed`),
  ];
}

const hadFailed = (step: DrawnStep, before: Steps) => {
  const row = before.get(step.name);
  return row?.phase === 'Failed' && !step.forgiven && !isDealtWith(step, row);
};

/** `field: before → after` of what differs. */
function difference(before: object, after: object, except: readonly string[] = []): string {
  const [old, next] = [before, after].map((object) => new Map<string, unknown>(Object.entries(object)));
  const fields = new Set([...(old?.keys() ?? []), ...(next?.keys() ?? [])]);
  const changed = [...fields].filter(
    (field) => !except.includes(field) && !isDeepStrictEqual(old?.get(field), next?.get(field)),
  );
  const quote = (value: unknown) => JSON.stringify(value) ?? 'absent';
  return changed
    .map((field) => `${field}: ${quote(old?.get(field))} → ${quote(next?.get(field))}`)
    .join(', ');
}
