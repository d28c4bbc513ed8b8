import { parseDuration } from '../api/common.ts';
import type { Retention } from '../api/workflow.ts';
import type { RunView } from './views.ts';

const KEEP = 100;

/** Which finished runs have had their time. */
export interface Expiry {
  runs: RunView[];
  /** When the next one has, in milliseconds since the epoch. */
  nextAt?: number;
}

/**
 * The finished runs of one workflow that its retention no longer keeps: all but the latest so many that succeeded and
 * the latest so many that did not, and those older than the ttl.
 *
 * @param isNeeded whether something else still needs the run, which is kept then, and takes a place
 * @param now milliseconds since the epoch
 */
export function expiredRuns(
  runs: readonly RunView[],
  retention: Retention = {},
  isNeeded: (run: RunView) => boolean,
  now: number,
): Expiry {
  const finished = finishedRuns(runs);
  const succeeded = finished.filter((run) => run.status.phase === 'Succeeded');
  const failed = finished.filter((run) => run.status.phase !== 'Succeeded');
  const surplus = [
    ...succeeded.slice(retention.succeeded ?? KEEP),
    ...failed.slice(retention.failed ?? KEEP),
  ];
  const old = olderThan(finished, retention.ttl, now);
  return { ...old, runs: [...new Set([...surplus, ...old.runs])].filter((run) => !isNeeded(run)) };
}

/**
 * The finished runs whose Jobs and pods are no longer kept.
 *
 * @param hasJobs whether there is anything left of the run
 * @param now milliseconds since the epoch
 */
export function expiredPods(
  runs: readonly RunView[],
  { podTTL }: Retention = {},
  hasJobs: (run: RunView) => boolean,
  now: number,
): Expiry {
  return olderThan(podTTL === undefined ? [] : finishedRuns(runs).filter(hasJobs), podTTL, now);
}

/** The latest first. */
const finishedRuns = (runs: readonly RunView[]): RunView[] =>
  runs.filter((run) => run.status.finishedAt !== undefined && run.deletedAt === undefined).sort(latestFirst);

function olderThan(finished: readonly RunView[], span: string | undefined, now: number): Expiry {
  if (span === undefined) return { runs: [] };
  const ttl = parseDuration(span);
  const next = finished.findLast((run) => finishedAt(run) + ttl > now);
  return {
    runs: finished.filter((run) => finishedAt(run) + ttl <= now),
    ...(next ? { nextAt: finishedAt(next) + ttl } : {}),
  };
}

const finishedAt = (run: RunView) => Date.parse(run.status.finishedAt ?? '');
const latestFirst = (a: RunView, b: RunView) => finishedAt(b) - finishedAt(a) || b.createdAt - a.createdAt;
