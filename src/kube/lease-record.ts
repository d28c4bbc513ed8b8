import type { Lease, LeaseSpec } from 'kubernetes-types/coordination/v1.d.ts';
import { isNotFound } from './errors.ts';
import { microTime } from './micro-time.ts';
import type { ResourceClient } from './resource.ts';

export interface LeaseRecordOptions {
  client: ResourceClient<Lease>;
  namespace: string;
  name: string;
  identity: string;
  leaseDurationMs: number;
  /** Limit for one call. */
  timeoutMs: number;
  /** Milliseconds since the epoch. */
  wallClock: () => number;
}

/** The Lease object as one candidate writes it. Every write is based on the version that was read: the slower of two gets 409. */
export interface LeaseRecord {
  /** Undefined when there is none. */
  read(signal: AbortSignal): Promise<Lease | undefined>;
  /** Makes the lease ours, given what was found. */
  take(found: Lease | undefined, signal: AbortSignal): Promise<Lease>;
  renew(resourceVersion: string, signal: AbortSignal): Promise<Lease>;
  /** Leaves it without a holder, so that the next candidate need not wait for its end. */
  release(resourceVersion: string, signal: AbortSignal): Promise<Lease>;
}

/** Reads and writes one Lease. */
export function leaseRecord(options: LeaseRecordOptions): LeaseRecord {
  const { client, namespace, name, timeoutMs } = options;
  const now = () => microTime(options.wallClock());
  const held = (): LeaseSpec => ({
    holderIdentity: options.identity,
    leaseDurationSeconds: Math.ceil(options.leaseDurationMs / 1000),
    renewTime: now(),
  });
  const write = (resourceVersion: string, spec: LeaseSpec, signal: AbortSignal) =>
    client.patch({ namespace, name }, { metadata: { resourceVersion }, spec }, { signal, timeoutMs });

  return {
    async read(signal) {
      try {
        return await client.get({ namespace, name }, { signal, timeoutMs });
      } catch (error) {
        if (isNotFound(error)) return undefined;
        throw error;
      }
    },
    take(found, signal) {
      const leaseTransitions = found ? (found.spec?.leaseTransitions ?? 0) + 1 : 0;
      const spec = { ...held(), acquireTime: now(), leaseTransitions };
      if (found) return write(found.metadata?.resourceVersion ?? '', spec, signal);
      return client.create({ metadata: { namespace, name }, spec }, { signal, timeoutMs });
    },
    renew: (resourceVersion, signal) => write(resourceVersion, held(), signal),
    release: (resourceVersion, signal) =>
      write(resourceVersion, { ...held(), holderIdentity: '', leaseDurationSeconds: 1 }, signal),
  };
}
