import { type ApprovalStatus, MAX_COMMENT, type UnsignedVote, type Vote } from '../api/approval-status.ts';
import { GROUP, scalar, type Scalar } from '../api/common.ts';
import type { Workflow, WorkflowRun } from '../api/resources.ts';
import type { StepStatus } from '../api/workflow-run.ts';
import { askedAt, lastVotes, type Question, resolveFields } from './ballot.ts';
import { CREATED_BY, createdBy, creatorOf, RUN_BY, runBy } from './created-by.ts';
import { didYouMean } from './suggest.ts';
import { approverOf, type Teams, type UserInfo } from './teams.ts';
import { cut, MAX_QUOTE, strangeCharacter } from './text.ts';
import {
  isCounted,
  isSigned,
  readVote,
  type Sealing,
  signVote,
  VOTE_PREFIX,
  voteAnnotation,
} from './vote.ts';

// What admission says to those who vote: whether they may, and what is recorded of it. Nothing here is trusted when the
// votes are counted but the signature.

/** What people ask for by an annotation, and what that means. */
const REQUESTS = { approve: 'Approve', reject: 'Reject', withdraw: 'Withdraw' } as const;
type Request = keyof typeof REQUESTS;
const annotation = (name: Request | 'comment' | 'fields') => `${GROUP}/${name}`;
const REQUEST_NAMES = ['approve', 'reject', 'withdraw'] as const satisfies Request[];
const DETAILS = ['comment', 'fields'] as const;
const DONE = { Approve: 'approved', Reject: 'rejected', Withdraw: 'withdrawn' } as const;

/** Longest value of `signalbox.dev/fields`. */
const MAX_FIELDS = 4096;
const NO_TEXT = 'which is a character that nobody can read';

/** Allowed, with the annotations to set, and with null those to remove; or why not, as a sentence for people. */
export type Judgement =
  | { allowed: true; changes: Readonly<Record<string, string | null>> }
  | { allowed: false; message: string };

export interface CreateReview {
  run: WorkflowRun;
  user: UserInfo;
  sealing: Sealing;
  /** Milliseconds since the epoch. */
  now: number;
}

export interface UpdateReview extends Omit<CreateReview, 'run'> {
  /** The run as it is stored. What is asked and of whom is read here and nowhere else. */
  before: WorkflowRun;
  /** The run as somebody wants to have it. */
  after: WorkflowRun;
  teams: Teams;
}

/** Judges the creation of a run by a person: nobody has voted on it, and who creates it is put on record. */
export function judgeCreate({ run, user, sealing, now }: CreateReview): Judgement {
  const given = Object.keys(run.metadata.annotations ?? {}).filter(isOfVotes);
  if (given.length > 0) {
    return refuse(
      `A run can not be created with a vote on it: remove the annotation ${cut(given[0] ?? '', MAX_QUOTE)}.`,
    );
  }
  return { allowed: true, changes: { [CREATED_BY]: createdBy(run.metadata, user.username, sealing, now) } };
}

export interface WorkflowReview extends Omit<CreateReview, 'run'> {
  /** Absent when the workflow is being created. */
  before: Workflow | undefined;
  after: Workflow;
}

/** Judges an update of a workflow by a person, as far as it asks for a run: who asks is put on record. */
export function judgeWorkflow({ before, after, user, sealing, now }: WorkflowReview): Judgement {
  const [old, next] = [before?.metadata.annotations ?? {}, after.metadata.annotations ?? {}];
  const asks = next[RUN] !== undefined && next[RUN] !== old[RUN];
  if (asks)
    return { allowed: true, changes: { [RUN_BY]: runBy(after.metadata, user.username, sealing, now) } };
  if (next[RUN_BY] === old[RUN_BY]) return { allowed: true, changes: {} };
  return refuse(`${RUN_BY} is written by Signalbox alone: to start a run, set ${RUN}=now.`);
}

const RUN = `${GROUP}/run`;

const isOfVotes = (name: string): boolean =>
  name.startsWith(VOTE_PREFIX) || [...REQUEST_NAMES, ...DETAILS].some((one) => name === annotation(one));

/** Judges an update of a run by a person, as far as votes go, and makes what it asks for into a signed vote. */
export function judgeUpdate(review: UpdateReview): Judgement {
  const changed = changedIn(review);
  const forged = changed.find((name) => name.startsWith(VOTE_PREFIX) || name === CREATED_BY);
  if (forged !== undefined) {
    return refuse(
      `${cut(forged, MAX_QUOTE)} is written by Signalbox alone: to vote, set ${annotation('approve')}=STEP or ${annotation('reject')}=STEP.`,
    );
  }
  const { annotations = {} } = review.after.metadata;
  const asked = REQUEST_NAMES.filter(
    (name) => changed.includes(annotation(name)) && annotations[annotation(name)] !== undefined,
  );
  const details = DETAILS.filter(
    (name) => changed.includes(annotation(name)) && annotations[annotation(name)] !== undefined,
  );
  const [request, second] = asked;
  if (second !== undefined)
    return refuse(
      `One vote at a time: set ${annotation(asked[0] ?? 'approve')} or ${annotation(second)}, not both.`,
    );
  if (request !== undefined) return judgeRequest(review, request);
  if (details[0] !== undefined)
    return refuse(
      `${annotation(details[0])} goes with a vote: set ${annotation('approve')}=STEP or ${annotation('reject')}=STEP as well.`,
    );
  return { allowed: true, changes: cleared(review) };
}

const refuse = (message: string): Judgement => ({ allowed: false, message });

/** Names of the annotations of votes that an update adds, changes or removes. */
function changedIn({ before, after }: UpdateReview): string[] {
  const [old, next] = [before.metadata.annotations ?? {}, after.metadata.annotations ?? {}];
  const names = new Set([...Object.keys(old), ...Object.keys(next)]);
  return [...names].filter((name) => (isOfVotes(name) || name === CREATED_BY) && old[name] !== next[name]);
}

/** Requests that are served leave nothing behind; nor does one that came past admission, and was nobody's vote. */
function cleared({ after }: UpdateReview): Record<string, null> {
  const { annotations = {} } = after.metadata;
  const names = [...REQUEST_NAMES, ...DETAILS]
    .map(annotation)
    .filter((name) => annotations[name] !== undefined);
  return Object.fromEntries(names.map((name) => [name, null]));
}

function judgeRequest(review: UpdateReview, request: Request): Judgement {
  const { before, after, sealing } = review;
  const step = after.metadata.annotations?.[annotation(request)] ?? '';
  const row = waitingRow(before, step, review.now);
  if (typeof row === 'string') return refuse(row);
  const vote = voteFrom(review, request, row);
  if (typeof vote === 'string') return refuse(vote);
  const signed = signVote(before.metadata.uid ?? '', vote, sealing);
  return { allowed: true, changes: { ...cleared(review), [voteAnnotation(vote)]: JSON.stringify(signed) } };
}

type Asked = StepStatus & { approval: ApprovalStatus; attempt: number };

/** The row of a step that waits for approval, or why it does not. */
function waitingRow({ metadata, status = {} }: WorkflowRun, step: string, now: number): Asked | string {
  const { finishedAt, phase = 'Pending', steps = [] } = status;
  const shown = cut(JSON.stringify(step), MAX_QUOTE);
  if (metadata.deletionTimestamp !== undefined) return 'The run is being deleted.';
  if (finishedAt !== undefined) return `The run has ended already: it is ${phase}.`;
  const row = steps.find(({ name }) => name === step);
  const approvals = steps.filter(({ type }) => type === 'approval').map(({ name }) => name);
  if (!row) {
    if (approvals.length === 0) return `The run has no step ${shown}, and none that asks for approval.`;
    return `The run has no step ${shown}: the steps that ask for approval are ${approvals.join(', ')}.${didYouMean(step, approvals)}`;
  }
  const { type, attempt, approval } = row;
  if (type !== 'approval')
    return `Step ${step} is of type ${type}, and asks nobody for approval.${didYouMean(step, approvals)}`;
  if (row.phase === 'Pending') return `Step ${step} does not wait for approval yet.`;
  if (row.phase !== 'Running')
    return `Step ${step} is decided already: ${row.reason} (${row.summary ?? row.phase}).`;
  if (!approval || attempt === undefined)
    return `Step ${step} does not say what it asks: its status was changed by hand. Try again.`;
  if (now >= Date.parse(approval.deadline))
    return `The time to decide on step ${step} was over at ${approval.deadline}.`;
  return { ...row, approval, attempt };
}

/** The vote as it is recorded, or why it is none. */
function voteFrom(review: UpdateReview, request: Request, row: Asked): UnsignedVote | string {
  const { before, user, teams, now } = review;
  const { name: step, approval } = row;
  const { username } = user;
  const as = approverOf(user, approval.approvers, teams);
  if (as === undefined)
    return `${username} may not decide on step ${step}: it asks ${approval.approvers.join(', ')}.`;
  const own = whyOwn(review);
  if (request === 'approve' && own !== undefined && !approval.allowSelf) return own;
  const last = lastVoteOf(review, row);
  const known = knownProblem(request, step, last);
  if (known !== undefined) return known;
  const said = detailsOf(review, request, approval);
  if (typeof said === 'string') return said;
  return {
    step,
    round: before.status?.round ?? 0,
    attempt: row.attempt,
    asked: askedAt(row),
    digest: approval.digest,
    user: username,
    as,
    own: own !== undefined,
    decision: REQUESTS[request],
    ...said,
    // Clocks of replicas differ: what is said later is later.
    time: new Date(
      Math.max(now, Date.parse(askedAt(row)), last ? Date.parse(last.time) + 1 : 0),
    ).toISOString(),
  };
}

/** Why a user counts as the one whose run it is, if so. */
function whyOwn({ before, user, sealing }: UpdateReview): string | undefined {
  const { username } = user;
  const others = 'somebody else has to approve it';
  const creator = creatorOf(before, sealing);
  if (creator === undefined) {
    return 'It is not on record who started this run, so that nobody can approve it: it was created past the admission of Signalbox. Create another run.';
  }
  if (creator.kind === 'User' && creator.user === username) return `${username} started this run: ${others}.`;
  const { by, git } = before.spec.trigger;
  if (isPerson(by, username)) return `This run was started by ${by}: ${others}.`;
  if (isPerson(git?.author, username)) return `${username} wrote the commit of this run: ${others}.`;
  return undefined;
}

/** Whether `Jane Doe <jane@example.com>`, or a part of it, is this user. */
function isPerson(text: string | undefined, username: string): boolean {
  if (text === undefined) return false;
  const [, name = text, mail = ''] = /^([^<]*)<([^>]*)>$/.exec(text) ?? [];
  return [text, name, mail].some((one) => one.trim().toLowerCase() === username.toLowerCase());
}

/** What a user said last on a step, as it waits now. */
function lastVoteOf({ before, user, sealing }: UpdateReview, row: Asked): Vote | undefined {
  const { annotations = {}, uid = '' } = before.metadata;
  const written = Object.entries(annotations).flatMap(([name, text]) =>
    name.startsWith(VOTE_PREFIX) ? (readVote(text) ?? []) : [],
  );
  const heard = written.filter((vote) => isSigned(uid, vote, sealing));
  const counted = (row.approval.votes ?? []).filter((vote) => isCounted(uid, vote, sealing));
  const votes = [...heard, ...counted];
  return lastVotes(votes, questionIn(before, row)).find((vote) => vote.user === user.username);
}

function questionIn({ status }: WorkflowRun, row: Asked): Question {
  const { digest, deadline, approvers, allowSelf = false, fields = [] } = row.approval;
  const { name: step, attempt } = row;
  return {
    step,
    round: status?.round ?? 0,
    attempt,
    asked: askedAt(row),
    digest,
    deadline,
    approvers,
    allowSelf,
    fields,
  };
}

/** What keeps somebody from voting who has voted, or from taking back what there is not. */
function knownProblem(request: Request, step: string, last: Vote | undefined): string | undefined {
  const standing = last?.decision === 'Withdraw' ? undefined : last;
  if (request === 'withdraw')
    return standing ? undefined : `There is no vote of yours on step ${step} to withdraw.`;
  if (!standing || (request === 'reject' && standing.decision === 'Approve')) return undefined;
  return `You have ${DONE[standing.decision]} step ${step} already, at ${standing.time}: to take it back, set ${annotation('withdraw')}=${step}.`;
}

type Said = Pick<UnsignedVote, 'comment' | 'fields'>;

/** The comment and the fields of a vote, or what is wrong with them. */
function detailsOf({ after }: UpdateReview, request: Request, approval: ApprovalStatus): Said | string {
  const { annotations = {} } = after.metadata;
  const comment = annotations[annotation('comment')];
  const given = annotations[annotation('fields')];
  if (comment !== undefined && comment.length > MAX_COMMENT) {
    return `${annotation('comment')} has ${comment.length} characters: use at most ${MAX_COMMENT}.`;
  }
  const strange = strangeCharacter(comment ?? '');
  if (strange !== undefined) return `${annotation('comment')} holds ${strange}, ${NO_TEXT}: leave it out.`;
  if (given !== undefined && request !== 'approve')
    return `${annotation('fields')} goes with ${annotation('approve')} alone: remove it.`;
  const words = comment === undefined || comment === '' ? {} : { comment };
  if (request !== 'approve') return words;
  const fields = fieldsFrom(given);
  if (typeof fields === 'string') return fields;
  const resolved = resolveFields(approval.fields ?? [], fields);
  if (!resolved.ok)
    return `The fields of the approval are not right: ${resolved.problems.join('; ').replace(/[^.?]$/, '$&.')}`;
  return Object.keys(fields).length > 0 ? { ...words, fields } : words;
}

function fieldsFrom(text: string | undefined): Record<string, Scalar> | string {
  if (text === undefined) return {};
  const must = `${annotation('fields')} must be a JSON object of strings, numbers and booleans, such as {"ticket": "T-1"}`;
  if (text.length > MAX_FIELDS) return `${must}, of at most ${MAX_FIELDS} characters.`;
  const fields = parseObject(text);
  if (!fields) return `${must}, and is ${cut(text, MAX_QUOTE)}.`;
  const strange = Object.entries(fields).flat().map(String).map(strangeCharacter).find(Boolean);
  return strange === undefined
    ? fields
    : `${annotation('fields')} holds ${strange}, ${NO_TEXT}: leave it out.`;
}

function parseObject(text: string): Record<string, Scalar> | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const entries = Object.entries(value).map(([name, one]) => [name, scalar.safeParse(one)] as const);
  if (entries.some(([, one]) => !one.success)) return undefined;
  return Object.fromEntries(
    entries.flatMap(([name, one]) => (one.success ? [[name, one.data] as const] : [])),
  );
}
