import type { EnvVar } from 'kubernetes-types/core/v1.d.ts';
import type { ScriptStep } from '../api/script-step.ts';
import type { FinallyStep, Step } from '../api/step.ts';
import { literal, plainVariables, secretVariables } from './environment.ts';
import type { JobStepType } from './step-type.ts';

/**
 * Runs source code given in the workflow. The source is an argument of its interpreter and never a template, so
 * no value from outside can become code: values come by environment.
 */
export const script: JobStepType = {
  kind: 'Job',

  resolve(spec, { text }) {
    const source = scriptOf(spec);
    if (!source.env) return spec;
    const env = Object.fromEntries(
      Object.entries(source.env).map(([name, value]) => [name, text(`script.env.${name}`, value)]),
    );
    return { ...spec, script: { ...source, env } };
  },

  program(spec, { images }) {
    const source = scriptOf(spec);
    return { image: source.image ?? images.script, command: commandOf(source), env: environmentOf(source) };
  },
};

function scriptOf(spec: Step | FinallyStep): ScriptStep {
  if (spec.script) return spec.script;
  throw new TypeError(`step ${spec.name} is no script step`);
}

function commandOf(source: ScriptStep): string[] {
  if (source.bash !== undefined) return ['bash', '-eo', 'pipefail', '-c', literal(source.bash)];
  if (source.python !== undefined) return ['python3', '-c', literal(source.python)];
  return ['node', '-e', literal(source.node ?? '')];
}

function environmentOf(source: ScriptStep): EnvVar[] {
  const plain = plainVariables(source.env ?? {});
  return [...plain, ...secretVariables(source.secrets ?? {})];
}
