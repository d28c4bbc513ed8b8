import { type Trigger, TRIGGER_TYPES, type TriggerTypeName } from '../api/trigger.ts';
import type { WorkflowSpec } from '../api/workflow.ts';
import type { Problem } from '../engine/model.ts';
import { schedule } from './schedule.ts';
import type { TriggerType } from './trigger-type.ts';

/** Every kind of trigger, by the member of a trigger that chooses it. */
const triggerTypes: { readonly [N in TriggerTypeName]: TriggerType<N> } = { schedule };

/** What is wrong with the triggers of a workflow, each problem with the path of its field. */
export function triggerProblems({ triggers = [], params = [] }: WorkflowSpec): Problem[] {
  return triggers.flatMap((trigger, index) => {
    const field = `spec.triggers[${index}]`;
    const found = TRIGGER_TYPES.filter((type) => trigger[type] !== undefined);
    if (found.length !== 1) {
      const message = `must set exactly one of ${TRIGGER_TYPES.join(', ')}: it says what starts a run`;
      return [{ field, message }];
    }
    return found.flatMap((type) => problemsOf(type, trigger, `${field}.${type}`, params));
  });
}

function problemsOf(
  type: TriggerTypeName,
  trigger: Trigger,
  at: string,
  params: NonNullable<WorkflowSpec['params']>,
): Problem[] {
  const settings = trigger[type];
  return settings ? triggerTypes[type].problems(settings, at, params) : [];
}

/** What starts runs of a workflow, as lists show it. */
export function triggersText({ triggers = [] }: WorkflowSpec): string {
  const kinds = triggers.flatMap((trigger) =>
    TRIGGER_TYPES.filter((type) => trigger[type] !== undefined).map((type) => triggerTypes[type].kind),
  );
  return kinds.length === 0 ? 'Manual' : [...new Set(kinds)].join(',');
}
