import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import * as z from 'zod';
import { type Clock, sleep } from '../kube/clock.ts';
import type { Transport } from '../kube/transport.ts';

/** Who signs the tokens of service accounts, by the word of the API server, and the keys to check them with. */
export interface Issuer {
  /** What `iss` says in a token. */
  name: string;
  /** Gives the key that the header of a token names. */
  keyOf: JWTVerifyGetKey;
}

/** Reads the issuer when it is needed, and again from time to time. */
export interface IssuerReader {
  /** At most a minute old, so that a key that the API server withdraws is soon worth nothing. */
  current(): Promise<Issuer>;
  /**
   * One that was read later than the one given: it may know a key that this one does not. Waits rather than read more often
   * than every five seconds.
   */
  laterThan(known: Issuer): Promise<Issuer>;
}

const MOST_AGE_MS = 60_000;
const LEAST_AGE_MS = 5_000;

const configuration = z.object({ issuer: z.string().min(1) });

export function createIssuerReader(transport: Transport, clock: Clock): IssuerReader {
  let latest: Promise<Issuer> | undefined;
  let readAt = 0;
  let next: Promise<Issuer> | undefined;

  function read(): Promise<Issuer> {
    const reading = readIssuer(transport);
    readAt = clock.now();
    latest = reading;
    // A failed read is told to those who wait for it, and not remembered.
    reading.catch(() => {
      if (latest === reading) latest = undefined;
    });
    return reading;
  }

  const readLater = () => sleep(clock, Math.max(0, readAt + LEAST_AGE_MS - clock.now())).then(read);

  return {
    current: () => (latest && clock.now() - readAt < MOST_AGE_MS ? latest : read()),
    async laterThan(known) {
      const current = await (latest ?? read());
      if (current !== known) return current;
      next ??= readLater().finally(() => (next = undefined));
      return next;
    },
  };
}

async function readIssuer(transport: Transport): Promise<Issuer> {
  const [found, keys] = await Promise.all([
    get(transport, '/.well-known/openid-configuration', 'application/json'),
    // The API server has its keys here whatever address it tells others to find them at.
    get(transport, '/openid/v1/jwks', 'application/jwk-set+json'),
  ]);
  return { name: configuration.parse(found).issuer, keyOf: createLocalJWKSet(unique(keys as JSONWebKeySet)) };
}

/** An API server that was given the same key twice publishes it twice, and two keys of one name are none. */
function unique({ keys }: JSONWebKeySet): JSONWebKeySet {
  return { keys: [...new Map(keys.map((key) => [key.kid, key])).values()] };
}

/** Every service account may read these, by a binding of Kubernetes' own (`system:service-account-issuer-discovery`). */
function get(transport: Transport, path: string, accept: string): Promise<unknown> {
  return transport.request({
    verb: 'get',
    resource: 'issuer',
    method: 'GET',
    path,
    accept,
    idempotent: true,
  });
}
