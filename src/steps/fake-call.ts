import type { FinallyStep, Step } from '../api/step.ts';
import { compileExpression } from '../engine/expression.ts';
import { createEgress } from './egress.ts';
import { CallError, type CallContext, type CallStepType, type KeyReference } from './step-type.ts';

/** The time of every fake call, in milliseconds since the epoch. */
export const NOW = Date.UTC(2026, 0, 5, 12);

export interface FakeWorld {
  /** Values by `name/key`. */
  secrets?: Record<string, string>;
  configMaps?: Record<string, string>;
  more?: Partial<CallContext>;
}

/**
 * What a call of a test has of the world: the Secrets and ConfigMaps that the test names, the expressions of the step
 * as the engine evaluates them, and the real way out, with 127.0.0.1 allowed.
 */
export function fakeContext(
  type: CallStepType,
  spec: Step | FinallyStep,
  { secrets = {}, configMaps = {}, more = {} }: FakeWorld = {},
): CallContext {
  const read = (kind: string, values: Record<string, string>) => async (reference: KeyReference) => {
    const value = values[`${reference.name}/${reference.key}`];
    if (value !== undefined) return value;
    throw new CallError(`${kind}NotFound`, `There is no ${kind} ${reference.name} in namespace api.`);
  };
  return {
    idempotencyKey: 'deploy-test-1',
    run: {
      namespace: 'api',
      name: 'deploy',
      workflow: 'deploy',
      outcome: 'Running',
      ended: false,
      trigger: { type: 'Manual' },
      steps: [],
    },
    signal: new AbortController().signal,
    secret: read('Secret', secrets),
    configMap: read('ConfigMap', configMaps),
    evaluate: (field, variables) => evaluate(type, spec, field, variables),
    egress: createEgress({ allow: ['127.0.0.1'], deny: [] }),
    now: () => NOW,
    ...more,
  };
}

function evaluate(
  type: CallStepType,
  spec: Step | FinallyStep,
  field: string,
  variables: Record<string, unknown>,
) {
  const declared = type.expressions?.(spec).find((expression) => expression.field === field);
  if (!declared) return { error: `${field} is no expression` };
  const none = new Set<string>();
  const scope = {
    params: new Map(),
    outputs: new Map(),
    before: none,
    steps: none,
    behind: none,
    run: ['name'],
  };
  const compiled = compileExpression(declared.source, { ...scope, variables: declared.variables });
  if (!compiled.ok) return { error: compiled.problems.join('; ') };
  return compiled.expression.evaluate({
    params: {},
    trigger: { type: 'Manual' },
    run: { name: 'deploy', namespace: 'api', uid: '1' },
    workflow: { name: 'deploy' },
    step: () => ({ phase: 'Pending', summary: '', outputs: {} }),
    variables,
  });
}
