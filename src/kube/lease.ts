import type { Lease } from 'kubernetes-types/coordination/v1.d.ts';
import { type Clock, sleep, systemClock } from './clock.ts';
import { isAlreadyExists, isConflict, isNotFound } from './errors.ts';
import { leaseRecord } from './lease-record.ts';
import type { ResourceClient, ResourceType } from './resource.ts';
import { beginTerm, type Term } from './term.ts';

export const LEASES: ResourceType = {
  group: 'coordination.k8s.io',
  version: 'v1',
  plural: 'leases',
  kind: 'Lease',
  namespaced: true,
};

export interface ElectorOptions {
  client: ResourceClient<Lease>;
  namespace: string;
  name: string;
  /** Tells this process from all others that ever ran, such as Pod name and a random part. */
  identity: string;
  /** Others take over when they have seen no renewal for so long. In steps of 1000. @default 15000 */
  leaseDurationMs?: number;
  /** The holder gives up when it has not renewed for so long. Less than `leaseDurationMs`. @default 10000 */
  renewDeadlineMs?: number;
  /** Between two tries to renew or to take. Less than `renewDeadlineMs`. @default 2000 */
  retryPeriodMs?: number;
  /** Told of each try that failed; the elector goes on by itself. */
  onError: (error: unknown) => void;
  /** @default systemClock */
  clock?: Clock;
  /** Time of day as people read it in the lease; nothing is decided by it. @default Date.now */
  wallClock?: () => number;
  /** @default Math.random */
  random?: () => number;
}

export interface Campaign {
  /** Asks for a graceful end: `lead` is stopped, then the lease is released. */
  signal: AbortSignal;
  /**
   * The work of the leader. Its signal is aborted as soon as the lease is lost (`LeaseLostError`) or the end is asked
   * for; it must then settle soon, for the lease is neither released nor sought again before.
   */
  lead: (term: AbortSignal) => Promise<void>;
}

/** Competes for one lease. */
export interface Elector {
  /** Seeks the lease, leads, and seeks it again when it was lost, until stopped. Rejects with what `lead` threw. */
  run(campaign: Campaign): Promise<void>;
  /**
   * Whether this process may act as leader at this moment, by its own clock. Ask right before each write (`withFence`):
   * a process that was frozen learns from this, before any timer has fired, that its time is over.
   */
  isLeader(): boolean;
}

/**
 * A leader elector after client-go's. Clocks of different machines are never compared: a candidate measures with its own
 * clock how long it has seen no change of the lease, and the holder counts its time from before it sent its last
 * successful renewal, so that it always gives up before anybody else takes over.
 */
export function createElector(options: ElectorOptions): Elector {
  const { identity, onError } = options;
  const { leaseDurationMs = 15_000, renewDeadlineMs = 10_000, retryPeriodMs = 2_000 } = options;
  const { clock = systemClock, wallClock = Date.now, random = Math.random } = options;
  assertOrder(leaseDurationMs, renewDeadlineMs, retryPeriodMs);
  // One dead connection must not use up the whole term.
  const timeoutMs = renewDeadlineMs / 2;
  const record = leaseRecord({ ...options, leaseDurationMs, timeoutMs, wallClock });
  const isFree = observer(identity, clock);
  let term: Term | undefined;

  /** One try to take the lease. */
  async function take(signal: AbortSignal): Promise<void> {
    const found = await record.read(signal);
    if (!isFree(found)) return;
    const sentAt = clock.now();
    term = beginTerm(clock, renewDeadlineMs, await record.take(found, signal), sentAt);
  }

  /** Tries until it leads. */
  async function seek(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await take(signal);
      } catch (error) {
        // Somebody else was quicker: no trouble at all.
        if (!isConflict(error) && !isAlreadyExists(error) && !signal.aborted) onError(error);
      }
      if (term?.isRunning()) return;
      await pause(retryPeriodMs * (1 + random() / 5), signal);
    }
  }

  async function renew(current: Term): Promise<void> {
    const sentAt = clock.now();
    try {
      current.extend(await record.renew(current.resourceVersion, current.lost), sentAt);
    } catch (error) {
      if (!isConflict(error) && !isNotFound(error)) throw error;
      // Somebody touched the lease: perhaps only a label of it.
      const found = await record.read(current.lost);
      if (found?.spec?.holderIdentity !== identity) return current.lose('Taken');
      current.extend(await record.renew(found.metadata?.resourceVersion ?? '', current.lost), sentAt);
    }
  }

  /** Renews as long as the leader works, and while it comes to its end when asked to stop. */
  async function renewUntil(settled: AbortSignal, current: Term): Promise<void> {
    const stop = AbortSignal.any([settled, current.lost]);
    for (;;) {
      await pause(retryPeriodMs, stop);
      if (stop.aborted || !current.isRunning()) return;
      await renew(current).catch((error: unknown) => {
        if (current.isRunning()) onError(error);
      });
    }
  }

  async function reign({ signal, lead }: Campaign, current: Term): Promise<void> {
    const settled = new AbortController();
    const renewing = renewUntil(settled.signal, current);
    try {
      await lead(AbortSignal.any([signal, current.lost]));
    } finally {
      settled.abort();
      await renewing;
      if (current.isRunning()) await record.release(current.resourceVersion, current.lost).catch(onError);
      current.end();
    }
  }

  return {
    isLeader: () => term?.isRunning() ?? false,
    async run(campaign) {
      while (!campaign.signal.aborted) {
        await seek(campaign.signal);
        if (term?.isRunning()) await reign(campaign, term);
      }
    },
  };

  async function pause(ms: number, signal: AbortSignal): Promise<void> {
    await sleep(clock, ms, signal).catch(() => {});
  }
}

/**
 * Judges whether a lease may be taken: ours, released, or not renewed for its whole duration while we looked on. One that was
 * deleted leaves its holder in the belief that it leads, so it counts for as long as if it were there.
 */
function observer(identity: string, clock: Clock): (found: Lease | undefined) => boolean {
  let seen = { resourceVersion: '', heldUntil: 0 };
  return (found) => {
    const { metadata, spec = {} } = found ?? {};
    const resourceVersion = metadata?.resourceVersion ?? '';
    if (found && resourceVersion !== seen.resourceVersion) {
      seen = { resourceVersion, heldUntil: clock.now() + (spec.leaseDurationSeconds ?? 0) * 1000 };
    }
    if (found && (!spec.holderIdentity || spec.holderIdentity === identity)) seen.heldUntil = 0;
    return clock.now() >= seen.heldUntil;
  };
}

function assertOrder(leaseDurationMs: number, renewDeadlineMs: number, retryPeriodMs: number): void {
  if (leaseDurationMs > renewDeadlineMs && renewDeadlineMs > retryPeriodMs && retryPeriodMs > 0) return;
  throw new RangeError(
    `lease duration ${leaseDurationMs} ms, renew deadline ${renewDeadlineMs} ms and retry period ${retryPeriodMs} ms: ` +
      'each must be longer than the one after it, or a slow renewal loses the lease or two processes hold it',
  );
}
