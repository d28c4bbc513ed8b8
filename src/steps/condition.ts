import { BOOLEAN, mapOf } from '../engine/type.ts';
import type { InlineStepType } from './step-type.ts';

/** Decides which of two branches runs; the engine does that by itself. */
export const condition: InlineStepType = {
  kind: 'Inline',
  resolve: (spec) => spec,
  outputs: () => mapOf({ result: BOOLEAN }),
  expressions(spec) {
    const source = 'condition' in spec ? spec.condition?.if : undefined;
    return source === undefined ? [] : [{ field: 'condition.if', source, variables: {}, needed: BOOLEAN }];
  },
};
