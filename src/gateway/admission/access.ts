import type { LocalSubjectAccessReview } from 'kubernetes-types/authorization/v1.d.ts';
import type { Transport } from '../../kube/transport.ts';
import type { ReviewedUser } from './review.ts';

/** Something that takes a right, in the words of RBAC. */
export interface Right {
  verb: string;
  /** Empty for the core group. */
  group: string;
  resource: string;
  subresource?: string;
  /** Of one object; without it, of all. */
  name?: string;
}

/** Whether somebody has a right in a namespace. Asked twice, it answers from memory. */
export type MayDo = (right: Right) => Promise<boolean>;

/** Longer than that the API server does not wait for a review. */
const TIMEOUT_MS = 4_000;

/**
 * Asks the API server about the rights of somebody, with the answers kept for as long as one review takes.
 *
 * @throws {ApiError} and {ConnectionError} when it does not say
 */
export function askFor(transport: Transport, user: ReviewedUser, namespace: string): MayDo {
  const asked = new Map<string, Promise<boolean>>();
  return (right) => {
    const key = rightText(right);
    const known = asked.get(key);
    if (known) return known;
    const answer = ask(transport, user, namespace, right);
    asked.set(key, answer);
    return answer;
  };
}

/** For example `create serviceaccounts/token deployer`. */
export function rightText({ verb, group, resource, subresource, name }: Right): string {
  const what = `${resource}${group === '' ? '' : `.${group}`}${subresource === undefined ? '' : `/${subresource}`}`;
  return `${verb} ${what}${name === undefined ? '' : ` ${name}`}`;
}

async function ask(
  transport: Transport,
  { username, uid, groups, extra }: ReviewedUser,
  namespace: string,
  right: Right,
): Promise<boolean> {
  const body: LocalSubjectAccessReview = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'LocalSubjectAccessReview',
    metadata: { namespace },
    spec: {
      user: username,
      groups,
      ...(uid === undefined ? {} : { uid }),
      ...(extra === undefined ? {} : { extra }),
      resourceAttributes: { namespace, ...right },
    },
  };
  const { status } = (await transport.request({
    verb: 'create',
    resource: 'localsubjectaccessreviews',
    method: 'POST',
    path: `/apis/authorization.k8s.io/v1/namespaces/${namespace}/localsubjectaccessreviews`,
    body,
    idempotent: true,
    timeoutMs: TIMEOUT_MS,
    signal: AbortSignal.timeout(TIMEOUT_MS),
  })) as LocalSubjectAccessReview;
  return status?.allowed === true;
}
