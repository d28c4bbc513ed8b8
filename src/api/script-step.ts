import * as z from 'zod';
import { checks, secretKey } from './common.ts';

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

const variableName = "k.matches('^[A-Za-z_][A-Za-z0-9_]{0,127}$') && !k.startsWith('SIGNALBOX_')";
const variableNames = checks({
  rule: `self.all(k, ${variableName})`,
  message:
    "can not be the name of a variable: use at most 128 letters, digits and '_', not starting with a digit or with SIGNALBOX_",
  culprit: `self.filter(k, !(${variableName}))[0]`,
});

/** Runs a program in a container. */
export const scriptStep = z
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
