import * as z from 'zod';
import { objectName, scalar } from './common.ts';

/** Runs another workflow and waits for it. */
export const workflowStep = z
  .strictObject({
    name: objectName('Workflow'),
    params: z.record(z.string().max(63), scalar).optional().meta({
      description:
        'Values for its parameters. ${{ expression }} in a text is replaced; a text that is one expression and nothing else takes the type of its value.',
      maxProperties: 64,
    }),
  })
  .meta({
    description:
      'Runs another workflow of the same namespace and waits for it. Its outputs become those of the step. Cancelling this run cancels that one.',
  });
export type WorkflowStep = z.infer<typeof workflowStep>;
