import type { Lease, LeaseSpec } from 'kubernetes-types/coordination/v1.d.ts';
import { type Clock, sleep, systemClock } from './clock.ts';
import { isAlreadyExists, isConflict, isNotFound } from './errors.ts';
import { microTime } from './micro-time.ts';
import type { ResourceClient, ResourceType } from './resource.ts';

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

/** Why the leader's work was stopped. */
export class LeaseLostError extends Error {
  override readonly name = 'LeaseLostError';
  readonly reason: 'Expired' | 'Taken';

  constructor(reason: LeaseLostError['reason']) {
    super(reason === 'Taken' ? 'another process holds the lease' : 'the lease was not renewed in time');
    this.reason = reason;
  }
}

/** The lease as held: until when by our clock, and which version the next renewal builds on. */
interface Term {
  resourceVersion: string;
  validUntil: number;
  cancelExpiry: () => void;
  /** Aborted when the lease is lost, and ends calls about it. */
  lost: AbortController;
}

/**
 * A leader elector after client-go's. Clocks of different machines are never compared: a candidate measures with its own
 * clock how long it has seen no change of the lease, and the holder counts its time from before it sent its last
 * successful renewal, so that it always gives up before anybody else takes over.
 */
export function createElector(options: ElectorOptions): Elector {
  const { client, namespace, name, identity, onError } = options;
  const { leaseDurationMs = 15_000, renewDeadlineMs = 10_000, retryPeriodMs = 2_000 } = options;
  const { clock = systemClock, wallClock = Date.now, random = Math.random } = options;
  assertOrder(leaseDurationMs, renewDeadlineMs, retryPeriodMs);
  const lease = { namespace, name };
  // One dead connection must not use up the whole term.
  const timeoutMs = renewDeadlineMs / 2;
  let term: Term | undefined;
  /** The version of the lease seen last, and when it was new to us. */
  let seen = { resourceVersion: '', at: 0 };

  function lose(reason: LeaseLostError['reason']): void {
    const ending = end();
    ending?.lost.abort(new LeaseLostError(reason));
  }

  function end(): Term | undefined {
    const ending = term;
    ending?.cancelExpiry();
    term = undefined;
    return ending;
  }

  function isLeader(): boolean {
    if (term && clock.now() >= term.validUntil) lose('Expired');
    return term !== undefined;
  }

  /** @param sentAt when the request was sent that `held` answers. */
  function begin(held: Lease, sentAt: number): void {
    term = { resourceVersion: '', validUntil: Infinity, cancelExpiry: () => {}, lost: new AbortController() };
    extend(term, held, sentAt);
  }

  function extend(current: Term, held: Lease, sentAt: number): void {
    // An answer that comes after the term has ended does not revive it: its work was told to stop.
    if (!isLeader() || current !== term) return;
    current.cancelExpiry();
    current.resourceVersion = held.metadata?.resourceVersion ?? '';
    current.validUntil = sentAt + renewDeadlineMs;
    current.cancelExpiry = clock.after(current.validUntil - clock.now(), () => lose('Expired'));
  }

  function spec(changes: LeaseSpec): LeaseSpec {
    const now = microTime(wallClock());
    return {
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(leaseDurationMs / 1000),
      renewTime: now,
      ...changes,
    };
  }

  function write(resourceVersion: string, changes: LeaseSpec, signal: AbortSignal): Promise<Lease> {
    return client.patch(lease, { metadata: { resourceVersion }, spec: spec(changes) }, { signal, timeoutMs });
  }

  /** One try to take the lease. Resolves with whether it was taken. */
  async function take(signal: AbortSignal): Promise<boolean> {
    const acquireTime = microTime(wallClock());
    const found = await client.get(lease, { signal, timeoutMs }).catch(unless(isNotFound));
    if (found && !isFree(found)) return false;
    const sentAt = clock.now();
    const leaseTransitions = found ? (found.spec?.leaseTransitions ?? 0) + 1 : 0;
    const ours = { acquireTime, leaseTransitions };
    const taken = found
      ? await write(found.metadata?.resourceVersion ?? '', ours, signal)
      : await client.create({ metadata: lease, spec: spec(ours) }, { signal, timeoutMs });
    begin(taken, sentAt);
    return true;
  }

  /** Ours, released, or not renewed for its whole duration while we looked on. */
  function isFree({ metadata, spec = {} }: Lease): boolean {
    const now = clock.now();
    const resourceVersion = metadata?.resourceVersion ?? '';
    if (resourceVersion !== seen.resourceVersion) seen = { resourceVersion, at: now };
    if (!spec.holderIdentity || spec.holderIdentity === identity) return true;
    return now >= seen.at + (spec.leaseDurationSeconds ?? 0) * 1000;
  }

  async function seek(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        if ((await take(signal)) && isLeader()) return;
      } catch (error) {
        // Somebody else was quicker: no trouble at all.
        if (!isConflict(error) && !isAlreadyExists(error) && !signal.aborted) onError(error);
      }
      await pause(retryPeriodMs * (1 + random() / 5), signal);
    }
  }

  /** Renews as long as the leader works, and while it comes to its end when asked to stop. */
  async function renewUntil(stop: AbortSignal): Promise<void> {
    for (;;) {
      await pause(retryPeriodMs, stop);
      if (stop.aborted || !isLeader() || !term) return;
      await renew(term).catch((error: unknown) => {
        if (term) onError(error);
      });
    }
  }

  async function renew(current: Term): Promise<void> {
    const { signal } = current.lost;
    const sentAt = clock.now();
    try {
      extend(current, await write(current.resourceVersion, {}, signal), sentAt);
    } catch (error) {
      if (!isConflict(error)) throw error;
      // Somebody touched the lease, perhaps only a label of it.
      const found = await client.get(lease, { signal, timeoutMs });
      if (found.spec?.holderIdentity !== identity) return lose('Taken');
      extend(current, await write(found.metadata?.resourceVersion ?? '', {}, signal), sentAt);
    }
  }

  /** An empty holder lets the next candidate take over without waiting for the end of the lease. */
  async function release(): Promise<void> {
    if (!isLeader() || !term) return;
    const { resourceVersion, lost } = term;
    const changes = { holderIdentity: '', leaseDurationSeconds: 1, acquireTime: microTime(wallClock()) };
    await write(resourceVersion, changes, lost.signal).catch(onError);
    end();
  }

  async function reign({ signal, lead }: Campaign, lost: AbortSignal): Promise<void> {
    const settled = new AbortController();
    const renewing = renewUntil(AbortSignal.any([lost, settled.signal]));
    try {
      await lead(AbortSignal.any([signal, lost]));
    } finally {
      settled.abort();
      await renewing;
      await release();
    }
  }

  return {
    isLeader,
    async run(campaign) {
      while (!campaign.signal.aborted) {
        await seek(campaign.signal);
        if (term) await reign(campaign, term.lost.signal);
      }
    },
  };

  async function pause(ms: number, signal: AbortSignal): Promise<void> {
    await sleep(clock, ms, signal).catch(() => {});
  }
}

function assertOrder(leaseDurationMs: number, renewDeadlineMs: number, retryPeriodMs: number): void {
  if (leaseDurationMs > renewDeadlineMs && renewDeadlineMs > retryPeriodMs && retryPeriodMs > 0) return;
  throw new RangeError(
    `lease duration ${leaseDurationMs} ms, renew deadline ${renewDeadlineMs} ms and retry period ${retryPeriodMs} ms: ` +
      'each must be longer than the one after it, or a slow renewal loses the lease or two processes hold it',
  );
}

/** Turns one kind of error into undefined. */
function unless(expected: (error: unknown) => boolean): (error: unknown) => undefined {
  return (error) => {
    if (!expected(error)) throw error;
    return undefined;
  };
}
