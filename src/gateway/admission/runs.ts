import * as z from 'zod';
import { CREATED_BY } from '../../engine/created-by.ts';
import type { Judgement } from '../../engine/judge-vote.ts';
import type { Problem } from '../../engine/model.ts';
import { VOTE_PREFIX } from '../../engine/vote.ts';
import type { MayDo } from './access.ts';
import { type Change, changedKeys, changesOf, deniedChanges, fieldOf, requestsOf } from './changes.ts';
import {
  type AdmissionRequest,
  forbidden,
  invalid,
  type ReviewedObject,
  type ReviewedUser,
  type Verdict,
} from './review.ts';
import { problemsOfRun, type Workflows } from './run-spec.ts';

/** Who records who made a run, and what people say about its steps. */
export interface Ballot {
  judgeCreate(run: ReviewedObject, user: ReviewedUser): Promise<Judgement>;
  /** What is put on record beside an annotation that asks for a run of a workflow. */
  runBy(workflow: ReviewedObject, user: ReviewedUser): string;
  judgeUpdate(before: ReviewedObject, after: ReviewedObject, user: ReviewedUser): Promise<Judgement>;
}

/** Judges a WorkflowRun that somebody creates or changes, and records who did. */
export async function reviewRun(
  request: AdmissionRequest,
  mayDo: MayDo,
  ballot: Ballot,
  workflows: Workflows,
): Promise<Verdict> {
  const { object, oldObject, userInfo } = request;
  const changes = oldObject
    ? changesOf('workflowruns', oldObject, object)
    : requestsOf('workflowruns', object);
  const reserved = [...forgeries(oldObject ?? undefined, object), ...pretences(oldObject, object)];
  if (reserved.length > 0) return forbidden(reserved);
  const who = userInfo.username;
  const name = oldObject ? object.metadata.name : undefined;
  const denied = await deniedChanges(changes, mayDo, { plural: 'workflowruns', name, who });
  if (denied.length > 0) return forbidden(denied);
  const problems = oldObject ? [] : await problemsOfRun(request, workflows);
  if (problems.length > 0) return invalid(problems);
  return verdictOf(await judge(request, changes, ballot));
}

async function judge(
  { object, oldObject, userInfo }: AdmissionRequest,
  changes: readonly Change[],
  ballot: Ballot,
): Promise<Judgement> {
  if (!oldObject) return ballot.judgeCreate(object, userInfo);
  const isVote = changes.some(({ verb }) => verb === 'approve');
  return isVote ? ballot.judgeUpdate(oldObject, object, userInfo) : { allowed: true, changes: {} };
}

function verdictOf(judgement: Judgement): Verdict {
  if (judgement.allowed) return judgement;
  return { allowed: false, code: 403, reason: 'Forbidden', message: judgement.message };
}

/**
 * Signalbox alone writes these, and nobody else may change or take away one that is there. That of the creator is
 * written anew when a run is created, which may be a copy of another one.
 */
function forgeries(before: ReviewedObject | undefined, { metadata }: ReviewedObject) {
  const names = changedKeys(before?.metadata.annotations ?? {}, metadata.annotations ?? {});
  return names
    .filter((name) => name.startsWith(VOTE_PREFIX) || (name === CREATED_BY && before !== undefined))
    .map((name) => ({ field: fieldOf(name), message: 'is written by Signalbox alone: leave it as it is' }));
}

const OURS = ['Schedule', 'Workflow'] as const;
const pretending = z.object({ trigger: z.object({ type: z.enum(OURS) }) });
const owned = z.object({ ownerReferences: z.array(z.looseObject({ kind: z.string(), uid: z.string() })) });

/**
 * What a schedule has started was started by nobody, and is approved as such; what a step has started counts for that
 * step, and is held by no limit.
 */
function pretences(before: ReviewedObject | null | undefined, after: ReviewedObject): Problem[] {
  const { data } = before ? {} : pretending.safeParse(after.spec);
  const type = data && {
    field: 'spec.trigger.type',
    message: `is ${data.trigger.type}, which Signalbox alone may say: leave spec.trigger out`,
  };
  const known = new Set(ownersIn(before));
  const isOwned = ownersIn(after).some((uid) => !known.has(uid));
  const owner = isOwned && {
    field: 'metadata.ownerReferences',
    message: 'names a run, which Signalbox alone may do: only a step has a run belong to another',
  };
  return [...(type ? [type] : []), ...(owner ? [owner] : [])];
}

/** UIDs of the runs that a run says it belongs to. */
function ownersIn(run: ReviewedObject | null | undefined): string[] {
  const { ownerReferences = [] } = owned.safeParse(run?.metadata).data ?? {};
  return ownerReferences.flatMap(({ kind, uid }) => (kind === 'WorkflowRun' ? [uid] : []));
}
