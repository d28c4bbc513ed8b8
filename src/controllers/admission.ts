import { isDeepStrictEqual } from 'node:util';
import type { ConcurrencyPolicy } from '../api/concurrency.ts';
import type { WorkflowRunStatus } from '../api/workflow-run.ts';
import {
  blockersOf,
  type Candidate,
  type Contender,
  compareTurns,
  isDeadlock,
  judge,
  type Limit,
  type LimitKind,
  type Refusal,
  replacerOf,
  stageOf,
  startedRun,
  turnedAwayRun,
  type Verdict,
  waitingRun,
} from '../engine/concurrency.ts';
import { timeOf } from '../engine/text.ts';
import { ApiError, isConflict } from '../kube/errors.ts';
import { keyOf } from '../kube/store.ts';
import type { WorkQueue } from '../kube/work-queue.ts';
import { createClaims } from './claims.ts';
import type { Cluster } from './cluster.ts';
import { arrivalsOf, contenderOf, LIMITS, lineOf, scopeOf } from './contention.ts';
import type { RunView } from './views.ts';
import { createWakeUp } from './wake-up.ts';

/** How many runs may be active, those apart that steps of other runs have started. Undefined is no limit. */
export interface RunLimits {
  perNamespace?: number | undefined;
  cluster?: number | undefined;
}

/** What becomes of a run that wants to start, with its next status. */
export type Entry =
  | { type: 'Start' | 'Wait'; status: WorkflowRunStatus }
  | { type: 'Refuse'; status: WorkflowRunStatus; message: string };

/** A run that wants to start, and how to tell whose key is the same before it is accepted. */
export interface Applicant extends Candidate {
  keyOf(other: RunView): string | undefined;
}

/** Lets runs start one after the other, as the concurrency of their workflows and the limits have it. */
export interface Admission {
  /** Whether a run of these terms starts without being asked about. */
  isFree(run: RunView, concurrency: object | undefined): boolean;
  /**
   * Judges whether a run may start. What comes of it counts for all others from now on, although `write` has yet to
   * make it known.
   */
  admit<T>(run: RunView, candidate: Applicant, write: (entry: Entry) => Promise<T>): Promise<T>;
  /** Name of the newer run that takes the place of this one. */
  replacerOf(run: RunView): string | undefined;
}

export interface AdmissionOptions {
  cluster: Pick<Cluster, 'runs'>;
  limits: RunLimits;
  queue: Pick<WorkQueue, 'add' | 'addAfter'>;
  /** Milliseconds since the epoch. */
  now: () => number;
}

/**
 * How long a run that was just created, or found at the start, is waited for by those created after it. Whatever
 * keeps it from being accepted by then must not hold them up.
 */
const ARRIVAL_MS = 5000;

/** Policies under which runs wait for those before them. */
const WAITING = new Set<ConcurrencyPolicy>(['Queue', 'Replace']);

export function createAdmission({ cluster, limits, queue, now }: AdmissionOptions): Admission {
  const { store } = cluster.runs;
  const claims = createClaims(store);
  const { find, lookUp } = claims;
  const wakeUp = createWakeUp(find, (run) => queue.add(keyOf(run)));
  let begunAt: number | undefined;

  function isArriving({ createdAt, deletedAt }: RunView): boolean {
    begunAt ??= now();
    return deletedAt === undefined && now() - Math.max(createdAt, begunAt) < ARRIVAL_MS;
  }

  const rivalsOf = (run: RunView, key: string): Contender[] =>
    find('line', lineOf(run, key))
      .filter(({ uid }) => uid !== run.uid)
      .map(contenderOf);

  /** Runs that will have the same key once they are accepted, as far as can be told. */
  function arrivalsFor(run: RunView, { place, keyOf: keyOfRun }: Applicant): Contender[] {
    const others = find('line', arrivalsOf(run)).filter(
      (other) => other.uid !== run.uid && isArriving(other),
    );
    return others.filter((other) => keyOfRun(other) === place.key).map(contenderOf);
  }

  function limitsOf(run: RunView, me: Contender, limit: number | undefined): Limit[] {
    if (run.owner) return [];
    const most = { WorkflowLimit: limit, NamespaceLimit: limits.perNamespace, ClusterLimit: limits.cluster };
    return LIMITS.flatMap((kind) => limitOf(run, me, kind, most[kind]) ?? []);
  }

  function limitOf(
    run: RunView,
    me: Contender,
    kind: LimitKind,
    most: number | undefined,
  ): Limit | undefined {
    if (most === undefined) return undefined;
    const scope = scopeOf(kind, run);
    const active = find('active', scope).length;
    // Who is before whom matters only where there is a place to be had.
    const ahead = active < most ? aheadOf(run, me, scope) : 0;
    return { kind, most, active, ahead };
  }

  function aheadOf({ uid }: RunView, me: Contender, scope: string): number {
    const others = find('waitsFor', scope).filter((other) => other.uid !== uid);
    return others.map(contenderOf).filter((other) => !other.leaving && compareTurns(other, me) < 0).length;
  }

  function verdictOn(run: RunView, candidate: Applicant): Verdict {
    const me = meOf(run, candidate);
    const arrivals = WAITING.has(me.policy) ? arrivalsFor(run, candidate) : [];
    const rivals = [...rivalsOf(run, candidate.place.key), ...arrivals];
    const replacer = replacerOf(me, rivals);
    if (replacer) return replaced(replacer.name);
    const verdict = judge(me, rivals, limitsOf(run, me, candidate.limit));
    if (verdict.type !== 'Wait') return verdict;
    const blockers = blockersOf(me, rivals);
    if (run.owner && isDeadlock(names(blockers), ancestorsOf(run), (name) => waitsFor(run, name))) {
      return deadlock(verdict.blockedBy.run);
    }
    if (blockers.some(({ stage }) => stage === 'New')) queue.addAfter(keyOf(run), ARRIVAL_MS);
    return verdict;
  }

  /** The runs that wait for this one to end. */
  function ancestorsOf(run: RunView): Set<string> {
    const found = new Set<string>();
    for (let { owner } = run; owner && !found.has(owner.name); ) {
      const above = lookUp(keyOf({ ...run, name: owner.name }));
      if (above?.uid !== owner.uid) break;
      found.add(owner.name);
      owner = above.owner;
    }
    return found;
  }

  function waitsFor(run: RunView, name: string): string[] {
    const other = lookUp(keyOf({ ...run, name }));
    const blocker = other?.status.queue?.blockedBy?.run;
    if (!other || blocker !== undefined) return blocker === undefined ? [] : [blocker];
    return names(store.byIndex('owner', other.uid).filter(({ status }) => stageOf(status) !== 'Ended'));
  }

  function entryOf(run: RunView, candidate: Applicant): Entry {
    const { status, place, declared } = candidate;
    const verdict = verdictOn(run, candidate);
    switch (verdict.type) {
      case 'Start': {
        const kept = declared || status.queue ? place : undefined;
        return { type: 'Start', status: startedRun(status, kept, now()) };
      }
      case 'Wait':
        if (isSame(verdict, run.status)) return { type: 'Wait', status: run.status };
        return { type: 'Wait', status: waitingRun(status, place, verdict, now()) };
      case 'Refuse': {
        const { message } = verdict;
        const asked = { ...run.status, queue: place, ...cancellationBy(verdict, now()) };
        return { type: 'Refuse', status: turnedAwayRun(asked, verdict, now()), message };
      }
      default:
        return verdict satisfies never;
    }
  }

  store.subscribe((change) => {
    wakeUp(
      change.type === 'Added' ? undefined : change.previous,
      change.type === 'Deleted' ? undefined : change.object,
    );
  });

  return {
    isFree: (run, concurrency) =>
      concurrency === undefined &&
      (run.owner !== undefined || (limits.perNamespace === undefined && limits.cluster === undefined)),

    async admit(run, candidate, write) {
      // What may have been written without an answer is written once more: nothing else is known to be true.
      const entry = claims.of(run) ?? entryOf(run, candidate);
      claims.make(run, entry);
      try {
        const written = await write(entry);
        claims.drop(run.uid);
        return written;
      } catch (error) {
        // Otherwise it may have been written all the same: the next version of the run tells.
        if (isRefused(error)) wakeUp(claims.drop(run.uid), store.get(keyOf(run)));
        throw error;
      }
    },

    replacerOf(run) {
      const key = run.status.queue?.key;
      if (key === undefined) return undefined;
      return replacerOf(contenderOf(run), rivalsOf(run, key))?.name;
    },
  };
}

function meOf(run: RunView, { status, place }: Candidate): Contender {
  const stage = run.status.phase === 'Queued' ? 'Waiting' : 'New';
  return { ...contenderOf({ ...run, status: { ...status, queue: place } }), stage, leaving: false };
}

const names = (runs: readonly { name: string }[]): string[] => runs.map(({ name }) => name);

const REPLACED = 'Replaced';
const replaced = (by: string): Refusal => ({
  type: 'Refuse',
  reason: REPLACED,
  message: `Replaced by run ${by}.`,
});

/** Whoever is replaced was cancelled; whoever is refused was not even let in. */
function cancellationBy({ reason, message }: Refusal, now: number): Pick<WorkflowRunStatus, 'cancellation'> {
  if (reason !== REPLACED) return {};
  return { cancellation: { requestedAt: timeOf(now), reason, message } };
}

function deadlock(blocker = ''): Refusal {
  return {
    type: 'Refuse',
    reason: 'ConcurrencyDeadlock',
    message: `Run ${blocker} has the same concurrency key and waits itself for this run to end: give one of the two workflows another concurrency.key.`,
  };
}

const isSame = (
  { blockedBy }: Extract<Verdict, { type: 'Wait' }>,
  { phase, queue }: WorkflowRunStatus,
): boolean => phase === 'Queued' && isDeepStrictEqual(blockedBy, queue?.blockedBy);

const isRefused = (error: unknown): boolean =>
  error instanceof ApiError && error.status >= 400 && error.status < 500 && !isConflict(error);
