import { GROUP } from '../../api/common.ts';
import type { MayDo } from './access.ts';
import { type Change, changedKeys, changesOf, deniedChanges, fieldOf, requestsOf } from './changes.ts';
import {
  type AdmissionRequest,
  type AnnotationChanges,
  forbidden,
  type ReviewedObject,
  type ReviewedUser,
  type Verdict,
} from './review.ts';

/** What becomes of what somebody asks of a run. */
export type Judgement =
  /** It is written with these changes. */
  | { allowed: true; changes: AnnotationChanges }
  /** The sentence says why not. */
  | { allowed: false; message: string };

/** Who records who made a run, and what people say about its steps. */
export interface Ballot {
  judgeCreate(run: ReviewedObject, user: ReviewedUser): Judgement;
  judgeUpdate(before: ReviewedObject, after: ReviewedObject, user: ReviewedUser): Judgement;
}

/** Judges a WorkflowRun that somebody creates or changes, and records who did. */
export async function reviewRun(request: AdmissionRequest, mayDo: MayDo, ballot: Ballot): Promise<Verdict> {
  const { object, oldObject, userInfo } = request;
  const changes = oldObject
    ? changesOf('workflowruns', oldObject, object)
    : requestsOf('workflowruns', object);
  const reserved = forgeries(oldObject ?? undefined, object);
  if (reserved.length > 0) return forbidden(reserved);
  const who = userInfo.username;
  const name = oldObject ? object.metadata.name : undefined;
  const denied = await deniedChanges(changes, mayDo, { plural: 'workflowruns', name, who });
  if (denied.length > 0) return forbidden(denied);
  return verdictOf(judge(request, changes, ballot));
}

function judge(
  { object, oldObject, userInfo }: AdmissionRequest,
  changes: readonly Change[],
  ballot: Ballot,
) {
  if (!oldObject) return ballot.judgeCreate(object, userInfo);
  const isVote = changes.some(({ verb }) => verb === 'approve');
  return isVote ? ballot.judgeUpdate(oldObject, object, userInfo) : { allowed: true as const, changes: {} };
}

function verdictOf(judgement: Judgement): Verdict {
  if (judgement.allowed) return judgement;
  return { allowed: false, code: 403, reason: 'Forbidden', message: judgement.message };
}

const VOTE = `${GROUP}/vote-`;
const CREATOR = `${GROUP}/created-by`;

/**
 * Signalbox alone writes these, and nobody else may change or take away one that is there. That of the creator is
 * written anew when a run is created, which may be a copy of another one.
 */
function forgeries(before: ReviewedObject | undefined, { metadata }: ReviewedObject) {
  const names = changedKeys(before?.metadata.annotations ?? {}, metadata.annotations ?? {});
  return names
    .filter((name) => name.startsWith(VOTE) || (name === CREATOR && before !== undefined))
    .map((name) => ({ field: fieldOf(name), message: 'is written by Signalbox alone: leave it as it is' }));
}
