import type { ApprovalStatus, Vote } from '../../src/api/approval-status.ts';
import type { WorkflowRun } from '../../src/api/resources.ts';
import type { StepStatus, WorkflowRunStatus } from '../../src/api/workflow-run.ts';
import type { CastVote } from './ballots.ts';
import type { DrawnStep, DrawnWorkflow } from './drawn.ts';
import type { DrawnApproval } from './drawn-approval.ts';
import type { Circumstances } from './ended.ts';
import type { Made } from './history.ts';
import { PEOPLE, type PersonId } from './people.ts';

const asked = '2030-01-01T00:00:00.000Z';

// What the tests of the rules say: steps that were drawn, and what became of them.

/** A script that succeeds at its first attempt, unless something else is said of it. */
export const drawn = (name: string, more: Partial<DrawnStep> = {}): DrawnStep => ({
  name,
  isFinal: false,
  waitsFor: [],
  runIf: 'Success',
  forgiven: false,
  gate: { kind: 'None' },
  reads: undefined,
  expected: { phase: 'Succeeded', reason: 'Completed', attempts: 1 },
  spec: { name },
  ...more,
});

export const failing = { expected: { phase: 'Failed', reason: 'ExitCode', attempts: 1 } } as const;

export const workflowOf = (...steps: DrawnStep[]): DrawnWorkflow => ({
  name: 'w',
  steps,
  startedBy: 'ann',
  children: [],
  spec: { steps: [] },
});

/** A row as `name Phase Reason attempt`. */
export function row(text: string, more: Partial<StepStatus> = {}): StepStatus {
  const [name = '', phase = 'Pending', reason, attempt] = text.split(' ');
  return {
    name,
    type: 'script',
    phase: phase as StepStatus['phase'],
    ...(reason ? { reason } : {}),
    ...(attempt ? { attempt: Number(attempt) } : {}),
    ...more,
  };
}

export function runOf(
  phase: string,
  steps: StepStatus[],
  more: Partial<WorkflowRunStatus> = {},
): WorkflowRun {
  const status = {
    phase: phase as NonNullable<WorkflowRunStatus['phase']>,
    startedAt: asked,
    steps,
    ...more,
  };
  return {
    apiVersion: 'signalbox.dev/v1alpha1',
    kind: 'WorkflowRun',
    metadata: { name: 'r', resourceVersion: '10' },
    spec: { workflowRef: { name: 'w' }, trigger: { type: 'Manual' } },
    status,
  };
}

export const quiet: Circumstances = {
  mayBeCancelled: false,
  forgotten: new Set(),
  child: () => undefined,
  votes: () => [],
};

export const made = (kind: Made['kind'], name: string, more: Partial<Made> = {}): Made => ({
  kind,
  name,
  uid: `${kind} ${name}`,
  run: 'r',
  step: 'a',
  row: 'a',
  attempt: 1,
  createdAt: 20,
  object: {},
  deleted: false,
  ...more,
});

/** An approval by ann and ben, of whom one is enough, unless something else is said of it. */
export const approvalOf = (more: Partial<DrawnApproval> = {}): DrawnApproval => ({
  approvers: ['user:ann@example.com', 'user:ben@example.com'],
  required: 1,
  allowSelf: false,
  fields: [],
  expires: false,
  hasFollowUp: false,
  voters: [],
  ...more,
});

export const asking = (name: string, more: Partial<DrawnApproval> = {}) =>
  drawn(name, { approval: approvalOf(more) });

/** A vote on step `a`, taken in that second. */
export function cast(
  who: PersonId,
  decision: Vote['decision'],
  second: number,
  more: Partial<Vote> = {},
): CastVote {
  const user = PEOPLE[who].name;
  const vote: Vote = {
    step: 'a',
    round: 0,
    attempt: 1,
    asked,
    digest: '',
    user,
    as: `user:${user}`,
    own: false,
    decision,
    time: new Date(Date.parse(asked) + second * 1000).toISOString(),
    signature: `${who} ${second}`,
    ...more,
  };
  return { run: 'r', step: 'a', version: second, vote };
}

/** What the status says of an approval, an hour long, on which these votes were counted. */
export const askedOf = (votes: readonly CastVote[], more: Partial<DrawnApproval> = {}): ApprovalStatus => {
  const { approvers, required } = approvalOf(more);
  return {
    approvers: [...approvers],
    required,
    deadline: '2030-01-01T01:00:00.000Z',
    digest: '',
    votes: votes.map(({ vote }) => ({ ...vote, signature: 'counted' })),
  };
};
