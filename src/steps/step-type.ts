import type { EnvVar } from 'kubernetes-types/core/v1.d.ts';
import type { RunPhase, StepStatus, WorkflowRunTrigger } from '../api/workflow-run.ts';
import type { FinallyStep, Step } from '../api/step.ts';
import type { Evaluation, Result, StepResolver } from '../engine/model.ts';
import type { Egress } from './egress.ts';

/** What a step runs in its container; everything around it is the same for all steps and made in `job.ts`. */
export interface Program {
  image: string;
  command: string[];
  env: EnvVar[];
}

/** Images that steps run in unless they name their own. */
export interface Images {
  script: string;
}

/** A step that runs in a pod. */
export interface JobStepType extends StepResolver {
  kind: 'Job';
  /** @param spec the step with its templates replaced by their values */
  program(spec: Step | FinallyStep, images: Images): Program;
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

/** A step that the engine decides by itself. */
export interface InlineStepType extends StepResolver {
  kind: 'Inline';
}

export type StepType = JobStepType | CallStepType | RunStepType | InlineStepType;

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
