import type { StepStatus, WorkflowRunStatus } from '../api/workflow-run.ts';
import type { Graph, Node } from './model.ts';
import { isActive, pendingStep } from './summary.ts';
import { timeOf } from './text.ts';

/**
 * The status of an active run with what people have broken in it by hand put right, or the same object when nothing
 * is. A step whose row lost what tells of its attempt is begun again under the name that it had, so that what was
 * started is found.
 *
 * @param now milliseconds since the epoch
 */
export function mendStatus(graph: Graph, status: WorkflowRunStatus, now: number): WorkflowRunStatus {
  const rows = rowsOf(graph, status.steps ?? []);
  const known = status.steps ?? [];
  const isSame = rows.length === known.length && rows.every((row, index) => row === known[index]);
  if (isSame && isActive(status) && status.startedAt !== undefined) return status;
  return {
    ...status,
    phase: 'Running',
    startedAt: status.startedAt ?? timeOf(now),
    ...(isSame ? {} : { steps: rows }),
  };
}

/** A row for each step, followed by those of its instances; what belongs to no step is left out. */
function rowsOf(graph: Graph, rows: readonly StepStatus[]): StepStatus[] {
  const byName = new Map(rows.map((row) => [row.name, row]));
  const instances = Map.groupBy(byName.values(), ({ name }) => name.slice(0, Math.max(0, name.indexOf('['))));
  return graph.nodes.flatMap((node) => {
    const own = byName.get(node.name) ?? pendingStep(node);
    if (!node.forEach) return [mendRow(node, own)];
    const parts = (instances.get(node.name) ?? []).map((part) => mendRow(node, part));
    // Without instances it is taken apart anew.
    return [own.phase === 'Running' && parts.length === 0 ? pendingStep(node) : own, ...parts];
  });
}

function mendRow(node: Node, row: StepStatus): StepStatus {
  if (row.type === node.type && (row.phase !== 'Running' || isWhole(node, row))) return row;
  const { attempt = 1, attempts } = row;
  return {
    ...pendingStep({ ...node, name: row.name }),
    ...(attempt > 1 ? { attempt: attempt - 1 } : {}),
    ...(attempts ? { attempts } : {}),
  };
}

/** Whether the row of a running step says which attempt it is at. */
function isWhole({ kind }: Node, { attempt, startedAt, retryAt, job, run }: StepStatus): boolean {
  if (attempt === undefined || startedAt === undefined) return false;
  if (retryAt !== undefined) return true;
  switch (kind) {
    case 'Job':
      return job !== undefined;
    case 'Run':
      return run !== undefined;
    case 'Call':
    case 'Approval':
    case 'Inline':
      return true;
    default:
      return kind satisfies never;
  }
}
