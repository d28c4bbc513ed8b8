import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import * as z from 'zod';
import { DIGEST_HEADER } from '../api/runner.ts';
import { digestOf } from '../storage/blobs.ts';
import {
  currentOf,
  type LockHolder,
  type LockInfo,
  lockInfoSchema,
  shownLock,
  type StateKey,
} from '../storage/state-head.ts';
import type { Storage } from '../storage/storage.ts';
import { announcedLength, readBody, type Room } from './body.ts';
import { Refusal } from './refusal.ts';
import type { Caller } from './runner-auth.ts';

/** A request from a pod that is known. */
export interface RunnerRequest {
  caller: Caller;
  incoming: IncomingMessage;
  query: URLSearchParams;
}

/** What is sent back: JSON, bytes, or nothing. */
export interface RunnerAnswer {
  status: number;
  headers?: Record<string, string>;
  body?: object | Buffer;
}

type Handle = (request: RunnerRequest) => Promise<RunnerAnswer>;

/** Largest body of each kind, in bytes. */
export const LIMITS = { bundle: 64 * 2 ** 20, state: 64 * 2 ** 20, lock: 64 * 1024, commit: 4096 };

/** What the runner API does, by `<method> <path>`. */
export function createRoutes(storage: Storage, room: Room): Record<string, Handle> {
  return { ...commitRoutes(storage), ...bundleRoutes(storage, room), ...stateRoutes(storage, room) };
}

const commitBody = z.strictObject({ commit: z.string().regex(/^[0-9a-f]{40}([0-9a-f]{24})?$/) });

function commitRoutes({ commits }: Storage): Record<string, Handle> {
  return {
    'GET /v1/commit': async ({ caller }) => {
      const commit = await commits.get(caller.grant);
      if (commit !== undefined) return { status: 200, body: { commit } };
      throw new Refusal(404, 'CommitUnknown', 'no step of this run has told the commit of this source yet');
    },
    'POST /v1/commit': async ({ caller, incoming }) => {
      const body = await readBody(incoming, LIMITS.commit, 'CommitInvalid');
      const { commit } = parsed(commitBody, body, 'CommitInvalid');
      return { status: 200, body: { commit: await commits.pin(caller.grant, commit) } };
    },
  };
}

function bundleRoutes({ bundles }: Storage, room: Room): Record<string, Handle> {
  return {
    'PUT /v1/bundle': async ({ caller: { grant }, incoming }) => {
      if (grant.action !== 'plan') throw notGranted('a step that does not plan keeps no plan');
      return room.with(announcedLength(incoming, LIMITS.bundle, 'BundleTooLarge'), async () => {
        const content = await readBody(incoming, LIMITS.bundle, 'BundleTooLarge');
        assertDigest(incoming.headers[DIGEST_HEADER], digestOf(content));
        return { status: 201, body: { digest: await bundles.put(grant, content) } };
      });
    },
    'GET /v1/bundle': async ({ caller: { grant } }) => {
      if (!grant.plan) throw notGranted('this step carries out no plan');
      return room.with(await bundles.sizeOf(grant), async () => {
        const { content, digest } = await bundles.get(grant);
        return { status: 200, headers: { [DIGEST_HEADER]: digest }, body: content };
      });
    },
  };
}

/** Terraform's `http` backend: https://developer.hashicorp.com/terraform/language/backend/http */
function stateRoutes({ states }: Storage, room: Room): Record<string, Handle> {
  return {
    'GET /v1/state': async ({ caller }) => {
      const key = stateKeyOf(caller);
      return room.with(currentOf(await states.read(key))?.artifact.size ?? 0, async () => {
        const body = await states.load(key);
        return body ? { status: 200, body } : { status: 204 };
      });
    },
    'POST /v1/state': async ({ caller, incoming, query }) => {
      const key = stateKeyOf(caller);
      assertMayChange(caller);
      await room.with(announcedLength(incoming, LIMITS.state, 'StateTooLarge'), async () =>
        states.write(key, {
          content: await readState(incoming),
          lockId: query.get('ID') ?? '',
          holder: holderOf(caller),
          keep: caller.grant.stateVersions,
        }),
      );
      return { status: 200 };
    },
    'LOCK /v1/state': async ({ caller, incoming }) => {
      const key = stateKeyOf(caller);
      const lock = await states.lock(key, await readLock(incoming), holderOf(caller));
      return lock ? { status: 423, body: shownLock(lock) } : { status: 200 };
    },
    'UNLOCK /v1/state': async ({ caller, incoming }) => {
      const key = stateKeyOf(caller);
      const { ID } = await readLock(incoming);
      const outcome = await states.unlock(key, ID, caller.podUid);
      if (outcome !== 'OtherLock') return { status: 200 };
      throw new Refusal(
        409,
        'LockLost',
        `this pod does not hold the lock ${ID}: somebody else has the state locked`,
      );
    },
    'PUT /v1/errored-state': async ({ caller, incoming }) => {
      const key = stateKeyOf(caller);
      assertMayChange(caller);
      await room.with(announcedLength(incoming, LIMITS.state, 'StateTooLarge'), async () =>
        states.keepErrored(key, await readState(incoming), holderOf(caller)),
      );
      return { status: 201 };
    },
  };
}

function stateKeyOf({ grant: { managed, namespace, project, workspace = 'default' } }: Caller): StateKey {
  if (managed) return { namespace, project, workspace };
  throw notGranted(`the state of project ${project} is not kept by the operator`);
}

function assertMayChange({ grant: { action } }: Caller): void {
  if (action === 'apply' || action === 'destroy') return;
  throw notGranted('a step that plans does not change the state');
}

function holderOf({ grant, podUid }: Caller): LockHolder {
  return { pod: grant.pod, podUid, run: grant.run.name, step: grant.row };
}

async function readState(incoming: IncomingMessage): Promise<Buffer> {
  const content = await readBody(incoming, LIMITS.state, 'StateTooLarge');
  const told = incoming.headers['content-md5'];
  // Terraform sends it: no protection against anybody, but against what went wrong on the way.
  if (told !== undefined) assertDigest(String(told), createHash('md5').update(content).digest('base64'));
  return content;
}

async function readLock(incoming: IncomingMessage): Promise<LockInfo> {
  return parsed(lockInfoSchema, await readBody(incoming, LIMITS.lock, 'LockInvalid'), 'LockInvalid');
}

function parsed<T>(schema: z.ZodType<T>, body: Buffer, reason: string): T {
  try {
    return schema.parse(JSON.parse(body.toString()));
  } catch (error) {
    const why = error instanceof z.ZodError ? z.prettifyError(error) : String(error);
    throw new Refusal(400, reason, `the body is not what it must be: ${why}`);
  }
}

function assertDigest(told: unknown, found: string): void {
  if (told === found) return;
  throw new Refusal(422, 'DigestMismatch', `what arrived has the digest ${found}, and not ${String(told)}`);
}

const notGranted = (why: string) => new Refusal(403, 'NotGranted', why);
