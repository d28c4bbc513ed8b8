import type { FinishedRequest } from './sender.ts';

// Replicas run on machines whose clocks may be wrong, each in another way, and the API server stamps objects by its own. So
// that deadlines and records mean the same to all of them, the time of day is that of the API server, which says it in the
// `Date` of each answer, to the second.

/** A clock that differs by less counts as right: so finely it can not be measured. */
const TOLERANCE_MS = 2_000;
/** The header leaves out what has passed of the second. */
const SECOND_MS = 1_000;

export interface ServerTimeOptions {
  /** Milliseconds since the epoch, by this machine. @default Date.now */
  wallClock?: () => number;
  /** Told when the clock of this machine has gone wrong, otherwise wrong, or right again. */
  onCorrected: (offsetMs: number) => void;
}

/** The time of day, by the API server. */
export interface ServerTime {
  /** Milliseconds since the epoch. This machine's clock, as long as that is right, or nothing was heard yet. */
  now(): number;
  /** Takes note of what an answer says. To be called when it has come. */
  hear(request: Pick<FinishedRequest, 'date' | 'seconds'>): void;
  /** Milliseconds that are added to this machine's clock; 0 while that is right. */
  readonly offsetMs: number;
}

export function createServerTime({ wallClock = Date.now, onCorrected }: ServerTimeOptions): ServerTime {
  let offsetMs = 0;
  return {
    now: () => wallClock() + offsetMs,
    hear({ date = '', seconds }) {
      const said = Date.parse(date);
      if (Number.isNaN(said)) return;
      // It was said some time between the request and the answer.
      const answeredAt = wallClock();
      const least = said - answeredAt;
      const most = said + SECOND_MS - (answeredAt - seconds * 1000);
      const fits = (offset: number) => offset >= least - TOLERANCE_MS && offset <= most + TOLERANCE_MS;
      if (fits(offsetMs)) return;
      offsetMs = fits(0) ? 0 : Math.round((least + most) / 2);
      onCorrected(offsetMs);
    },
    get offsetMs() {
      return offsetMs;
    },
  };
}
