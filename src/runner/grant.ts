import * as z from 'zod';
import { RunnerError } from './failure.ts';

const identity = z.object({ run: z.object({ uid: z.string() }), row: z.string(), project: z.string() });

/** Whose pod this is. */
export type Identity = z.infer<typeof identity>;

/**
 * Reads who we are from the grant, whose first part is JSON in Base64. Only the operator can check its signature, and
 * does so with each request.
 * @throws RunnerError `TaskInvalid`
 */
export function readIdentity(grant: string): Identity {
  try {
    return identity.parse(JSON.parse(Buffer.from(grant.split('.')[0] ?? '', 'base64url').toString('utf8')));
  } catch {
    throw new RunnerError(
      'TaskInvalid',
      'The grant of the operator does not say which run this pod belongs to.',
    );
  }
}
