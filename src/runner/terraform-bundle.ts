import { createHash } from 'node:crypto';
import * as z from 'zod';
import { RunnerError } from './failure.ts';

/**
 * A plan with all that it depends on, as one sequence of bytes:
 *
 *     "signalbox bundle 1\n" | length of the header (4 bytes, big endian) | header (JSON) | plan | lock file
 *
 * The header has what the plan was made of, and the sizes of the two files. The same content gives the same bytes.
 */
const MAGIC = Buffer.from('signalbox bundle 1\n');

const position = z.strictObject({
  /** Absent where there was no state yet. */
  lineage: z.string().optional(),
  serial: z.int().optional(),
});
/** Where a state stands: a version of it, or none. */
export type StatePosition = z.infer<typeof position>;

const meta = z.strictObject({
  run: z.string(),
  row: z.string(),
  commit: z.string(),
  workspace: z.string(),
  engine: z.string(),
  version: z.string(),
  projectHash: z.string(),
  destroy: z.boolean(),
  state: position,
});
/** What a plan was made of. */
export type PlanMeta = z.infer<typeof meta>;

const header = z.strictObject({ meta, plan: z.int(), lockFile: z.int().optional() });

export interface Bundle {
  meta: PlanMeta;
  plan: Buffer;
  /** `.terraform.lock.hcl`, if there are providers to lock. */
  lockFile?: Buffer;
}

/** The SHA-256 of a bundle, as the operator writes it. */
export const digestOfBundle = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

export function packBundle({ meta, plan, lockFile }: Bundle): Buffer {
  const sizes = { plan: plan.length, ...(lockFile === undefined ? {} : { lockFile: lockFile.length }) };
  const head = Buffer.from(JSON.stringify({ meta, ...sizes }));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(head.length);
  return Buffer.concat([MAGIC, length, head, plan, ...(lockFile === undefined ? [] : [lockFile])]);
}

/**
 * Takes a bundle apart, if it is the one that was approved.
 * @param digest that of the plan step
 * @throws RunnerError `PlanAltered`
 */
export function unpackBundle(bytes: Buffer, digest: string): Bundle {
  const actual = digestOfBundle(bytes);
  if (actual !== digest) throw altered(`its digest is ${actual}, and that of the plan step ${digest}`);
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) throw altered('it has another format');
  const start = MAGIC.length + 4;
  const end = start + bytes.readUInt32BE(MAGIC.length);
  const { meta, plan, lockFile } = header.parse(JSON.parse(bytes.subarray(start, end).toString('utf8')));
  if (end + plan + (lockFile ?? 0) !== bytes.length) throw altered('it is not whole');
  return {
    meta,
    plan: bytes.subarray(end, end + plan),
    ...(lockFile === undefined ? {} : { lockFile: bytes.subarray(end + plan) }),
  };
}

function altered(how: string): RunnerError {
  return new RunnerError(
    'PlanAltered',
    `What the operator kept is not what the plan step made: ${how}. Nothing was applied. Plan again.`,
  );
}
