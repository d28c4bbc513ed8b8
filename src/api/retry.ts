import * as z from 'zod';
import { checks, duration } from './common.ts';

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

export const retry = z
  .strictObject({
    limit: z
      .int()
      .min(0)
      .max(20)
      .meta({ description: 'How many further attempts may follow a failed first one.' }),
    backoff: backoff.optional(),
    causes: z
      .array(
        z
          .string()
          .max(16)
          .regex(/^(Any|Error|Infrastructure|[0-9]{1,3})$/)
          .meta({ description: 'Any, Error, Infrastructure or an exit code such as "75".' }),
      )
      .min(1)
      .max(16)
      .optional()
      .meta({
        description:
          'Which failures are followed by another attempt. Any: all. Error: those of the step itself, such as an exit code or a timeout. Infrastructure: those of the cluster or the network, such as a lost node. An exit code: that one of a script. Default Any.',
        'x-kubernetes-list-type': 'set',
      }),
  })
  .meta({
    description: 'Tries the step again when it fails, each attempt as a new Job. Default: one attempt.',
  });
export type Retry = z.infer<typeof retry>;
