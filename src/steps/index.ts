import type { StepTypeName } from '../api/step.ts';
import { condition } from './condition.ts';
import { script } from './script.ts';
import type { StepType } from './step-type.ts';
import { workflow } from './workflow.ts';

/** Every type of step, by the member of a step that chooses it. */
export const stepTypes: Record<StepTypeName, StepType> = { script, condition, workflow };

export type { Images } from './step-type.ts';
