import type { IncomingHttpHeaders } from 'node:http';
import { GRANT_HEADER } from '../api/runner.ts';
import type { ObjectName } from '../kube/resource.ts';
import type { Grant, Grants } from '../storage/grants.ts';
import type { Identify } from './pod-token.ts';
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
  identify: Identify;
  grants: Grants;
  /** The pod with this name and UID, if it is there. */
  findPod: (name: ObjectName, uid: string) => Promise<CallingPod | undefined>;
}

/** Says who calls. @throws {Refusal} 401 or 403 */
export type Authenticate = (headers: IncomingHttpHeaders) => Promise<Caller>;

/**
 * The token proves which pod calls, and the grant what that pod may do. The grant is looked at first: who has none can
 * not make us ask the API server. The pod itself is looked at each time, so that a token ends with its pod.
 */
export function createAuthenticator({ identify, grants, findPod }: AuthenticatorOptions): Authenticate {
  return async (headers) => {
    const token = /^Bearer (\S+)$/.exec(headers.authorization ?? '')?.[1];
    if (token === undefined) throw new Refusal(401, 'TokenMissing', 'the request carries no bearer token');
    const grant = grants.verify(String(headers[GRANT_HEADER] ?? ''));
    if (!grant)
      throw new Refusal(401, 'GrantInvalid', 'the grant was not made by this operator, or was changed');
    const pod = await identify(token);
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
