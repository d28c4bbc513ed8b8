import type { Param } from '../api/param.ts';
import type { Trigger, TriggerTypeName } from '../api/trigger.ts';
import type { WorkflowRunTrigger } from '../api/workflow-run.ts';
import type { Problem } from '../engine/model.ts';

/** What is to be known of one kind of trigger, beside what it does. */
export interface TriggerType<N extends TriggerTypeName> {
  /** What its runs, and the lists of workflows, say of it. */
  kind: WorkflowRunTrigger['type'];
  /**
   * What the schema can not say of it.
   *
   * @param at path of its settings, for example `spec.triggers[0].schedule`
   * @param params what the workflow declares
   */
  problems(settings: NonNullable<Trigger[N]>, at: string, params: readonly Param[]): Problem[];
}
