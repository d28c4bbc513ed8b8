import * as z from 'zod';

export const CONCURRENCY_POLICIES = ['Queue', 'Allow', 'Forbid', 'Replace'] as const;
export type ConcurrencyPolicy = (typeof CONCURRENCY_POLICIES)[number];

/** What happens when a run is to start while another of the same key is active. */
export const concurrency = z
  .strictObject({
    key: z.string().min(1).max(256).optional().meta({
      description:
        'Runs of the namespace with the same key are kept from running side by side, of whatever workflow they are. ${{ expression }} is replaced; it sees params, trigger, run and workflow, for example deploy-${{ params.region }}. Default: one key for all runs of this workflow.',
    }),
    policy: z.enum(CONCURRENCY_POLICIES).default('Queue').meta({
      description:
        'Queue: the run waits for those before it. Allow: they run side by side. Forbid: the run is cancelled. Replace: those before it are cancelled, and the run starts when they have ended. Default Queue.',
    }),
    limit: z.int().min(1).max(10_000).optional().meta({
      description:
        'How many runs of this workflow may be active at once, whatever their keys; others wait. Default: no limit.',
    }),
  })
  .meta({ description: 'Which runs may be active at the same time. Default: all.' });
export type Concurrency = z.infer<typeof concurrency>;
