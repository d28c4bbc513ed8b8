import type { ConcurrencyPolicy } from '../api/concurrency.ts';
import type { QueueStatus, WorkflowRunStatus } from '../api/workflow-run.ts';
import type { Values } from './expression.ts';
import { hash64 } from './hash.ts';
import type { Graph, RunContext } from './model.ts';
import { finish, hasEnded, succeeded } from './summary.ts';
import { renderTemplate } from './template.ts';
import { cut, MAX_MESSAGE, timeOf } from './text.ts';

/** Longest key, as the schema of the status has it. */
const MAX_KEY = 512;

/** Where a run stands for those that compete with it. */
export type Stage = 'New' | 'Waiting' | 'Active' | 'Ended';

export function stageOf({ phase, finishedAt }: WorkflowRunStatus): Stage {
  if (finishedAt !== undefined) return 'Ended';
  if (phase === undefined) return 'New';
  return phase === 'Queued' || phase === 'Pending' ? 'Waiting' : 'Active';
}

/** A run as those see it that have the same key. */
export interface Contender {
  name: string;
  policy: ConcurrencyPolicy;
  stage: Exclude<Stage, 'Ended'>;
  /** When it asked to run: when it was created or continued last, in milliseconds since the epoch. */
  askedAt: number;
  /** When it was let into the line, which tells those apart that were created in the same second. */
  since: string;
  /** Since when it is active. */
  activeSince?: string;
  /** Started by a step of another run, which waits for it and keeps its own place meanwhile. */
  child: boolean;
  /** Was cancelled or is being deleted. */
  leaving: boolean;
}

export type LimitKind = 'WorkflowLimit' | 'NamespaceLimit' | 'ClusterLimit';

/** A limit on active runs that a run falls under. */
export interface Limit {
  kind: LimitKind;
  /** How many may be active. */
  most: number;
  active: number;
  /** How many wait for the same and come before the run. */
  ahead: number;
}

type BlockedBy = NonNullable<QueueStatus['blockedBy']>;

/** Whether a run may start. */
export type Verdict =
  | { type: 'Start' }
  | { type: 'Wait'; blockedBy: BlockedBy; reason: string; message: string }
  | Refusal;

/** Why a run is not let in. */
export interface Refusal {
  type: 'Refuse';
  reason: string;
  message: string;
}

/**
 * Whether a run may start beside the others of its key. Runs wait in the order in which they were asked for; what
 * steps of other runs have started goes first, since those hold what they hold until it has ended.
 *
 * @param others the unfinished runs of the same key, and those that are not accepted yet and may come to have it
 * @param limits from the narrowest to the widest
 */
export function judge(me: Contender, others: readonly Contender[], limits: readonly Limit[]): Verdict {
  const rival = me.policy === 'Forbid' && me.stage === 'New' ? rivalOf(others) : undefined;
  if (rival) {
    const message = `Run ${rival.name} of the same concurrency key is ${stateOf(rival)}: try again when it has ended.`;
    return { type: 'Refuse', reason: 'ConcurrencyForbid', message };
  }
  const before = lastOf(blockersOf(me, others));
  if (before) return waitForRun(before);
  const full = limits.find(({ active, ahead, most }) => active + ahead >= most);
  return full ? waitForPlace(full) : { type: 'Start' };
}

/** The runs that this one has to wait for. */
export function blockersOf(me: Contender, others: readonly Contender[]): Contender[] {
  if (me.policy === 'Allow') return [];
  return others.filter(
    (other) => other.stage === 'Active' || (isInLine(me, other) && compareTurns(other, me) < 0),
  );
}

/** The one directly before a run: the last of those in line, or of those that are active where nobody is. */
function lastOf(blockers: readonly Contender[]): Contender | undefined {
  const inLine = blockers.filter(({ stage }) => stage !== 'Active');
  const last = (best: Contender | undefined, one: Contender) =>
    best && compareTurns(best, one) > 0 ? best : one;
  return (inLine.length > 0 ? inLine : blockers).reduce(last, undefined);
}

/** A run that is not accepted yet may turn out to have another key, and is nobody's rival. */
const isInLine = (me: Contender, { stage, leaving }: Contender): boolean =>
  !leaving && (stage === 'Waiting' || (stage === 'New' && me.policy !== 'Forbid'));

function rivalOf(others: readonly Contender[]): Contender | undefined {
  const waiting = others.filter(({ stage, leaving }) => stage === 'Waiting' && !leaving);
  return others.find(({ stage }) => stage === 'Active') ?? waiting.toSorted(compareTurns)[0];
}

/** Orders runs by whose turn comes first. */
export function compareTurns(a: Contender, b: Contender): number {
  if (a.child !== b.child) return a.child ? -1 : 1;
  return a.askedAt - b.askedAt || (a.name < b.name ? -1 : 1);
}

/** The newest run that takes the place of this one, if any does. */
export function replacerOf(me: Contender, others: readonly Contender[]): Contender | undefined {
  const newer = others.filter((other) => replaces(other, me));
  return newer.reduce<Contender | undefined>(
    (best, one) => (best && isNewer(best, one) ? best : one),
    undefined,
  );
}

/** Whoever must not be replaced, whatever comes after it, is told apart here. */
function replaces(other: Contender, me: Contender): boolean {
  return other.policy === 'Replace' && other.stage !== 'New' && !other.leaving && isNewer(other, me);
}

function isNewer(a: Contender, b: Contender): boolean {
  if (a.askedAt !== b.askedAt) return a.askedAt > b.askedAt;
  return a.since === b.since ? a.name > b.name : a.since > b.since;
}

/**
 * Whether waiting for some runs would never end, since one of them waits, itself or through others, for one of those
 * that wait for this run.
 *
 * @param waitsFor the runs that a run waits for
 */
export function isDeadlock(
  blockers: readonly string[],
  ancestors: ReadonlySet<string>,
  waitsFor: (run: string) => readonly string[],
): boolean {
  const seen = new Set(blockers);
  for (const run of seen) {
    if (ancestors.has(run)) return true;
    for (const next of waitsFor(run)) seen.add(next);
  }
  return false;
}

const stateOf = ({ stage, activeSince, askedAt }: Contender): string =>
  stage === 'Active' ? `active since ${activeSince}` : `waiting since ${timeOf(askedAt)}`;

function waitForRun(before: Contender): Verdict {
  const since = before.stage === 'Active' ? before.activeSince : timeOf(before.askedAt);
  return {
    type: 'Wait',
    blockedBy: { kind: 'Run', run: before.name, ...(since === undefined ? {} : { since }) },
    reason: 'WaitsForRun',
    message: `Waits for run ${before.name}, ${stateOf(before)}.`,
  };
}

const OF: Record<LimitKind, string> = {
  WorkflowLimit: 'this workflow',
  NamespaceLimit: 'this namespace',
  ClusterLimit: 'the cluster',
};

function waitForPlace({ kind, most, active, ahead }: Limit): Verdict {
  const others = active < most ? `, and ${ahead} that waited before it start first` : '';
  const message = `${active} of ${most} runs of ${OF[kind]} are active${others}.`;
  return { type: 'Wait', blockedBy: { kind, limit: most }, reason: kind, message };
}

/** The key of a run, from what its workflow says; the error is a sentence. */
export function keyFor(graph: Graph, run: RunContext): { key: string } | { error: string } {
  const template = graph.concurrency?.key;
  if (!template) return { key: defaultKey(run.workflow) };
  const rendered = renderTemplate(template, valuesOf(run));
  if ('error' in rendered) return { error: `spec.concurrency.key: ${rendered.error}` };
  if (rendered.text === '') return { error: 'spec.concurrency.key comes to an empty text for this run' };
  return { key: shortened(`key/${rendered.text}`) };
}

/** The key of runs whose workflow names none. */
export const defaultKey = (workflow: string): string => `workflow/${workflow}`;

function valuesOf({ params, trigger, workflow, name, namespace, uid }: RunContext): Values {
  const step = () => ({ phase: 'Pending', summary: '', outputs: {} });
  return { params, trigger, workflow: { name: workflow }, run: { name, namespace, uid }, step };
}

function shortened(key: string): string {
  if (key.length <= MAX_KEY) return key;
  const hash = hash64(key).toString(36);
  return `${key.slice(0, MAX_KEY - hash.length - 1).toWellFormed()}-${hash}`;
}

/** What is kept of how a run relates to others. */
export type Place = Pick<QueueStatus, 'key' | 'policy' | 'since'>;

/** A run that is accepted, or to be continued, and wants to start. */
export interface Candidate {
  status: WorkflowRunStatus;
  place: Place;
  /** Whether its workflow says anything of concurrency. */
  declared: boolean;
  /** How many runs of its workflow may be active. */
  limit?: number | undefined;
}

/** The status of a run that waits for its turn. */
export function waitingRun(
  status: WorkflowRunStatus,
  place: Place,
  { blockedBy, reason, message }: Extract<Verdict, { type: 'Wait' }>,
  now: number,
): WorkflowRunStatus {
  const { startedAt, ...rest } = status;
  const short = cut(message, MAX_MESSAGE);
  return {
    ...rest,
    // A run that was continued did start once.
    ...(status.round === undefined || startedAt === undefined ? {} : { startedAt }),
    phase: 'Queued',
    reason,
    message: short,
    queue: { ...place, blockedBy },
    conditions: [succeeded('Unknown', 'Queued', short, now)],
  };
}

/** The status of a run whose turn it is. Its timeout counts from now. */
export function startedRun(
  status: WorkflowRunStatus,
  place: Place | undefined,
  now: number,
): WorkflowRunStatus {
  const { reason: _reason, message: _message, queue: _queue, ...rest } = status;
  return {
    ...rest,
    phase: 'Running',
    startedAt: status.startedAt ?? timeOf(now),
    ...(status.round === undefined ? {} : { resumedAt: timeOf(now) }),
    ...(place ? { queue: place } : {}),
    conditions: [succeeded('Unknown', 'Running', 'The run has not ended.', now)],
  };
}

/** The status of a run that waits for nothing any more. */
export function leaveLine(status: WorkflowRunStatus): WorkflowRunStatus {
  if (!status.queue?.blockedBy) return status;
  const { blockedBy: _blockedBy, ...queue } = status.queue;
  return { ...status, queue };
}

/** The status of a run that is not let in. */
export function turnedAwayRun(
  status: WorkflowRunStatus,
  { reason, message }: Refusal,
  now: number,
): WorkflowRunStatus {
  const skipped = { phase: 'Skipped', reason, finishedAt: timeOf(now) } as const;
  const steps = status.steps?.map((step) => (hasEnded(step) ? step : { ...step, ...skipped }));
  return finish({ ...status, ...(steps ? { steps } : {}) }, { phase: 'Cancelled', reason, message }, now);
}
