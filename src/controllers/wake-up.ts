import { isDeepStrictEqual } from 'node:util';
import { compareTurns, stageOf } from '../engine/concurrency.ts';
import type { Claims } from './claims.ts';
import { contenderOf, contentionIndexers, isLimit, lineOf, scopeOf } from './contention.ts';
import type { RunView } from './views.ts';

type Side = RunView | undefined;

/**
 * Wakes those that a change of a run concerns: whoever waits for this very run, the next that waits for a place that
 * it leaves, and those whose place it takes. Each costs as much as there are that wait for the same.
 */
export function createWakeUp(
  find: Claims['find'],
  wake: (run: RunView) => void,
): (before: Side, after: Side) => void {
  /** Whoever starts then, or comes to wait for something else, wakes the next. */
  function wakeNext(scope: string): void {
    const waiting = find('waitsFor', scope).map((run) => ({ run, turn: contenderOf(run) }));
    const candidates = waiting.filter(({ turn }) => !turn.leaving);
    const [first] = candidates.sort((a, b) => compareTurns(a.turn, b.turn));
    if (first) wake(first.run);
  }

  return (before, after) => {
    const run = after ?? before;
    if (!run || (before && after && isDeepStrictEqual(standingOf(before), standingOf(after)))) return;
    find('waitsFor', scopeOf('Run', run)).forEach(wake);
    leftPlaces(before, after).forEach(wakeNext);
    if (!after || !isReplacing(before, after)) return;
    const line = find('line', lineOf(after, after.status.queue?.key ?? ''));
    line.filter(({ uid }) => uid !== after.uid).forEach(wake);
  };
}

/** What of a run matters to others. */
function standingOf(run: RunView): unknown[] {
  const { queue } = run.status;
  return [stageOf(run.status), contenderOf(run).leaving, queue?.key, queue?.blockedBy?.kind];
}

/** Limits that the run counted for or waited for, and does no more. */
function leftPlaces(before: Side, after: Side): string[] {
  const left = (index: 'active' | 'waitsFor') => {
    const still = after ? contentionIndexers[index](after) : [];
    return (before ? contentionIndexers[index](before) : []).filter((scope) => !still.includes(scope));
  };
  return [...new Set([...left('active'), ...left('waitsFor')])].filter(isLimit);
}

/** Whether the run has just been let in to take the place of those before it. */
function isReplacing(before: Side, { status }: RunView): boolean {
  const stage = before ? stageOf(before.status) : 'New';
  return status.queue?.policy === 'Replace' && (stage === 'New' || stage === 'Ended');
}
