import * as z from 'zod';
import { expression } from './common.ts';

const branch = (which: string) =>
  z
    .array(z.string().max(63).meta({ description: 'Name of a step.' }))
    .max(256)
    .optional()
    .meta({
      description: `Names of the steps that run if the condition is ${which}, one after the other. Default: none.`,
      'x-kubernetes-list-type': 'set',
    });

/** Decides which of two branches runs. */
export const conditionStep = z
  .strictObject({
    if: expression(
      'Decides: true or false, from params, trigger, run, workflow and earlier steps, for example int(steps.count.outputs.nodes) > 3.',
    ),
    then: branch('true'),
    else: branch('false'),
  })
  .meta({
    description:
      'Runs one of two branches. The steps of the other are Skipped, and what comes after both goes on. Its output result is true or false.',
  });
export type ConditionStep = z.infer<typeof conditionStep>;
