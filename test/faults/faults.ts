import { type ApiCall, isWrite } from './api-call.ts';
import type { Random } from './random.ts';
import type { Refusal } from './refusal.ts';

/** What becomes of one call that is not a watch. */
export type CallFault =
  | Refusal
  /** The connection breaks before the request is forwarded. */
  | { kind: 'Reset' }
  /** It is carried out, and instead of an answer there is silence, and then the connection breaks. */
  | { kind: 'Lost'; afterMs: number }
  /** It is carried out, and the connection breaks in the middle of the answer. */
  | { kind: 'Cut' }
  /** It is carried out, and answered with an error. */
  | { kind: 'Broken' }
  | { kind: 'Slow'; beforeMs: number; afterMs: number }
  /** The operator dies before the request is forwarded, or when it has been carried out. */
  | { kind: 'KillBefore' | 'KillAfter'; kill: () => void };

/** What becomes of a watch while it goes on. */
export type StreamFault = { afterMs: number } & (
  | { kind: 'Drop' | 'CutLine' | 'End' }
  /** It is told that its version is too old. */
  | { kind: 'Expire' }
  /** Its events are held back for so long: the operator's cache is stale. */
  | { kind: 'Stall'; forMs: number }
);

/** Decides what goes wrong for one operator, and keeps count. */
export interface Faults {
  /** What is to happen to a call. */
  call(call: ApiCall): CallFault | undefined;
  /** What is to happen when a watch is opened. */
  opening(call: ApiCall): Refusal | { kind: 'Reset' } | undefined;
  /** What is to happen to a watch that was opened, one thing after the other. */
  stream(call: ApiCall): { draw: () => StreamFault | undefined; struck: (fault: StreamFault) => void };
  /** Kills the operator at its nth write from now on; leases and events do not count. Returns what calls that off. */
  killAtWrite(n: number, when: 'KillBefore' | 'KillAfter', kill: () => void): () => void;
  /** False: nothing goes wrong any more, from the next request on. */
  active: boolean;
}

/** One thing that went wrong. */
export interface Injected {
  kind: string;
  call: ApiCall;
}

/** How often a call of each sort goes wrong. A lease that is hit too often is lost, and nothing would be done at all. */
const RATES = { write: 0.12, read: 0.08, lease: 0.05, opening: 0.1 };

/** A watch of one name asks for history, and lasts a second. */
const ONE_NAME_FAULTS = 0.2;

/** How many faults of watches strike while the objects that exist are still being told. */
const EARLY = 0.15;

/** @param onInjected is told of each fault when it strikes */
export function createFaults(random: Random, onInjected: (injected: Injected) => void): Faults {
  let kill: { left: number; when: 'KillBefore' | 'KillAfter'; kill: () => void } | undefined;
  let leaseWasHit = false;
  /** Each sort of call has choices of its own, so that the nth of a sort meets the same in every campaign of a seed. */
  const sources = new Map<string, Random>();
  const sourceOf = ({ verb, resource }: ApiCall): Random => {
    const sort = `${verb} ${resource}`;
    const source = sources.get(sort) ?? random.fork(sort);
    sources.set(sort, source);
    return source;
  };

  function dueKill(call: ApiCall): CallFault | undefined {
    if (!kill || !isWrite(call) || isAside(call)) return undefined;
    kill.left -= 1;
    if (kill.left > 0) return undefined;
    const { when: kind, kill: act } = kill;
    kill = undefined;
    return { kind, kill: act };
  }

  function drawCall(call: ApiCall): CallFault | undefined {
    const source = sourceOf(call);
    const isHit = source.chance(rateOf(call));
    // The choice is made in any case, so that what follows does not depend on it.
    const fault = drawFault(call, source);
    const isLease = call.resource === 'leases';
    const spared = isLease && leaseWasHit;
    if (isLease) leaseWasHit = isHit && !spared;
    return isHit && !spared ? fault : undefined;
  }

  function told<T extends { kind: string } | undefined>(call: ApiCall, fault: T): T {
    if (fault) onInjected({ kind: nameOf(fault), call });
    return fault;
  }

  const faults: Faults = {
    active: true,
    call: (call) => told(call, dueKill(call) ?? (faults.active ? drawCall(call) : undefined)),
    opening(call) {
      const source = sourceOf(call);
      if (!faults.active || !source.chance(RATES.opening)) return undefined;
      return told(call, drawOpening(call, source));
    },
    stream(call) {
      const source = sourceOf(call);
      return {
        draw: () => (faults.active ? drawStream(call, source) : undefined),
        struck: (fault) => void told(call, fault),
      };
    },
    killAtWrite: (left, when, act) => {
      kill = { left, when, kill: act };
      return () => {
        kill = undefined;
      };
    },
  };
  return faults;
}

const isAside = ({ resource }: ApiCall) => resource === 'leases' || resource === 'events';

function rateOf(call: ApiCall): number {
  if (call.resource === 'leases') return RATES.lease;
  return isWrite(call) ? RATES.write : RATES.read;
}

const CALL_FAULTS = [
  { weight: 2, kind: 'Conflict' },
  { weight: 2, kind: 'TooMany' },
  { weight: 2, kind: 'Error' },
  { weight: 2, kind: 'Reset' },
  { weight: 3, kind: 'Lost' },
  { weight: 1, kind: 'Cut' },
  { weight: 1, kind: 'Broken' },
  { weight: 3, kind: 'Slow' },
] as const;

function drawFault(call: ApiCall, random: Random): CallFault | undefined {
  const { kind } = random.weighted(CALL_FAULTS);
  switch (kind) {
    case 'Conflict':
      return isWrite(call) ? { kind: 'Refused', status: 409 } : undefined;
    case 'TooMany':
      return { kind: 'Refused', status: 429 };
    case 'Error':
      return { kind: 'Refused', status: 500 };
    case 'Lost':
      return { kind, afterMs: delay(random) };
    case 'Slow':
      return { kind, beforeMs: delay(random), afterMs: delay(random) };
    case 'Reset':
    case 'Cut':
    case 'Broken':
      return { kind };
    default:
      return kind satisfies never;
  }
}

/** Mostly short, and now and then longer than the operator takes to start again. */
const delay = (random: Random): number => (random.chance(0.2) ? random.int(1000, 4000) : random.int(20, 400));

function drawOpening(call: ApiCall, random: Random): Refusal | { kind: 'Reset' } {
  // To one who asks for history, 410 is an answer, and it says that nobody knows: the step would rightly fail.
  const status = random.pick(call.ofOneName ? ([429, 500] as const) : ([410, 429, 500] as const));
  return random.chance(0.25) ? { kind: 'Reset' } : { kind: 'Refused', status };
}

const STREAM_FAULTS = [
  { weight: 2, kind: 'Drop' },
  { weight: 2, kind: 'CutLine' },
  { weight: 2, kind: 'Expire' },
  { weight: 2, kind: 'End' },
  { weight: 5, kind: 'Stall' },
] as const;

function drawStream(call: ApiCall, random: Random): StreamFault | undefined {
  if (call.ofOneName) return drawHistory(random);
  const { kind } = random.weighted(STREAM_FAULTS);
  const afterMs = random.chance(EARLY) ? random.int(0, 100) : random.int(200, 8000);
  return kind === 'Stall' ? { kind, afterMs, forMs: random.int(200, 4000) } : { kind, afterMs };
}

function drawHistory(random: Random): StreamFault | undefined {
  if (!random.chance(ONE_NAME_FAULTS)) return undefined;
  const kind = random.pick(['Drop', 'CutLine', 'End', 'Stall'] as const);
  const afterMs = random.int(0, 800);
  return kind === 'Stall' ? { kind, afterMs, forMs: random.int(200, 2000) } : { kind, afterMs };
}

function nameOf(fault: { kind: string; status?: number }): string {
  return fault.kind === 'Refused' ? String(fault.status) : fault.kind;
}
