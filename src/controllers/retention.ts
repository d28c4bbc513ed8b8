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
 * @param now milliseconds since the epoch
 */
export function expiredRuns(runs: readonly RunView[], retention: Retention = {}, now: number): Expiry {
  const finished = runs
    .filter((run) => run.status.finishedAt !== undefined && !run.deleting)
    .sort(latestFirst);
  const succeeded = finished.filter((run) => run.status.phase === 'Succeeded');
  const failed = finished.filter((run) => run.status.phase !== 'Succeeded');
  const surplus = [
    ...succeeded.slice(retention.succeeded ?? KEEP),
    ...failed.slice(retention.failed ?? KEEP),
  ];
  if (retention.ttl === undefined) return { runs: surplus };

  const ttl = parseDuration(retention.ttl);
  const old = finished.filter((run) => finishedAt(run) + ttl <= now);
  const next = finished.findLast((run) => finishedAt(run) + ttl > now);
  return { runs: [...new Set([...surplus, ...old])], ...(next ? { nextAt: finishedAt(next) + ttl } : {}) };
}

const finishedAt = (run: RunView) => Date.parse(run.status.finishedAt ?? '');
const latestFirst = (a: RunView, b: RunView) => finishedAt(b) - finishedAt(a) || b.createdAt - a.createdAt;
