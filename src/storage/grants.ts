import { createHmac, timingSafeEqual } from 'node:crypto';
import * as z from 'zod';
import { derivedKey, type Key, type Keys } from './keys.ts';

const name = z.string().min(1).max(253);

const grantSchema = z.strictObject({
  /** Where the pod is, and its name, which is that of its Job. */
  namespace: name,
  pod: name,
  run: z.strictObject({ name, uid: z.string().min(1).max(64) }),
  /** The row in the status of the run: a step, or an instance of it such as `plan[us]`. */
  row: z.string().min(1).max(256),
  attempt: z.int().min(0),
  project: name,
  /** Hash of the address and ref of the source: the same source has the same commit in the whole run. */
  source: z.string().min(1).max(128),
  /** Default: `default`. */
  workspace: z.string().min(1).max(90).optional(),
  /** Whether the state is kept by the operator. */
  managed: z.boolean(),
  /** How many versions of the state are kept. */
  stateVersions: z.int().min(1).max(1000),
  action: z.enum(['plan', 'apply', 'destroy']).optional(),
  /** The plan that is carried out. */
  plan: z
    .strictObject({ row: z.string().min(1).max(256), digest: z.string().regex(/^sha256:[0-9a-f]{64}$/) })
    .optional(),
});

/** What the operator lets one pod do. The token of the pod proves that it is that pod; the grant is worth nothing alone. */
export type Grant = z.infer<typeof grantSchema>;

/** Makes grants and knows its own. */
export interface Grants {
  sign(grant: Grant): string;
  /** Undefined for what was not signed with one of the keys that are there. */
  verify(text: string): Grant | undefined;
}

/** Grants are signed with the key to write with, and accepted with any key that is there. */
export function createGrants(keys: Pick<Keys, 'ring'>): Grants {
  return {
    sign(grant) {
      const body = Buffer.from(JSON.stringify(grantSchema.parse(grant))).toString('base64url');
      return `${body}.${signatureOf(keys.ring().write, body).toString('base64url')}`;
    },
    verify(text) {
      const [body, signature, ...more] = text.split('.');
      if (!body || !signature || more.length > 0) return undefined;
      const given = Buffer.from(signature, 'base64url');
      const isOurs = keys.ring().all.some((key) => isEqual(signatureOf(key, body), given));
      return isOurs ? grantOf(body) : undefined;
    },
  };
}

/** A later version of the operator may sign grants that this one does not understand. */
function grantOf(body: string): Grant | undefined {
  const parsed = grantSchema.safeParse(JSON.parse(Buffer.from(body, 'base64url').toString()));
  return parsed.success ? parsed.data : undefined;
}

function signatureOf(key: Key, body: string): Buffer {
  return createHmac('sha256', derivedKey(key, 'grant')).update(`grant.${body}`).digest();
}

function isEqual(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
