import type { Vote } from '../api/approval-status.ts';
import type { Scalar } from '../api/common.ts';
import type { ConcurrencyPolicy } from '../api/concurrency.ts';
import type { FinallyStep, Step, StepTypeName } from '../api/step.ts';
import type { StepStatus, WorkflowRunStatus, WorkflowRunTrigger } from '../api/workflow-run.ts';
import type { Evaluation, Expression } from './expression.ts';
import type { PlanReference } from './plan-reference.ts';
import type { Template } from './template.ts';
import type { Type } from './type.ts';
import type { TypesOf } from './type-check.ts';

export type { Evaluation };

/** Something wrong with a workflow or with what a run was given: where it is, and how to mend it. */
export interface Problem {
  /** Path of the field, for example `spec.steps[2].dependsOn[0]`. */
  field: string;
  /** A sentence that says what is wrong and what to do. */
  message: string;
}

/** One step with its place in the graph worked out, and everything in it parsed. */
export interface Node {
  name: string;
  type: StepTypeName;
  spec: Step | FinallyStep;
  /** Path of the step in the workflow, for example `spec.steps[2]`. */
  field: string;
  /** Names of the steps that it waits for; in `finally`, the step before it. */
  waitsFor: readonly string[];
  finally: boolean;
  runIf: 'Success' | 'Failure' | 'Always';
  /** How its attempts are carried out. */
  kind: StepKind;
  when?: Expression;
  /** The strings with `${{ }}` in them, by the path that its type gives them. */
  templates: ReadonlyMap<string, Template>;
  /** What its type declared, by path. */
  expressions: ReadonlyMap<string, Expression>;
  /** The branch of a condition, or of an approval that may be rejected, that it belongs to. */
  branch?: Branch;
  /** Of an approval: the plans that it is about. */
  approves?: readonly PlanReference[];
  /** The approvals before it, which must have been given with signed votes, whatever the status of the run says. */
  guards?: readonly Guard[];
  forEach?: ForEachPlan;
  /** Of an instance: which one of its step it is. */
  instance?: { index: number; of: Node };
  /** The row whose message it brings up to date, instead of sending one. */
  updates?: StepStatus;
  /** Its failure never counts. */
  forgiven: boolean;
  /** How long one attempt may run, in milliseconds; infinite for a run that has its own limits. */
  timeout: number;
  /** How long one attempt may take to begin to run, in milliseconds. */
  pendingTimeout: number;
  /** How long one attempt may take to end in good order once it is stopped, in milliseconds. */
  gracePeriod: number;
}

/**
 * How the attempts of a step are carried out: as a Job, by a call of the operator, as another run, by people who vote,
 * or not at all.
 */
export type StepKind = 'Job' | 'Call' | 'Run' | 'Approval' | 'Inline';

/** One side of a condition; `else` is also what follows the rejection of an approval. */
export interface Branch {
  condition: string;
  side: 'then' | 'else';
}

/** An approval before a step. */
export interface Guard {
  approval: string;
  /** It is asked in every run that comes to the step; otherwise it may have been left out. */
  certain: boolean;
}

/** What the instances of a step are made from. */
export interface ForEachPlan {
  /** The list itself, or what gives it. */
  items: readonly unknown[] | Expression;
  key?: Expression;
  maxParallel: number;
  failFast: boolean;
}

/** What can be told about a run: it began, it waits, people decided or did not, it succeeded, it failed or timed out. */
export type NotificationEvent =
  | 'onStart'
  | 'onWaiting'
  | 'onApproved'
  | 'onRejected'
  | 'onExpired'
  | 'onSuccess'
  | 'onFailure';

/** An event of a run, and what is sent when it happens. */
export interface Notification {
  event: NotificationEvent;
  node: Node;
}

/** A workflow that passed every check, ready to execute. Shared by all runs of a revision, so never changed. */
export interface Graph {
  /** All steps in the order of the workflow, those of `finally` last. */
  nodes: readonly Node[];
  /** The same with every step behind those that it waits for, and those of `finally` last. */
  order: readonly Node[];
  /** How long a run may take, in milliseconds. */
  timeout?: number;
  notifications: readonly Notification[];
  /** What a run that succeeded gives, by name. */
  outputs: ReadonlyMap<string, Expression>;
  concurrency?: { policy: ConcurrencyPolicy; key?: Template; limit?: number };
}

/** What came of one attempt of a step. */
export interface Result {
  /** Cancelled: it was stopped because somebody cancelled the run. */
  outcome: 'Succeeded' | 'Failed' | 'Cancelled';
  /** CamelCase, for example `ExitCode`, `OOMKilled`, `Evicted`. */
  reason: string;
  message?: string;
  summary?: string;
  outputs?: Record<string, unknown>;
  /** What a Terraform or an Ansible step did, beyond what all steps have. */
  details?: Pick<StepStatus, 'terraform' | 'ansible'>;
  /** What the program said itself when it was ended from outside: a sentence that goes behind the reason for that. */
  note?: string;
  /** When it ended, in milliseconds since the epoch. */
  finishedAt: number;
  /** UID of the Job or of the run that was started, when it is known. */
  uid?: string;
  /** What a program ended with. */
  exitCode?: number;
  /** It failed through no fault of the step, for example because its node was lost or nobody could be reached. */
  infrastructure?: true;
  /** It never began to run, through no fault of the step: tried again without counting. */
  notStarted?: true;
  /** How long the next attempt must wait at least, as the other side asked, in milliseconds. */
  retryAfterMs?: number;
}

/** What can be seen of the current attempt of a step. */
export type Observation = AttemptObservation | VotesObservation;

/** The votes on a step that bear a valid signature for this run; what they are about is still to be judged. */
export interface VotesObservation {
  state: 'Votes';
  votes: readonly Vote[];
}

/** What can be seen in the cluster of an attempt. */
export type AttemptObservation =
  /**
   * Nothing of it is there. `blocked` says why the last start failed, for example QuotaExceeded: it is shown like the
   * reason of `Waiting`, the start is tried again, and `pendingTimeout` counts.
   */
  | { state: 'Absent'; blocked?: { reason: string; message: string } }
  /** It was started and is on its way, with nothing worth telling; `pendingTimeout` counts. */
  | { state: 'Starting' }
  /** It was started and something keeps it from running, for example ImagePullBackOff; `pendingTimeout` counts. */
  | { state: 'Waiting'; reason: string; message: string }
  /** `queued` is the sentence that says what a run waits for which the attempt started, without any time limit. */
  | { state: 'Running'; queued?: string }
  | { state: 'Ended'; result: Result };

/** What the shell has to do once the status that a decision gives is written. Each is safe to repeat. */
export type Effect = StartEffect | StopEffect;

/** Stop this attempt; its end is then observed. */
export interface StopEffect {
  type: 'Stop';
  step: string;
  stepType: StepTypeName;
  attempt: number;
  id: string;
  /** Nobody waits for its end any more. */
  force?: true;
}

/** Start this attempt. */
export interface StartEffect {
  type: 'Start';
  /** Name of the row in the status: the step, or one instance of it, for example `plan[us]`. */
  step: string;
  attempt: number;
  /** Name of the attempt: of its Job or run, and what receivers of a call tell repeats by. */
  id: string;
  /** The step with its templates replaced by their values. */
  spec: Step | FinallyStep;
  /** What the step gave whose message is to be brought up to date, instead of sending one. */
  posted?: Record<string, unknown>;
  /** Evaluates an expression that the step's type declared, with further variables. */
  evaluate(field: string, variables: Record<string, unknown>): Evaluation;
}

/** What a run was started with, as expressions see it. */
export interface RunContext {
  name: string;
  namespace: string;
  uid: string;
  workflow: string;
  params: Record<string, Scalar>;
  trigger: WorkflowRunTrigger;
}

export interface Decision {
  /** The whole status to write; the same object as before when nothing changed. */
  status: WorkflowRunStatus;
  effects: Effect[];
  /** When to decide again if nothing is observed before, in milliseconds since the epoch. */
  wakeAt?: number;
}

/** Replaces the `${{ }}` in what a step says. `field` is the path below the step, for example `http.headers.Accept`. */
export interface Interpolation {
  /** The text with each expression replaced by the text of its value, as `escape` makes it safe where it stands. */
  text(field: string, text: string, escape?: (value: string) => string): string;
  /** The same, but text that is one expression and nothing else becomes its value, which must be a scalar. */
  scalar(field: string, value: Scalar): Scalar;
}

/** A CEL expression in what a step says. */
export interface DeclaredExpression {
  /** Path below the step, for example `http.outputs.version`. */
  field: string;
  source: string;
  /** Variables that it can read beside those of every expression, for example `response`. */
  variables: TypesOf;
  /** What it must give. Default: anything. */
  needed?: Type;
}

/** How the engine deals with a type of step without knowing it. */
export interface StepResolver {
  kind: StepKind;
  /**
   * The step with its templates replaced. The engine learns from it which strings are templates, so that each is asked
   * for in every call, whatever the others are.
   */
  resolve(spec: Step | FinallyStep, interpolation: Interpolation): Step | FinallyStep;
  /** Expressions to be evaluated while the step runs; none when absent. */
  expressions?(spec: Step | FinallyStep): DeclaredExpression[];
  /** What its outputs are, as far as that is known before; not at all, when absent. */
  outputs?(spec: Step | FinallyStep): Type;
  /** Whether a failure is forgiven even without `continueOnError`; not, when absent. */
  forgives?(spec: Step | FinallyStep): boolean;
}
