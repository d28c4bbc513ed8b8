import type { WorkflowRun } from '../../src/api/resources.ts';
import type { AuditEntry } from '../kit/audit.ts';

/**
 * Milliseconds from the end of each step's pod (its last status write had been answered) to the creation of the next
 * step's Job (its request had been received), in runs whose steps follow one another.
 */
export function gaps(entries: readonly AuditEntry[], runs: readonly WorkflowRun[]): number[] {
  return runs.flatMap((run) => {
    const jobs = (run.status?.steps ?? []).map((step) => step.job?.name ?? '');
    return jobs.slice(1).map((job, index) => gapBetween(entries, jobs[index] ?? '', job));
  });
}

function gapBetween(entries: readonly AuditEntry[], previous: string, next: string): number {
  const creation = entries.find(
    ({ verb, resource, name }) => verb === 'create' && resource === 'jobs' && name === next,
  );
  const end = entries.findLast(
    ({ resource, name, answeredAt }) =>
      resource === 'pods/status' && name === previous && answeredAt <= (creation?.receivedAt ?? 0),
  );
  if (!creation || !end)
    throw new Error(`the audit log does not show the end of ${previous} before the start of ${next}`);
  return creation.receivedAt - end.answeredAt;
}

/** The value below which `percent` of the values lie, by nearest rank. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? Number.NaN;
}
