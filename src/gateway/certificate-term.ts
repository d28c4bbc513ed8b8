import { type Certified, endOf, makeServerCertificate } from './certificates.ts';

// How long the certificates last that the operator signs for itself, whoever made the authority.

const DAY_MS = 24 * 60 * 60_000;
const CERTIFICATE_MS = 90 * DAY_MS;
/** It is renewed when a third of its time is left. */
const RENEW_MS = CERTIFICATE_MS / 3;

/** Clocks of different machines are not the same. */
export const BACKDATED_MS = 60 * 60_000;

/** Signs a certificate for a server, which lasts no longer than its authority. @param now milliseconds since the epoch */
export function signServer(authority: Certified, names: readonly string[], now: number): Certified {
  const to = Math.min(now + CERTIFICATE_MS, endOf(authority.certificate));
  return makeServerCertificate(authority, names, { from: now - BACKDATED_MS, to });
}

/** Whether it is time for another one. */
export const isDue = (certificate: string, now: number): boolean => endOf(certificate) - now <= RENEW_MS;
