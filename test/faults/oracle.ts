import { isDeepStrictEqual } from 'node:util';
import type { WorkflowRun } from '../../src/api/resources.ts';
import type { StepStatus } from '../../src/api/workflow-run.ts';
import { ancestors, type DrawnStep, type DrawnWorkflow, mainSteps } from './drawn.ts';
import { approvalProblems, isDeclined } from './approval-rules.ts';
import {
  blockedBy,
  type Circumstances,
  type Ended,
  endedOf,
  hasFailed,
  isTrue,
  phaseAfter,
} from './ended.ts';
import { isTurnedAway } from './turn-rules.ts';
import {
  cutShort,
  type End,
  enteredEnds,
  expectedOf,
  instanceNames,
  instanceProblems,
  rowProblem,
  skipped,
} from './row-ends.ts';

/**
 * What is wrong with the end of a run, by the semantics of docs/steps.md and by what its steps were drawn to do.
 * It is worked out here, without the engine. Where a step ends differently with the moment at which another fails, each
 * end that the semantics allow beside those of the other steps is right.
 */
export function endProblems(workflow: DrawnWorkflow, run: WorkflowRun, around: Circumstances): string[] {
  // Why, and what it looks like then, is judged apart.
  if (isTurnedAway(run)) return [];
  const ended = endedOf(workflow, run, around);
  const phase = phaseAfter(workflow.steps, ended);
  return [
    ...stepsProblems(ended),
    ...(run.status?.phase === phase ? [] : [`is ${run.status?.phase} and not ${phase}`]),
    ...haltProblems(ended),
  ];
}

function haltProblems({ workflow, halted, mayBeCancelled }: Ended): string[] {
  if (halted === 'TimedOut' && workflow.endedBy !== 'Timeout') return ['timed out, and has no timeout'];
  return halted === 'Cancelled' && !mayBeCancelled ? ['was cancelled by nobody'] : [];
}

function stepsProblems(ended: Ended): string[] {
  const { steps } = ended.workflow;
  // One that was cancelled before it was accepted never had a row.
  if (ended.halted === 'Cancelled' && ended.rows.size === 0) return [];
  if (ended.halted === 'Cancelled' && !ended.hasStarted) return lineProblems(ended);
  const names = new Set(steps.flatMap((step) => [step.name, ...instanceNames(step)]));
  const strange = [...ended.rows.keys()]
    .filter((name) => !names.has(name))
    .map((name) => `has a row ${name}`);
  return [...steps.flatMap((step) => stepProblems(step, ended)), ...strange];
}

/** Of a run that ended while it waited for its turn, nothing has begun. */
function lineProblems({ rows }: Ended): string[] {
  return [...rows.values()]
    .filter(({ phase, attempt }) => phase !== 'Skipped' || attempt !== undefined)
    .map(({ name, phase }) => `step ${name} of a run that never started is ${phase}`);
}

function stepProblems(step: DrawnStep, ended: Ended): string[] {
  const row = ended.rows.get(step.name);
  if (!row) return [`step ${step.name} is missing`];
  if (ended.resumed?.isRedone(step.name) === false) return keptProblems(step, ended);
  const cut = step.isFinal ? [] : cutShort(step.expected, ended.halted);
  const outputs = step.decides
    ? { result: isTrue(step.decides, ended) }
    : expectedOf(step, row, ended).outputs;
  const problem = rowProblem(row, [...endsOf(step, row, ended), ...cut], outputs);
  return [
    ...(problem ? [problem] : []),
    ...instanceProblems(step, row, ended),
    ...(step.approval ? approvalProblems(step.approval, row, ended.votes(step.name)) : []),
  ];
}

/** What was kept from the round before is as it was. */
function keptProblems(step: DrawnStep, { rows, resumed }: Ended): string[] {
  return [step.name, ...instanceNames(step)]
    .filter((name) => !isDeepStrictEqual(rows.get(name), resumed?.rows.get(name)))
    .map((name) => `${name} was to be kept, and was ${JSON.stringify(resumed?.rows.get(name))}`);
}

/** How a step ends in a run that is not ended before its time. */
function endsOf(step: DrawnStep, row: StepStatus, ended: Ended): End[] {
  const entered = enteredEnds(step, row, ended);
  if (step.isFinal) return entered;
  const off = offBranch(step, ended);
  if (off) return [off];
  const { steps } = ended.workflow;
  const before = ancestors(steps, step.name);
  const blamed = mainSteps(steps).some((other) => before.has(other.name) && hasFailed(other, ended));
  switch (step.runIf) {
    case 'Always':
      return entered;
    case 'Failure':
      return blamed ? entered : [skipped('NothingFailed')];
    case 'Success':
      if (blamed) return [skipped('UpstreamFailed')];
      return failsBeside(step, before, ended) ? [...entered, skipped('RunFailing')] : entered;
    default:
      return step.runIf satisfies never;
  }
}

/** How a step ends that the conditions before it leave out, or an approval that was not given. */
function offBranch(step: DrawnStep, ended: Ended): End | undefined {
  const { branch, waitsFor } = step;
  const { rows } = ended;
  const decided = branch && rows.get(branch.condition);
  if (decided?.phase === 'Succeeded') {
    if (decided.outputs?.['result'] !== (branch?.side === 'then')) return skipped('BranchNotTaken');
  } else if (decided && !isDeclined(decided)) {
    // One that did not decide leaves both of its branches out.
    return skipped(decided.phase === 'Failed' ? 'ConditionFailed' : (decided.reason ?? ''));
  }
  const isLeftOut =
    waitsFor.length > 0 && waitsFor.every((name) => rows.get(name)?.reason === 'BranchNotTaken');
  return isLeftOut || blockedBy(step, ended) ? skipped('BranchNotTaken') : undefined;
}

/** Whether a step failed that is neither before nor behind this one: it may have kept it from starting. */
function failsBeside(step: DrawnStep, before: ReadonlySet<string>, ended: Ended): boolean {
  const { steps } = ended.workflow;
  return mainSteps(steps).some(
    (other) =>
      other !== step &&
      hasFailed(other, ended) &&
      !before.has(other.name) &&
      !ancestors(steps, other.name).has(step.name),
  );
}
