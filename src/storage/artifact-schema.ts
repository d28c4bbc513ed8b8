import * as z from 'zod';

const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/);

/** An `Artifact` in the document of a head. */
export const artifactSchema = z.object({
  blob: z.object({
    in: z.enum(['secrets', 's3']),
    id: z.string().regex(/^[0-9a-f]{32}$/),
    parts: z.int().min(1).max(1000),
    bytes: z.int().min(0),
    digest,
  }),
  key: z.string(),
  size: z.int().min(0),
  digest,
});
