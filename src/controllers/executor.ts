import type { Observation, StartEffect, StopEffect } from '../engine/model.ts';
import type { Revision } from './revisions.ts';
import type { RunView } from './views.ts';

/** Carries out the attempts of steps of one kind. */
export interface Executor {
  /** What is seen of an attempt that the status of the run names. */
  observe(run: RunView, id: string): Observation;
  /** The attempt is about to be written down: no other process can have started it. */
  begin(run: RunView, id: string): void;
  /** Starts the attempt, or finds it. What keeps it from doing so is seen by the next `observe`. As `Attempts.start`. */
  start(run: RunView, effect: StartEffect, revision: Revision): Promise<number | undefined>;
  /** Asks the attempt to end. */
  stop(run: RunView, effect: StopEffect): Promise<void>;
  /** Ends what is left of all attempts of the run but the current ones, which are given by their ids. */
  close(run: RunView, current: ReadonlySet<string>): Promise<void>;
  /** Drops what was remembered of a run. */
  forget(runUid: string): void;
  /** UID of the object that the attempt is, if it is one and is there. */
  uidOf(run: RunView, id: string): string | undefined;
}
