import type { WorkflowRun } from '../../src/api/resources.ts';
import type { StepStatus } from '../../src/api/workflow-run.ts';

/** The end of a run as a table: what each step did, how long it took and what came of it. */
export function record({ spec, status = {} }: WorkflowRun): string {
  const rows = (status.steps ?? []).map((step, index) => [
    `${index + 1}. ${titleOf(step.name)}`,
    wordOf(step),
    spanOf(step),
    step.summary ?? step.message ?? '',
  ]);
  const widths = [0, 1, 2].map((column) => Math.max(0, ...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  const { branch, commit = '' } = spec.trigger.git ?? {};
  const trigger = branch === undefined ? spec.trigger.type : `Git Push (${branch} @ ${commit.slice(0, 7)})`;
  const title = (status.steps ?? []).map(({ name }) => titleOf(name)).join(' -> ');
  return [title, '', ...lines, `Total ${status.duration}, triggered by ${trigger}`].join('\n');
}

const titleOf = (name: string) => name.slice(0, 1).toUpperCase() + name.slice(1);

/** The reason of an approval says more than that the step succeeded. */
const wordOf = ({ phase, reason, type }: StepStatus) =>
  (type === 'approval' ? reason : phase === 'Succeeded' ? 'Completed' : phase) ?? phase;

function spanOf({ startedAt, finishedAt }: StepStatus): string {
  if (startedAt === undefined || finishedAt === undefined) return '';
  const seconds = Math.max(1, Math.round((Date.parse(finishedAt) - Date.parse(startedAt)) / 1000));
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m ${seconds % 60}s`;
}
