import type { StepStatus } from '../../src/api/workflow-run.ts';
import { decisionOf } from './approval-rules.ts';
import type { DrawnStep, Expected } from './drawn.ts';
import { type Ended, isTrue } from './ended.ts';
import { objectsOf } from './journal.ts';
import { attemptsBefore } from './rounds.ts';

/** One way in which a row may end. */
export interface End {
  phase: StepStatus['phase'];
  reasons: readonly string[];
  /** How many attempts it had; absent: any number. */
  attempts?: number;
}

export const skipped = (reason: string): End => ({ phase: 'Skipped', reasons: [reason], attempts: 0 });

/** What is wrong with a row, of which all right ends are given. */
export function rowProblem(row: StepStatus, right: readonly End[], outputs: object = {}): string | undefined {
  if (!right.some((end) => matches(row, end))) {
    const ends = right.map((end) => `${end.phase}/${end.reasons.join('|')}/${end.attempts ?? 'any'}`);
    return `${row.name} ended as ${row.phase}/${row.reason}/${row.attempt ?? 0}, and not as ${ends.join(' or ')}`;
  }
  const wanted = JSON.stringify(row.phase === 'Succeeded' ? outputs : {});
  const found = JSON.stringify(row.outputs ?? {});
  return found === wanted ? undefined : `${row.name} has the outputs ${found}, and not ${wanted}`;
}

const matches = (row: StepStatus, { phase, reasons, attempts }: End): boolean =>
  row.phase === phase &&
  reasons.includes(row.reason ?? '') &&
  (attempts === undefined || attempts === (row.attempt ?? 0));

/** How the row of a step ends that its branch and its `runIf` let in. */
export function enteredEnds(step: DrawnStep, row: StepStatus, ended: Ended): End[] {
  if (step.gate.kind === 'Error') return [{ phase: 'Failed', reasons: ['ExpressionError'], attempts: 0 }];
  if (!isTrue(step.gate, ended)) return [skipped('WhenFalse')];
  return endsOf(expectedOf(step, row, ended), row, ended);
}

/**
 * What comes of instances, or of a run that was started, follows from those; they are judged on their own. What comes of
 * an approval follows from the votes.
 */
export function expectedOf(step: DrawnStep, row: StepStatus, ended: Ended): Expected {
  const { expected } = step;
  if (step.decides) return expected;
  if (step.approval) return decisionOf(step.approval, ended.votes(step.name));
  if (instanceNames(step).some((name) => ended.rows.get(name)?.phase === 'Failed')) {
    return { phase: 'Failed', reason: 'InstancesFailed', attempts: 0 };
  }
  const child = row.run && ended.child(row.run.name);
  if (!child) return expected;
  const { phase = 'Pending' } = child.status ?? {};
  return phase === 'Succeeded' ? expected : { phase: 'Failed', reason: `Child${phase}`, attempts: 1 };
}

/** What ends well at its last outcome needs only that one when it is done over. */
function attemptsOf({ phase, attempts }: Expected, { name }: StepStatus, { resumed }: Ended): number {
  if (phase !== 'Succeeded') return attempts;
  return Math.min(attempts, Math.max(1, attempts - attemptsBefore(name, resumed)));
}

function endsOf(expected: Expected, row: StepStatus, ended: Ended): End[] {
  const { phase, reason, interruptible } = expected;
  const attempts = attemptsOf(expected, row, ended);
  const ends: End[] = [{ phase, reasons: [reason], attempts }];
  if (interruptible) ends.push({ phase: 'Failed', reasons: ['Interrupted'], attempts });
  if (objectsOf(row).some(({ name }) => ended.forgotten.has(name))) {
    ends.push({ phase: 'Failed', reasons: ['StartUnknown'] }, { phase, reasons: [reason] });
  }
  return ends;
}

/**
 * How a row may end besides, when the run is ended at any time. A node whose clock differs from the operator's may seem
 * to have ended the pod before that: then it is the pod's own reason.
 */
export function cutShort({ earlier }: Expected, halted: Ended['halted']): End[] {
  const reasons = [
    'DeadlineExceeded',
    'InstancesFailed',
    'ChildCancelled',
    'Stopped',
    ...(earlier ? [earlier] : []),
  ];
  const own: End = { phase: 'Failed', reasons };
  switch (halted) {
    case undefined:
      return [];
    case 'Cancelled':
      return [skipped('RunCancelled'), own, { phase: 'Cancelled', reasons: ['RunCancelled'] }];
    case 'TimedOut':
      return [skipped('RunTimedOut'), own, { phase: 'Failed', reasons: ['RunTimedOut'] }];
    default:
      return halted satisfies never;
  }
}

export const instanceNames = ({ name, instances }: DrawnStep): string[] =>
  (instances?.keys ?? []).map((key) => `${name}[${key}]`);

/** Of a step that was let in, every item has its row; of another, none has. */
export function instanceProblems(step: DrawnStep, parent: StepStatus, ended: Ended): string[] {
  const names = instanceNames(step);
  const rows = names.map((name) => ended.rows.get(name));
  if (parent.phase === 'Skipped' || parent.reason === 'ExpressionError') {
    // Those of a round before are left out with it.
    const isLeft = (row: StepStatus) => row.phase === 'Skipped' && ended.resumed?.rows.has(row.name);
    const strange = rows.some((row) => row && !isLeft(row));
    return strange ? [`${step.name} was not let in, and has instances`] : [];
  }
  const mayBeLeftOut = step.instances?.failFast && rows.some((row) => row?.phase === 'Failed');
  return names.flatMap((name, index) => {
    const row = rows[index];
    const expected = step.instances?.expected[index];
    if (!row || !expected) return [`instance ${name} is missing`];
    const left = mayBeLeftOut ? [skipped('InstanceFailed')] : [];
    const cut = step.isFinal ? [] : cutShort(expected, ended.halted);
    return rowProblem(row, [...endsOf(expected, row, ended), ...left, ...cut], expected.outputs) ?? [];
  });
}
