import type { Scalar } from '../api/common.ts';
import type { FinallyStep, Step, StepTypeName } from '../api/step.ts';
import type { WorkflowRunStatus } from '../api/workflow-run.ts';
import type { Expression } from './expression.ts';
import type { Template } from './template.ts';

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
  when?: Expression;
  /** The strings with `${{ }}` in them, by the path that its type gives them. */
  templates: ReadonlyMap<string, Template>;
  /** How long one attempt may run, in milliseconds. */
  timeout: number;
  /** How long one attempt may take to begin to run, in milliseconds. */
  pendingTimeout: number;
}

/** A workflow that passed every check, ready to execute. Shared by all runs of a revision, so never changed. */
export interface Graph {
  /** All steps in the order of the workflow, those of `finally` last. */
  nodes: readonly Node[];
  /** The same with every step behind those that it waits for, and those of `finally` last. */
  order: readonly Node[];
  /** How long a run may take, in milliseconds. */
  timeout?: number;
}

/** What came of one attempt of a step. */
export interface Result {
  outcome: 'Succeeded' | 'Failed';
  /** CamelCase, for example `ExitCode`, `OOMKilled`, `Evicted`. */
  reason: string;
  message?: string;
  summary?: string;
  outputs?: Record<string, unknown>;
  /** When it ended, in milliseconds since the epoch. */
  finishedAt: number;
  /** UID of the Job, when it is known. */
  jobUid?: string;
  /** The main container never started, through no fault of the step: tried again without counting. */
  infrastructure?: true;
}

/** What can be seen in the cluster of the current attempt of a step. */
export type Observation =
  /**
   * Nothing of it is there. `blocked` says why the last start failed, for example QuotaExceeded: it is shown like the
   * reason of `Waiting`, the start is tried again, and `pendingTimeout` counts.
   */
  | { state: 'Absent'; blocked?: { reason: string; message: string } }
  /** It was started and is on its way, with nothing worth telling; `pendingTimeout` counts. */
  | { state: 'Starting' }
  /** It was started and something keeps it from running, for example ImagePullBackOff; `pendingTimeout` counts. */
  | { state: 'Waiting'; reason: string; message: string }
  | { state: 'Running' }
  | { state: 'Ended'; result: Result };

/** What the shell has to do once the status that a decision gives is written. Each is safe to repeat. */
export type Effect =
  /** Start this attempt; the step's templates are replaced by their values. */
  | { type: 'Start'; step: string; attempt: number; job: string; spec: Step | FinallyStep }
  /** Stop this attempt gracefully; its end is then observed. */
  | { type: 'Stop'; step: string; attempt: number; job: string };

/** What a run was started with, as expressions see it. */
export interface RunContext {
  name: string;
  namespace: string;
  uid: string;
  workflow: string;
  params: Record<string, Scalar>;
  trigger: { type: string };
}

export interface Decision {
  /** The whole status to write; the same object as before when nothing changed. */
  status: WorkflowRunStatus;
  effects: Effect[];
  /** When to decide again if nothing is observed before, in milliseconds since the epoch. */
  wakeAt?: number;
}

/**
 * How the engine deals with a type of step without knowing it.
 * `interpolate(field, text)` replaces the `${{ }}` of one string; `field` is its path below the step. The engine
 * learns from it which strings are templates, so that each is asked for in every call, whatever the others are.
 */
export interface StepResolver {
  resolve(spec: Step | FinallyStep, interpolate: (field: string, text: string) => string): Step | FinallyStep;
}
