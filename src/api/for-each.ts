import * as z from 'zod';
import { checks, expression, scalar } from './common.ts';

/** Most instances of one step. */
export const MAX_INSTANCES = 256;

/** Runs a step once for each item of a list. */
export const forEach = z
  .strictObject({
    items: z
      .array(scalar)
      .max(MAX_INSTANCES)
      .optional()
      .meta({ description: 'The items: strings, numbers or booleans, as they stand.' }),
    expression: expression(
      'Gives the items, from params and the outputs of earlier steps, for example steps.find.outputs.hosts or params.regions.split(","). At most 256.',
    ).optional(),
    key: expression(
      'Gives each instance its name, from item and index, for example item.name: what it gives must differ from item to item and consist of letters, digits, dots, "-" and "_", at most 63. Default: the item where every item is such a text, and otherwise its place, from 0.',
    ).optional(),
    maxParallel: z.int().min(1).max(MAX_INSTANCES).optional().meta({
      description: 'How many instances run at once. Default: all.',
    }),
    failFast: z.boolean().optional().meta({
      description: 'Whether no further instance is begun once one has failed. Default true.',
    }),
  })
  .meta({
    description:
      'Runs the step once for each item, as instances named step[key]. ${{ item }} and ${{ index }} stand for the item and its place. steps.<name>.outputs is then the list of what the instances gave, in the order of the items.',
    ...checks({
      rule: 'has(dyn(self).items) != has(self.expression)',
      message: 'exactly one of items and expression must be set: they say what the instances are for',
    }),
  });
export type ForEach = z.infer<typeof forEach>;
