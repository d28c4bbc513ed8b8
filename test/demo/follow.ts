import type { WorkflowRun } from '../../src/api/resources.ts';
import type { StepPhase, StepStatus } from '../../src/api/workflow-run.ts';

const MARKS: Record<StepPhase, string> = {
  Pending: '·',
  Running: '▸',
  Succeeded: '✔',
  Failed: '✘',
  Cancelled: '⊘',
  Skipped: '–',
};

/**
 * A run as lines of text: each step with its state, how long it took, and what is known about it.
 *
 * @param now milliseconds since the epoch
 */
function picture({ metadata, spec, status = {} }: WorkflowRun, now: number): string[] {
  const steps = status.steps ?? [];
  const width = Math.max(0, ...steps.map(({ name }) => name.length));
  const end = status.finishedAt ? Date.parse(status.finishedAt) : now;
  const started = Date.parse(status.startedAt ?? metadata.creationTimestamp ?? '');
  return [
    '',
    ...steps.map((step, index) => `  ${String(index + 1).padStart(2)}. ${line(step, width, now)}`),
    `      ${metadata.name}: ${status.phase ?? 'Pending'} ${status.progress ?? ''} after ${seconds(end - started)}, started by ${spec.trigger.type}`,
  ];
}

function line(step: StepStatus, width: number, now: number): string {
  const duration = step.startedAt
    ? seconds((step.finishedAt ? Date.parse(step.finishedAt) : now) - Date.parse(step.startedAt))
    : '';
  const about = step.summary ?? (step.phase === 'Succeeded' ? '' : (step.message ?? step.reason ?? ''));
  return `${MARKS[step.phase]} ${step.name.padEnd(width)}  ${step.phase.padEnd(9)} ${duration.padStart(6)}  ${about}`.trimEnd();
}

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)}s`;

/** Draws a run again and again: over itself in a terminal, elsewhere a line for each change. */
export function createFollower(out: NodeJS.WriteStream) {
  let drawn: string[] = [];
  const told = new Map<string, string>();
  return (run: WorkflowRun, now: number) => {
    if (out.isTTY) {
      if (drawn.length > 0) out.write(`\x1b[${drawn.length}A\x1b[0J`);
      drawn = picture(run, now);
      out.write(`${drawn.join('\n')}\n`);
      return;
    }
    for (const step of run.status?.steps ?? []) {
      if (step.phase === 'Pending' || told.get(step.name) === step.phase) continue;
      told.set(step.name, step.phase);
      out.write(`  ${line(step, 12, now)}\n`);
    }
  };
}
