import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { TokenReview } from 'kubernetes-types/authentication/v1.d.ts';
import { GRANT_HEADER, RUNNER_AUDIENCE } from '../api/runner.ts';
import type { ObjectName } from '../kube/resource.ts';
import type { Transport } from '../kube/transport.ts';
import type { Grant, Grants } from '../storage/grants.ts';
import { Refusal } from './refusal.ts';

/** A pod that calls, and what it may do. */
export interface Caller {
  grant: Grant;
  podUid: string;
}

/** What is known of a pod that calls. */
export interface CallingPod {
  /** Whether all its work has ended. One that is being stopped still saves its state. */
  over: boolean;
  /** Whether it belongs to a Job of this run, by UID. */
  isOf: (run: string) => boolean;
}

export interface AuthenticatorOptions {
  transport: Transport;
  grants: Grants;
  /** The pod with this name and UID, if it is there. */
  findPod: (name: ObjectName, uid: string) => Promise<CallingPod | undefined>;
  /** Milliseconds of a clock that does not go back. */
  now: () => number;
}

/** Says who calls. @throws {Refusal} 401 or 403 */
export type Authenticate = (headers: IncomingHttpHeaders) => Promise<Caller>;

/** The pod that a token is bound to, by the word of the API server. */
interface BoundPod {
  namespace: string;
  name: string;
  uid: string;
}

/** The API server revokes a token when its pod is gone; so long we may go on believing it. The pod itself is watched. */
const REVIEW_MS = 10_000;
const MOST_REVIEWS = 10_000;

/**
 * The token proves which pod calls, and the grant what that pod may do. The grant is looked at first: who has none can
 * not make us ask the API server.
 */
export function createAuthenticator({ transport, grants, findPod, now }: AuthenticatorOptions): Authenticate {
  const review = createReviews(transport, now);
  return async (headers) => {
    const token = /^Bearer (\S+)$/.exec(headers.authorization ?? '')?.[1];
    if (token === undefined) throw new Refusal(401, 'TokenMissing', 'the request carries no bearer token');
    const grant = grants.verify(String(headers[GRANT_HEADER] ?? ''));
    if (!grant)
      throw new Refusal(401, 'GrantInvalid', 'the grant was not made by this operator, or was changed');
    const pod = await review(token);
    if (pod.namespace !== grant.namespace || pod.name !== grant.pod) {
      const names = `${pod.namespace}/${pod.name}, and the grant is for ${grant.namespace}/${grant.pod}`;
      throw new Refusal(403, 'WrongPod', `the token is that of pod ${names}`);
    }
    const found = await findPod({ namespace: pod.namespace, name: pod.name }, pod.uid);
    if (!found)
      throw new Refusal(403, 'PodGone', `pod ${pod.name} with UID ${pod.uid} is not there any more`);
    if (found.over) throw new Refusal(403, 'PodEnded', `pod ${pod.name} has ended`);
    if (!found.isOf(grant.run.uid)) {
      throw new Refusal(403, 'WrongPod', `pod ${pod.name} does not belong to a Job of run ${grant.run.name}`);
    }
    return { grant, podUid: pod.uid };
  };
}

/** Asks the API server about tokens, and remembers its answers for a short time, by a hash of the token. */
function createReviews(transport: Transport, now: () => number): (token: string) => Promise<BoundPod> {
  const known = new Map<string, { pod: BoundPod; until: number }>();
  return async (token) => {
    const hash = createHash('sha256').update(token).digest('base64');
    const found = known.get(hash);
    if (found && now() < found.until) return found.pod;
    known.delete(hash);
    const until = now() + REVIEW_MS;
    const pod = podOf(await reviewToken(transport, token));
    if (known.size >= MOST_REVIEWS) known.clear();
    known.set(hash, { pod, until });
    return pod;
  };
}

async function reviewToken(transport: Transport, token: string): Promise<TokenReview> {
  return (await transport.request({
    verb: 'create',
    resource: 'tokenreviews',
    method: 'POST',
    path: '/apis/authentication.k8s.io/v1/tokenreviews',
    body: {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      spec: { token, audiences: [RUNNER_AUDIENCE] },
    },
    idempotent: true,
  })) as TokenReview;
}

function podOf({ status }: TokenReview): BoundPod {
  // An API server that knows nothing of audiences names none.
  if (!status?.authenticated || !status.audiences?.includes(RUNNER_AUDIENCE)) {
    const why = status?.error ?? 'it is not for the runner API';
    throw new Refusal(401, 'TokenRefused', `the API server does not accept the token: ${why}`);
  }
  const { username = '', extra = {} } = status.user ?? {};
  const namespace = /^system:serviceaccount:([^:]+):[^:]+$/.exec(username)?.[1];
  const [name] = extra['authentication.kubernetes.io/pod-name'] ?? [];
  const [uid] = extra['authentication.kubernetes.io/pod-uid'] ?? [];
  if (namespace && name && uid) return { namespace, name, uid };
  throw new Refusal(401, 'TokenUnbound', `the token of ${username} is not bound to a pod`);
}
