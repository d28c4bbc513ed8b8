import { GROUP, VERSION } from '../../api/common.ts';
import { type MayDo, type Right, rightText } from './access.ts';
import type { Plural } from './changes.ts';
import type { Neighbours } from './definitions.ts';
import type { AdmissionRequest, ReviewedObject, Verdict } from './review.ts';

// Requests of admission for tests, as the API server makes them.

const KINDS: Record<Plural, string> = {
  workflows: 'Workflow',
  workflowruns: 'WorkflowRun',
  projects: 'Project',
};

/** An update when there is an old object, else a creation; by jane. */
export function fakeRequest(
  plural: Plural,
  object: ReviewedObject,
  oldObject?: ReviewedObject,
): AdmissionRequest {
  return {
    uid: 'review-1',
    kind: { group: GROUP, version: VERSION, kind: KINDS[plural] },
    resource: { group: GROUP, version: VERSION, resource: plural },
    namespace: 'team-a',
    operation: oldObject ? 'UPDATE' : 'CREATE',
    userInfo: { username: 'jane', groups: ['system:authenticated'] },
    object,
    ...(oldObject ? { oldObject } : {}),
  };
}

/** An object with annotations of our group. */
export const annotated = (annotations: Record<string, string>, metadata: object = {}): ReviewedObject => ({
  metadata: {
    name: 'one',
    ...metadata,
    annotations: Object.fromEntries(
      Object.entries(annotations).map(([name, value]) => [`${GROUP}/${name}`, value]),
    ),
  },
});

/** A namespace in which nothing is but Secrets. */
export const nobody: Neighbours = {
  workflowSpec: () => undefined,
  readWorkflowSpec: async () => undefined,
  hasProject: () => false,
  findSecret: async () => ({ isForUse: true }),
};

/** Somebody who has all rights but these, as `rightText` writes them; and what was asked. */
export function fakeRights(...denied: string[]): { mayDo: MayDo; asked: string[] } {
  const asked: string[] = [];
  const mayDo = async (right: Right) => {
    const text = rightText(right);
    asked.push(text);
    return !denied.includes(text);
  };
  return { mayDo, asked };
}

/** `allowed`, or each problem as `field: message`. */
export function outcomeOf(verdict: Verdict): string[] {
  if (verdict.allowed) return ['allowed'];
  const { problems, message } = verdict;
  return problems?.map((problem) => `${problem.field}: ${problem.message}`) ?? [message];
}
