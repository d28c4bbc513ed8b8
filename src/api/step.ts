import * as z from 'zod';
import { checks, duration, expression, name, objectName } from './common.ts';
import { podSettings } from './pod-settings.ts';

const source = (language: string, command: string) =>
  z
    .string()
    .min(1)
    .max(65_536)
    .optional()
    .meta({
      description: `Source in ${language}, run with ${command}. It is taken literally: values reach it through env.`,
    });

const variable = z.string().min(1).max(128);

const secretKey = z
  .strictObject({
    name: objectName('Secret'),
    key: z.string().min(1).max(253).meta({ description: 'Key in the Secret.' }),
  })
  .meta({ description: 'One key of a Secret in the namespace of the run.' });

const variableName = "k.matches('^[A-Za-z_][A-Za-z0-9_]{0,127}$') && !k.startsWith('SIGNALBOX_')";
const variableNames = checks({
  rule: `self.all(k, ${variableName})`,
  message:
    "can not be the name of a variable: use at most 128 letters, digits and '_', not starting with a digit or with SIGNALBOX_",
  culprit: `self.filter(k, !(${variableName}))[0]`,
});

/** Runs a program in a container. */
const scriptStep = z
  .strictObject({
    bash: source('Bash', 'bash -eo pipefail -c'),
    python: source('Python 3', 'python3 -c'),
    node: source('JavaScript', 'node -e'),
    image: z
      .string()
      .max(512)
      .optional()
      .meta({
        description:
          'Image to run in, with the interpreter on its PATH. Default: the script image of the operator.',
        ...checks({
          rule: "self.matches('^[^ ]+$')",
          message: 'must be an image reference such as registry.example.com/tools:1.2',
          culprit: 'self',
        }),
      }),
    env: z
      .record(variable, z.string().max(4096))
      .optional()
      .meta({
        description:
          'Environment variables. ${{ expression }} in a value is replaced by what the expression gives, for example ${{ params.region }} or ${{ steps.build.outputs.version }}.',
        maxProperties: 64,
        ...variableNames,
      }),
    secrets: z
      .record(variable, secretKey)
      .optional()
      .meta({
        description:
          'Environment variables whose values come from Secrets. The kubelet reads the Secrets, the operator never does.',
        maxProperties: 64,
        ...variableNames,
      }),
  })
  .meta({
    description:
      'Runs a script in a container: exactly one of bash, python and node. It succeeds when it exits with 0. What it writes to the file $SIGNALBOX_OUTPUT, as key=value lines or as one JSON object of at most 4 KiB, are its outputs; an output named summary is shown as what came of it.',
    ...checks(
      {
        rule: '[has(self.bash), has(self.python), has(self.node)].filter(x, x).size() == 1',
        message: 'exactly one of bash, python and node must be set: it is the source that runs',
      },
      {
        rule: '!has(self.env) || !has(self.secrets) || self.env.all(k, !(k in self.secrets))',
        message: 'is both in env and in secrets: remove one of the two',
        culprit: 'self.env.filter(k, k in self.secrets)[0]',
      },
    ),
  });
export type ScriptStep = z.infer<typeof scriptStep>;

const backoff = z
  .strictObject({
    initial: duration('Wait before the second attempt. Default 10s.', '0s').optional(),
    factor: z
      .int()
      .min(1)
      .max(10)
      .optional()
      .meta({ description: 'What each further wait is multiplied by. Default 2.' }),
    max: duration('Longest wait. Default 5m.').optional(),
  })
  .meta({
    description: 'How long to wait between attempts: each wait is longer than the one before.',
    ...checks({
      rule: "!has(self.initial) || !has(self.max) || [self.initial, self.max].exists(d, !d.matches('^([0-9]+(ms|s|m|h))+$')) || duration(self.initial) <= duration(self.max)",
      message: 'initial must not be longer than max',
      fieldPath: '.initial',
    }),
  });

const retry = z
  .strictObject({
    limit: z
      .int()
      .min(0)
      .max(20)
      .meta({ description: 'How many further attempts may follow a failed first one.' }),
    backoff: backoff.optional(),
  })
  .meta({
    description: 'Tries the step again when it fails, each attempt as a new Job. Default: one attempt.',
  });
export type Retry = z.infer<typeof retry>;

const task = { name: name('step'), script: scriptStep.optional() };

const conduct = {
  when: expression(
    'Runs the step only if this is true; otherwise the step is Skipped, and those after it go on as if it had succeeded. It sees params, trigger, run, workflow, and the phase, outputs and summary of earlier steps, for example int(steps.count.outputs.nodes) > 3. Default: true.',
  ).optional(),
  timeout: duration('How long one attempt may run before it is stopped and fails. Default 1h.').optional(),
  retry: retry.optional(),
  continueOnError: z.boolean().optional().meta({
    description:
      'Forgives a failure: the step is shown as Failed, and the run goes on as if it had succeeded. Default false.',
  }),
  pod: podSettings.optional().meta({
    description: 'Settings of the pod of this step. Each one that is set replaces that of podDefaults.',
  }),
};

/** Of a step that names no `timeout`. */
export const DEFAULT_TIMEOUT = '1h';

/** The members of a step of which exactly one is set: what the step does. */
export const STEP_TYPES = ['script'] as const;
export type StepTypeName = (typeof STEP_TYPES)[number];

const exactlyOneType = {
  rule: `[${STEP_TYPES.map((type) => `has(self.${type})`).join(', ')}].filter(x, x).size() == 1`,
  message: `must set exactly one of these, to say what the step does: ${STEP_TYPES.join(', ')}`,
  culprit: 'self.name',
};

const notItself = {
  rule: '!has(self.dependsOn) || !(self.name in self.dependsOn)',
  message: 'can not wait for itself: remove it from dependsOn',
  culprit: 'self.name',
  fieldPath: '.dependsOn',
};

/** A step of the main graph. */
export const step = z
  .strictObject({
    ...task,
    dependsOn: z
      .array(z.string().max(63).meta({ description: 'Name of a step.' }))
      .max(256)
      .optional()
      .meta({
        description:
          'Names of the steps that must have ended before this one starts. Default: the step before it in the list. Steps that wait for the same step, or for none ([]), run in parallel.',
        'x-kubernetes-list-type': 'set',
      }),
    runIf: z.enum(['Success', 'Failure', 'Always']).optional().meta({
      description:
        'Whether the step runs after a failure. Success: only if nothing in the run has failed so far. Failure: only if a step before it failed, directly or further up. Always: in any case. Default Success.',
    }),
    ...conduct,
  })
  .meta({ description: 'A step of the pipeline.', ...checks(exactlyOneType, notItself) });
export type Step = z.infer<typeof step>;

/** A step that runs at the end of every run. */
export const finallyStep = z
  .strictObject({ ...task, ...conduct })
  .meta({ description: 'A step that runs at the end of every run.', ...checks(exactlyOneType) });
export type FinallyStep = z.infer<typeof finallyStep>;

/** What a step does: the one of its members that says so. The schema makes sure that there is exactly one. */
export function stepTypeOf(step: Step | FinallyStep): StepTypeName {
  return STEP_TYPES.find((type) => step[type] !== undefined) ?? STEP_TYPES[0];
}
