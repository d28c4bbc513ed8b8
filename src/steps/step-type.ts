import type { EnvVar, Volume } from 'kubernetes-types/core/v1.d.ts';
import type { ProjectSpec } from '../api/project.ts';
import type { TerraformDetails } from '../api/runner.ts';
import type { RunPhase, StepStatus, WorkflowRunTrigger } from '../api/workflow-run.ts';
import type { FinallyStep, Step } from '../api/step.ts';
import type { Evaluation, Result, StepResolver } from '../engine/model.ts';
import type { Egress } from './egress.ts';

/** What a step runs in its container; everything around it is the same for all steps and made in `job.ts`. */
export interface Program {
  image: string;
  /** Default: the entrypoint of the image. */
  command?: string[];
  env: EnvVar[];
  /** What is mounted beside the folders that every step has. */
  mounts?: Mount[];
  /** How long it may take to end once it is stopped. Default: that of Kubernetes. */
  gracePeriodSeconds?: number;
  /** The service account that its Project names; that of the step's own pod settings counts more. */
  serviceAccountName?: string;
  /** It is our runner: process 1 of its container, and what it leaves is a report. */
  isRunner?: true;
  /** It must not be moved to another node while it works. */
  keepOnNode?: true;
}

/** A volume and where it goes. */
export interface Mount {
  volume: Volume;
  path: string;
  writable?: true;
}

/** Images that steps run in unless they name their own. */
export interface Images {
  script: string;
  opentofu: string;
  terraform: string;
  ansible: string;
}

/** Where runners reach the operator, and how they show what they may do. */
export interface RunnerAccess {
  /** Base address of the runner API. */
  url: string;
  /** The CA of its certificate, in PEM. */
  ca: string;
  /** Signs what a pod may do, beyond what is the same for all attempts. */
  sign(grant: AttemptGrant): string;
}

/** What one attempt may do at the runner API. */
export interface AttemptGrant {
  project: string;
  /** Stands for the address and the ref of the source: attempts of a run that have it in common use one commit. */
  source: string;
  workspace?: string;
  managed: boolean;
  stateVersions: number;
  action?: 'plan' | 'apply' | 'destroy';
  plan?: { row: string; digest: string };
}

/** What a program is made from, beside what the step says. */
export interface ProgramContext {
  images: Images;
  /** @throws {ProgramError} ProjectNotFound */
  project(name: string): ProjectSpec;
  /** What the row of a Terraform step tells. */
  terraformOf(row: string): TerraformDetails | undefined;
  /** Evaluates an expression that the step declared. Never throws. */
  evaluate(field: string, variables: Record<string, unknown>): Evaluation;
  /** @throws {ProgramError} RunnerApiOff */
  access(): RunnerAccess;
}

/** What keeps the pod of a step from being made. */
export class ProgramError extends Error {
  override readonly name = 'ProgramError';
  /** CamelCase, for example `ProjectNotFound`. */
  readonly reason: string;
  /** Somebody may mend it while the step waits. */
  readonly passing: boolean;

  constructor(reason: string, message: string, { passing = false } = {}) {
    super(message);
    this.reason = reason;
    this.passing = passing;
  }
}

/** A step that runs in a pod. */
export interface JobStepType extends StepResolver {
  kind: 'Job';
  /**
   * @param spec the step with its templates replaced by their values
   * @throws {ProgramError}
   */
  program(spec: Step | FinallyStep, context: ProgramContext): Program;
}

/** A step that the operator carries out itself, by calling somebody over HTTP. */
export interface CallStepType extends StepResolver {
  kind: 'Call';
  /**
   * Calls, once. Never throws: what goes wrong is a result.
   *
   * @param spec the step with its templates replaced by their values
   */
  call(spec: Step | FinallyStep, context: CallContext): Promise<Result>;
  /** Brings what a call has sent up to date, from the outputs of that call; as `call`. Few types can. */
  update?(
    spec: Step | FinallyStep,
    posted: Readonly<Record<string, unknown>>,
    context: CallContext,
  ): Promise<Result>;
  /** Whether a call of which it is not known how far it came, since the operator was killed, is made again. */
  onInterrupt(spec: Step | FinallyStep): 'Retry' | 'Fail';
}

/** A step that starts a run of another workflow and waits for it. */
export interface RunStepType extends StepResolver {
  kind: 'Run';
}

/** A step that waits for people to vote. */
export interface ApprovalStepType extends StepResolver {
  kind: 'Approval';
}

/** A step that the engine decides by itself. */
export interface InlineStepType extends StepResolver {
  kind: 'Inline';
}

export type StepType = JobStepType | CallStepType | RunStepType | ApprovalStepType | InlineStepType;

/** What is told about a run to the outside. */
export interface RunFacts {
  namespace: string;
  name: string;
  workflow: string;
  environment?: string;
  /** What the run ended in, or ends in if nothing else happens. */
  outcome: RunPhase;
  /** Whether it has ended. */
  ended: boolean;
  reason?: string;
  message?: string;
  /** Milliseconds since the epoch. */
  startedAt?: number;
  finishedAt?: number;
  trigger: WorkflowRunTrigger;
  steps: readonly StepStatus[];
  /** The approval that the message is about, if it is about one. */
  about?: StepStatus;
}

/** One key of a Secret or ConfigMap. */
export interface KeyReference {
  name: string;
  key: string;
}

/** What a call has of the world. */
export interface CallContext {
  /** The same whenever this attempt is made again, and of no other attempt: receivers tell repeats by it. */
  idempotencyKey: string;
  run: RunFacts;
  /** Aborted when the attempt must end: its time is over, or somebody stopped it. */
  signal: AbortSignal;
  /**
   * The value of a key of a Secret that carries the label signalbox.dev/use: "true".
   * @throws {CallError} when it is not there or not labelled, with reason and message for the result
   */
  secret(reference: KeyReference): Promise<string>;
  /** The value of a key of a ConfigMap. @throws {CallError} when it is not there */
  configMap(reference: KeyReference): Promise<string>;
  /** Evaluates an expression that the step declared, with further variables. Never throws. */
  evaluate(field: string, variables: Record<string, unknown>): Evaluation;
  /** The way out, past the addresses that are refused. */
  egress: Egress;
  /** Milliseconds since the epoch. */
  now(): number;
}

/** What keeps a call from being made or from succeeding. */
export class CallError extends Error {
  override readonly name = 'CallError';
  /** CamelCase, for example `SecretNotFound`, `AddressRefused`. */
  readonly reason: string;

  constructor(reason: string, message: string) {
    super(message);
    this.reason = reason;
  }
}
