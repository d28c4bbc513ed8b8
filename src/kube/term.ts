import type { Lease } from 'kubernetes-types/coordination/v1.d.ts';
import type { Clock } from './clock.ts';

/** Why the leader's work was stopped. */
export class LeaseLostError extends Error {
  override readonly name = 'LeaseLostError';
  readonly reason: 'Expired' | 'Taken';

  constructor(reason: LeaseLostError['reason']) {
    super(reason === 'Taken' ? 'the lease was taken or deleted' : 'the lease was not renewed in time');
    this.reason = reason;
  }
}

/** One time as leader, from taking the lease to losing or releasing it. */
export interface Term {
  /** The version of the lease that the next renewal builds on. */
  resourceVersion: string;
  /** Aborted when the lease is lost, with a `LeaseLostError`. */
  readonly lost: AbortSignal;
  /** Takes the answer to a renewal that was sent at the given time. */
  extend(held: Lease, sentAt: number): void;
  lose(reason: LeaseLostError['reason']): void;
  /** Ends it without a loss. */
  end(): void;
  /** Whether it goes on at this moment. */
  isRunning(): boolean;
}

/**
 * Begins a term that lasts `lengthMs` from when the request was sent that took the lease, or from the last renewal. Counting
 * from the sending, and not from the answer, it ends before anybody else can think that it has.
 */
export function beginTerm(clock: Clock, lengthMs: number, held: Lease, sentAt: number): Term {
  const losing = new AbortController();
  let validUntil = Infinity;
  let running = true;
  let cancelExpiry = () => {};

  function end(): void {
    running = false;
    cancelExpiry();
  }

  function lose(reason: LeaseLostError['reason']): void {
    if (!running) return;
    end();
    losing.abort(new LeaseLostError(reason));
  }

  /** Does not wait for the timer: a process that was frozen may come here before any timer fires. */
  function isRunning(): boolean {
    if (clock.now() >= validUntil) lose('Expired');
    return running;
  }

  const term: Term = {
    resourceVersion: '',
    lost: losing.signal,
    extend({ metadata }, sentAt) {
      // An answer that comes after the end does not revive the term: its work was told to stop.
      if (!isRunning()) return;
      cancelExpiry();
      term.resourceVersion = metadata?.resourceVersion ?? '';
      validUntil = sentAt + lengthMs;
      cancelExpiry = clock.after(validUntil - clock.now(), () => lose('Expired'));
    },
    lose,
    end,
    isRunning,
  };
  term.extend(held, sentAt);
  return term;
}
