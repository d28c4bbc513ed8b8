import { errors, type JWTPayload, jwtVerify } from 'jose';
import * as z from 'zod';
import { RUNNER_AUDIENCE } from '../api/runner.ts';
import { type Clock, systemClock } from '../kube/clock.ts';
import type { Transport } from '../kube/transport.ts';
import { Refusal } from './refusal.ts';
import { createIssuerReader, type Issuer } from './token-issuer.ts';

/** The pod that a token is bound to. */
export interface BoundPod {
  namespace: string;
  name: string;
  uid: string;
}

/** Says whose token it is. @throws {Refusal} 401 */
export type Identify = (token: string) => Promise<BoundPod>;

export interface IdentifierOptions {
  transport: Transport;
  /** Milliseconds since the epoch. */
  now: () => number;
  /** @default systemClock */
  clock?: Clock;
}

/** All that Kubernetes signs tokens with. Each has a private key: nobody makes a token from what is published. */
const ALGORITHMS = ['RS256', 'ES256', 'ES384', 'ES512'];

/** The clock of the API server may differ by so much; Kubernetes allows itself the same. */
const CLOCK_TOLERANCE_SECONDS = 60;

const claims = z.object({
  'kubernetes.io': z.object({
    namespace: z.string().min(1),
    pod: z.object({ name: z.string().min(1), uid: z.string().min(1) }),
  }),
});

/**
 * Checks tokens of service accounts by what the API server publishes: OpenID Connect Discovery, and RFC 7519. It does not
 * say that the pod is still there; whoever asks has to look.
 */
export function createIdentifier({ transport, now, clock = systemClock }: IdentifierOptions): Identify {
  const issuers = createIssuerReader(transport, clock);
  const verify = async (token: string, { name, keyOf }: Issuer) => {
    const { payload } = await jwtVerify(token, keyOf, {
      issuer: name,
      audience: RUNNER_AUDIENCE,
      algorithms: ALGORITHMS,
      requiredClaims: ['exp'],
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
      currentDate: new Date(now()),
    });
    return payload;
  };
  return async (token) => {
    const issuer = await issuers.current();
    const payload = await verify(token, issuer)
      .catch(async (error: unknown) => {
        if (!isOfUnknownIssuer(error)) throw error;
        return verify(token, await issuers.laterThan(issuer));
      })
      .catch((error: unknown) => {
        throw refusalFor(error);
      });
    return podOf(payload);
  };
}

/** Whether the API server may know of the key, or of its new name, what we do not know yet. */
function isOfUnknownIssuer(error: unknown): boolean {
  if (error instanceof errors.JWKSNoMatchingKey) return true;
  return error instanceof errors.JWTClaimValidationFailed && error.claim === 'iss';
}

function refusalFor(error: unknown): unknown {
  if (!(error instanceof errors.JOSEError)) return error;
  return new Refusal(401, 'TokenRefused', `the token is not one for the runner API: ${error.message}`);
}

function podOf(payload: JWTPayload): BoundPod {
  const { data } = claims.safeParse(payload);
  if (!data) throw new Refusal(401, 'TokenUnbound', `the token of ${payload.sub} is not bound to a pod`);
  const { namespace, pod } = data['kubernetes.io'];
  return { namespace, name: pod.name, uid: pod.uid };
}
