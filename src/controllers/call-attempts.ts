import { stepTypeOf, timeoutOf } from '../api/step.ts';
import type { Observation, Result, StartEffect } from '../engine/model.ts';
import { spanOf } from '../engine/text.ts';
import { type Clock, systemClock } from '../kube/clock.ts';
import { keyOf } from '../kube/store.ts';
import type { StepTypes } from '../steps/index.ts';
import { CallError, type CallContext, type CallStepType } from '../steps/step-type.ts';
import type { Executor } from './executor.ts';
import type { Revision } from './revisions.ts';
import type { RunView } from './views.ts';

/** Most calls made at once, the others wait: each may hold a response of a megabyte, and the operator has little memory. */
const CALLS_AT_ONCE = 256;

export interface CallAttemptsOptions {
  stepTypes: StepTypes;
  /** What a call has of the world. */
  contextOf: (
    run: RunView,
    effect: Pick<StartEffect, 'id' | 'step' | 'evaluate'>,
    revision: Revision,
    signal: AbortSignal,
  ) => CallContext;
  /** Resolves when nothing is under way that the last update of a message must not be overtaken by. */
  beforeUpdate?: (runUid: string) => Promise<void>;
  /** Asked before each call: a process that does not hold the lease any more makes none. */
  isLeader: () => boolean;
  /** Told the key of the run whose call has ended. */
  onEnded: (key: string) => void;
  /** Milliseconds since the epoch. */
  now: () => number;
  /** @default systemClock */
  clock?: Clock;
}

/** The executor of calls, and what it is at. */
export interface CallAttempts extends Executor {
  /** Calls that are being made. */
  readonly open: number;
  /** Calls that wait for others to end. */
  readonly waiting: number;
  /**
   * Waits until all calls have ended and their results are written, at most so long. What then goes on is broken off,
   * and dealt with by the next leader as its step says (`onInterrupt`).
   */
  drain(graceMs: number): Promise<void>;
}

/** One call, as long as the status of its run does not say what came of it. */
interface Call {
  seen: Observation;
  stop(why: CallError): void;
}

/** What this process knows of the calls of one run. */
interface Memory {
  /** Calls that only this process can have made, and has not yet. */
  fresh: Set<string>;
  calls: Map<string, Call>;
}

/**
 * Each attempt is one call that this process makes, and remembers until its result is written. A call that the status
 * names and that no memory knows was interrupted: whoever made it was killed, and how far it came is not known.
 */
export function createCallAttempts(options: CallAttemptsOptions): CallAttempts {
  const { stepTypes, contextOf, beforeUpdate, isLeader, onEnded, now, clock = systemClock } = options;
  const memories = new Map<string, Memory>();
  const gate = createGate(CALLS_AT_ONCE);
  let drained = false;
  let onIdle: (() => void) | undefined;

  function memoryOf(runUid: string): Memory {
    const known = memories.get(runUid);
    if (known) return known;
    const memory: Memory = { fresh: new Set(), calls: new Map() };
    memories.set(runUid, memory);
    return memory;
  }

  const failed = (reason: string, message: string, more: Partial<Result> = {}): Result => ({
    outcome: 'Failed',
    reason,
    message,
    finishedAt: now(),
    ...more,
  });

  /** Begins a call; nobody waits for its end, which `onEnded` tells. */
  function open(run: RunView, effect: StartEffect, revision: Revision): Call {
    const stopping = new AbortController();
    const stopped = Promise.withResolvers<Result>();
    const call: Call = {
      seen: { state: 'Starting' },
      stop(why) {
        stopped.resolve(failed(why.reason, why.message));
        stopping.abort(why);
      },
    };
    const context = contextOf(run, effect, revision, stopping.signal);
    // A call that does not heed its signal must not keep its step from ending.
    void Promise.race([make(call, run, effect, context), stopped.promise]).then((result) => {
      if (drained) return;
      call.seen = { state: 'Ended', result };
      onEnded(keyOf(run));
    });
    return call;
  }

  /** Makes the call when it is its turn. Never throws. */
  async function make(
    call: Call,
    { uid }: RunView,
    { spec, posted }: StartEffect,
    context: CallContext,
  ): Promise<Result> {
    await gate.enter();
    const cancelTimeout = limit(call, timeoutOf(spec));
    try {
      if (context.signal.aborted || !isLeader()) {
        return failed('NotSent', 'The call was not made.', { notStarted: true, infrastructure: true });
      }
      call.seen = { state: 'Running' };
      const type = callTypeOf(spec);
      if (!posted || !type.update) return await type.call(spec, context);
      await beforeUpdate?.(uid);
      return await type.update(spec, posted, context);
    } catch (error) {
      return failed('InternalError', error instanceof Error ? error.message : String(error));
    } finally {
      cancelTimeout();
      gate.leave();
    }
  }

  function callTypeOf(spec: StartEffect['spec']): CallStepType {
    const type = stepTypes[stepTypeOf(spec)];
    if (type.kind === 'Call') return type;
    throw new TypeError(`step ${spec.name} makes no call`);
  }

  function limit(call: Call, timeoutMs: number): () => void {
    if (!Number.isFinite(timeoutMs)) return () => {};
    const message = `The step ran longer than its timeout of ${spanOf(timeoutMs)}.`;
    return clock.after(timeoutMs, () => call.stop(new CallError('DeadlineExceeded', message)));
  }

  function drop(runUid: string, isLeft: (id: string) => boolean): void {
    const memory = memories.get(runUid);
    if (!memory) return;
    for (const id of [...memory.fresh].filter((id) => !isLeft(id))) memory.fresh.delete(id);
    for (const [id, call] of memory.calls) {
      if (isLeft(id)) continue;
      memory.calls.delete(id);
      call.stop(new CallError('Stopped', 'The step was stopped.'));
    }
    if (memory.fresh.size + memory.calls.size === 0) memories.delete(runUid);
    if (memories.size === 0) onIdle?.();
  }

  return {
    observe: ({ uid }, id) => memories.get(uid)?.calls.get(id)?.seen ?? { state: 'Absent' },

    begin: ({ uid }, id) => void memoryOf(uid).fresh.add(id),

    async start(run, effect, revision) {
      const { fresh, calls } = memoryOf(run.uid);
      if (calls.has(effect.id)) return undefined;
      if (!fresh.has(effect.id) && callTypeOf(effect.spec).onInterrupt(effect.spec) === 'Fail') {
        const result = failed('Interrupted', INTERRUPTED, { infrastructure: true });
        calls.set(effect.id, { seen: { state: 'Ended', result }, stop: () => {} });
        return 0;
      }
      fresh.delete(effect.id);
      calls.set(effect.id, open(run, effect, revision));
      return undefined;
    },

    async stop({ uid }, { id }) {
      memories.get(uid)?.calls.get(id)?.stop(new CallError('Stopped', 'The step was stopped.'));
    },

    async close({ uid }, current) {
      drop(uid, (id) => current.has(id));
    },

    forget: (runUid) => drop(runUid, () => false),
    uidOf: () => undefined,

    get open() {
      return gate.inside;
    },
    get waiting() {
      return gate.waiting;
    },

    async drain(graceMs) {
      const { promise: idle, resolve } = Promise.withResolvers<void>();
      const cancelGrace = clock.after(graceMs, resolve);
      onIdle = resolve;
      if (memories.size === 0) resolve();
      await idle;
      cancelGrace();
      drained = true;
      const why = new CallError('Stopped', 'The operator was stopped.');
      for (const { calls } of memories.values()) for (const call of calls.values()) call.stop(why);
    },
  };
}

const INTERRUPTED =
  'The operator was stopped while the call was under way, so that nobody knows whether the request arrived. Set onInterrupt: Retry in the step if it may safely be made a second time.';

/** Lets so many in at once, the others in the order in which they came. */
function createGate(size: number) {
  const queue: (() => void)[] = [];
  let inside = 0;
  return {
    async enter(): Promise<void> {
      if (inside < size) inside += 1;
      // Whoever leaves hands its place on.
      else await new Promise<void>((resolve) => queue.push(resolve));
    },
    leave(): void {
      const next = queue.shift();
      if (next) next();
      else inside -= 1;
    },
    get inside() {
      return inside;
    },
    get waiting() {
      return queue.length;
    },
  };
}
