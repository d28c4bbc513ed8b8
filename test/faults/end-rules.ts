import { isDeepStrictEqual } from 'node:util';
import type { Job } from 'kubernetes-types/batch/v1.d.ts';
import type { WorkflowRun } from '../../src/api/resources.ts';
import type { StepStatus } from '../../src/api/workflow-run.ts';
import { LABELS } from '../../src/steps/labels.ts';
import { decisionOf } from './approval-rules.ts';
import { type Ballots, type CastVote, recordsOn, standing } from './ballots.ts';
import { ancestors, type DrawnWorkflow } from './drawn.ts';
import { type Finding, finding } from './findings.ts';
import type { Made } from './history.ts';
import { endProblems } from './oracle.ts';
import { isReplaced, turnProblems } from './turn-rules.ts';
import { valueProblems } from './values.ts';
import { isAtWork, type Journal } from './journal.ts';

/** Everything that there is to judge when all is over. */
export interface Evidence {
  /** Names of all runs that were started. */
  started: readonly string[];
  runs: ReadonlyMap<string, WorkflowRun>;
  made: readonly Made[];
  intents: Journal['intents'];
  ballots: Pick<Ballots, 'of'>;
  lives: Journal['lives'];
  ends: Journal['ends'];
  /** Names of the runs that somebody asked to go on. */
  continued: ReadonlySet<string>;
  /** Names of the objects of which the API server said that it had forgotten that far back. */
  forgotten: ReadonlySet<string>;
  workflowOf(run: WorkflowRun): DrawnWorkflow | undefined;
}

/** Judges what is there at the end. */
export function endFindings(evidence: Evidence): Finding[] {
  const byName = Map.groupBy(evidence.made, ({ kind, name }) => `${kind} ${name}`);
  return [
    ...evidence.started
      .filter((name) => !evidence.runs.has(name))
      .map((name) => finding('Lost', name)('was seen by nobody')),
    ...[...evidence.runs.values()].flatMap((run) => runFindings(evidence, run)),
    ...[...byName.values()].flatMap(repetitions),
    ...evidence.made.flatMap((made) => madeFindings(evidence, made)),
  ];
}

function runFindings(evidence: Evidence, run: WorkflowRun): Finding[] {
  const { metadata, status } = run;
  const { name = '' } = metadata;
  const lost = finding('Lost', name);
  if (status?.finishedAt === undefined) return [lost(`has not ended: ${JSON.stringify(status)}`)];
  const workflow = evidence.workflowOf(run);
  if (!workflow) return [lost('is of no workflow of the campaign')];
  const own = evidence.made.filter((made) => made.run === name);
  const ends = evidence.ends.get(name) ?? [];
  if (evidence.continued.has(name) && ends.length < 2) return [lost('was to go on, and did not')];
  const wrong = [
    ...ends.flatMap((end, round) => roundProblems(evidence, { workflow, end, before: ends[round - 1], own })),
    ...turnProblems(workflow, run, evidence),
    ...recordProblems(evidence, run, workflow),
  ];
  const missing = (status.steps ?? []).flatMap((row) => missingObjects(row, own));
  return [...wrong.map(finding('Wrong', name)), ...missing.map(lost)];
}

/** One round of a run. */
interface Round {
  workflow: DrawnWorkflow;
  /** The run at its end, and at the end of the round before. */
  end: WorkflowRun;
  before: WorkflowRun | undefined;
  /** All that was made for the run. */
  own: readonly Made[];
}

function roundProblems(evidence: Evidence, { workflow, end, before, own }: Round): string[] {
  const { ballots, forgotten, runs } = evidence;
  const { name = '' } = end.metadata;
  const attemptIn = (run: WorkflowRun | undefined, row: string) => rowOf(run, row)?.attempt ?? 0;
  const around = {
    mayBeCancelled: mayBeCancelled(evidence, end, workflow),
    forgotten,
    child: (other: string) => runs.get(other),
    votes: (step: string) =>
      // What is done over and was not asked once more has no votes in this round.
      isDeepStrictEqual(rowOf(end, step), rowOf(before, step)) ||
      attemptIn(end, step) > attemptIn(before, step)
        ? ballots.of(name, step).filter(({ vote }) => vote.attempt === attemptIn(end, step))
        : [],
    before,
  };
  const jobs = own.filter(
    ({ kind, row, attempt }) =>
      kind === 'Job' && attempt > attemptIn(before, row) && attempt <= attemptIn(end, row),
  );
  return [
    ...endProblems(workflow, end, around),
    ...jobs.flatMap((job) => valueProblems(workflow, end, job, around)),
  ];
}

const rowOf = (run: WorkflowRun | undefined, name: string): StepStatus | undefined =>
  run?.status?.steps?.find((row) => row.name === name);

/** The votes on a step, apart by its attempts: each asks anew. */
function byAttempt(votes: readonly CastVote[]): CastVote[][] {
  return [...Map.groupBy(votes, ({ vote }) => vote.attempt).values()];
}

/** A run carries the last vote of each who voted, and no other. */
function recordProblems({ ballots }: Evidence, run: WorkflowRun, { steps }: DrawnWorkflow): string[] {
  const cast = steps.flatMap(({ name }) =>
    byAttempt(ballots.of(run.metadata.name ?? '', name)).flatMap(standing),
  );
  const seals = new Set(cast.map(({ signature }) => signature));
  const found = recordsOn(run);
  const strange = found.filter(({ signature }) => !seals.has(signature));
  return [
    ...strange.map((vote) => `carries a vote that nobody cast: ${JSON.stringify(vote)}`),
    ...(found.length < cast.length ? [`carries ${found.length} of ${cast.length} votes`] : []),
  ];
}

/** By the campaign, with the run that started it, or for a newer one. */
function mayBeCancelled({ runs }: Evidence, run: WorkflowRun, { endedBy }: DrawnWorkflow): boolean {
  const parent = runs.get(run.metadata.labels?.[LABELS.run] ?? '')?.status;
  return (
    endedBy === 'Cancel' ||
    isReplaced(run) ||
    parent?.cancellation !== undefined ||
    parent?.timedOutAt !== undefined
  );
}

/** Reasons of attempts that may have been written down and never begun. */
const NEVER_BEGUN = ['RunTimedOut', 'RunCancelled', 'StartUnknown'];

function missingObjects({ attempts = [], ...row }: StepStatus, made: readonly Made[]): string[] {
  return [...attempts, row].flatMap(({ job, run, reason = '' }) => {
    const object = job ?? run;
    if (!object) return [];
    const found = made.find(({ kind, name }) => kind !== 'Pod' && name === object.name);
    const isThere = found
      ? object.uid === undefined || object.uid === found.uid
      : NEVER_BEGUN.includes(reason);
    return isThere ? [] : [`${row.name} speaks of ${object.name}, which never was or is another`];
  });
}

function repetitions(same: readonly Made[]): Finding[] {
  const [first, ...others] = same;
  return others.map(({ kind, name, run }) =>
    finding('Twice', run)(`${kind} ${name} was made again, after that with the UID ${first?.uid}`),
  );
}

function madeFindings(evidence: Evidence, made: Made): Finding[] {
  const { kind, name, run, createdAt, deleted } = made;
  const wrong = finding('Wrong', run);
  const intended = evidence.intents.get(name);
  const found: Finding[] = [];
  if (intended === undefined)
    found.push(finding('Twice', run)(`${kind} ${name} is of no attempt of the run`));
  else if (intended > createdAt) found.push(wrong(`${kind} ${name} was made before it was written down`));
  found.push(...missingApprovals(evidence, made).map(wrong));
  if (kind === 'Job' && !deleted) found.push(...closingProblems(evidence, made).map(wrong));
  if (kind === 'Pod' && isAtWork(made)) found.push(wrong(`pod ${name} is still at work`));
  if (deleted && !mayBeDeleted(evidence, made)) {
    found.push(finding('Twice', run)(`${kind} ${name} was deleted for no reason`));
  }
  return found;
}

/** What is made for a step behind an approval was made after enough people had voted for it. */
function missingApprovals({ runs, workflowOf, ballots }: Evidence, made: Made): string[] {
  const run = runs.get(made.run);
  const { steps = [] } = (run && workflowOf(run)) ?? {};
  const before = ancestors(steps, made.step);
  return steps.flatMap(({ name, approval }) => {
    const row = run?.status?.steps?.find((one) => one.name === name);
    if (!approval || !before.has(name) || row?.phase !== 'Succeeded') return [];
    const votes = ballots.of(made.run, name).filter(({ version }) => version < made.createdAt);
    const isApproved = byAttempt(votes).some((of) => decisionOf(approval, of).phase === 'Succeeded');
    return isApproved ? [] : [`${made.kind} ${made.name} was made before ${name} was approved`];
  });
}

/** The status of a Job says, at the end, what came of its attempt. */
function closingProblems({ ends }: Evidence, { name, run, row, attempt, object }: Made): string[] {
  const rows = (ends.get(run) ?? []).map((end) => rowOf(end, row));
  const succeeded = rows.some((one) => one?.phase === 'Succeeded' && one.attempt === attempt);
  const wanted = succeeded ? 'Complete' : 'Failed';
  const conditions = (object as Job).status?.conditions ?? [];
  if (conditions.some(({ type, status }) => type === wanted && status === 'True')) return [];
  return [`Job ${name} is not ${wanted}: ${JSON.stringify(conditions.map(({ type }) => type))}`];
}

/** Whether a Job has been given its final status, or is gone; pods need none. */
export function isClosed({ kind, object, deleted }: Made): boolean {
  if (kind !== 'Job' || deleted) return true;
  const conditions = (object as Job).status?.conditions ?? [];
  return conditions.some(
    ({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True',
  );
}

/** By an accident that was drawn, or to stop a run before a node had the pod. */
function mayBeDeleted({ runs, workflowOf }: Evidence, made: Made): boolean {
  const run = runs.get(made.run);
  const step = run && workflowOf(run)?.steps.find(({ name }) => name === made.step);
  if (step?.accident === 'JobDeleted') return true;
  if (made.kind !== 'Pod') return false;
  const { timedOutAt, cancellation } = run?.status ?? {};
  return step?.accident === 'PodDeleted' || timedOutAt !== undefined || cancellation !== undefined;
}
