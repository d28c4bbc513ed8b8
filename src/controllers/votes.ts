import type { Vote } from '../api/approval-status.ts';
import type { StepStatus } from '../api/workflow-run.ts';
import { countVote, isCounted, isSigned, readVote } from '../engine/vote.ts';
import type { EventRecorder } from '../kube/events.ts';
import type { Seals } from '../storage/seals.ts';
import { warning } from './happenings.ts';
import type { RunView } from './views.ts';

/** Finds the votes on the steps of a run. */
export interface VoteReader {
  /** The votes on a step that were sealed for this run, wherever they lie: in annotations, or in the status. */
  votesOn(run: RunView, row: StepStatus): Vote[];
  /** Drops what was remembered of a run. */
  forget(runUid: string): void;
}

export interface VoteReaderOptions {
  /** Absent where the operator has no keys: then nothing counts. */
  seals: Seals | undefined;
  events: Pick<EventRecorder, 'record'>;
}

/** A vote that was not sealed for this run counts for nothing, and is told of once. */
export function createVoteReader({ seals, events }: VoteReaderOptions): VoteReader {
  /** What was told of each run. */
  const told = new Map<string, Set<string>>();

  function tellOnce(run: RunView, what: string, reason: string, note: string): void {
    const known = told.get(run.uid) ?? new Set();
    if (known.has(what)) return;
    told.set(run.uid, known.add(what));
    events.record(warning(run, reason, note));
  }

  function annotated(run: RunView, sealing: Seals): Vote[] {
    return Object.entries(run.votes).flatMap(([name, text]) => {
      const vote = readVote(text);
      if (vote && isSigned(run.uid, vote, sealing)) return [countVote(run.uid, vote, sealing)];
      const note = `${name} is no vote that Signalbox recorded for this run: it does not count.`;
      tellOnce(run, `${name}=${text}`, 'VoteIgnored', note);
      return [];
    });
  }

  return {
    votesOn(run, { name, approval }) {
      if (!seals) {
        const note = 'Nobody can approve: the operator has no keys to sign votes with. Set --keys-dir.';
        tellOnce(run, 'keys', 'VotesNotCounted', note);
        return [];
      }
      const recorded = (approval?.votes ?? []).filter((vote) => isCounted(run.uid, vote, seals));
      return [...recorded, ...annotated(run, seals)].filter(({ step }) => step === name);
    },
    forget: (runUid) => void told.delete(runUid),
  };
}
