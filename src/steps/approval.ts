import { DECLARED, mapOf } from '../engine/type.ts';
import type { ApprovalStepType } from './step-type.ts';

/** Waits for people; the engine counts their votes. */
export const approval: ApprovalStepType = {
  kind: 'Approval',
  outputs(spec) {
    const fields = ('approval' in spec ? spec.approval?.fields : undefined) ?? [];
    return mapOf(Object.fromEntries(fields.map(({ name, type }) => [name, DECLARED[type]])));
  },
  resolve(spec, { text }) {
    if (!('approval' in spec) || spec.approval?.message === undefined) return spec;
    return {
      ...spec,
      approval: { ...spec.approval, message: text('approval.message', spec.approval.message) },
    };
  },
};
