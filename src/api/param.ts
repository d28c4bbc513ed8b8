import * as z from 'zod';
import { checks, scalar } from './common.ts';

/** A value that a run is started with. */
export const param = z
  .strictObject({
    name: z
      .string()
      .max(63)
      .meta({
        description: "Name of the parameter: letters, digits and '_', not starting with a digit.",
        ...checks({
          rule: "self.matches('^[A-Za-z_][A-Za-z0-9_]*$')",
          message:
            "must consist of letters, digits and '_', and not start with a digit, so that params.<name> can be written",
          culprit: 'self',
        }),
      }),
    type: z
      .enum(['string', 'number', 'boolean'])
      .default('string')
      .meta({ description: 'Type of the value. Default string.' }),
    description: z
      .string()
      .max(1024)
      .optional()
      .meta({ description: 'What the parameter means, for those who start a run.' }),
    required: z
      .boolean()
      .optional()
      .meta({ description: 'Whether a run without a value is refused. Default false.' }),
    default: scalar
      .optional()
      .meta({ description: 'Value when a run gives none: a string, number or boolean, as type says.' }),
    enum: z
      .array(scalar)
      .min(1)
      .max(64)
      .optional()
      .meta({ description: 'The only values allowed. Default: all.' }),
    pattern: z
      .string()
      .max(256)
      .optional()
      .meta({ description: 'Regular expression that the whole value must match; for type string.' }),
  })
  .meta({
    description: 'A parameter.',
    ...checks(
      {
        rule: '!(has(self.required) && self.required && has(dyn(self).default))',
        message: 'is required and takes no default: remove one of the two',
        culprit: 'self.name',
      },
      {
        rule: "!has(self.pattern) || !has(self.type) || self.type == 'string'",
        message: 'pattern goes with type string only: remove it or change the type',
        fieldPath: '.pattern',
      },
      {
        rule: "self.type != 'boolean' || !has(dyn(self).default) || dyn(self).default == true || dyn(self).default == false",
        message: 'is boolean: its default must be true or false, without quotes',
        culprit: 'self.name',
      },
    ),
  });
export type Param = z.infer<typeof param>;
