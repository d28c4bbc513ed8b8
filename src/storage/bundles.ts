import * as z from 'zod';
import { GROUP } from '../api/common.ts';
import { artifactSchema } from './artifact-schema.ts';
import type { Artifact, Artifacts } from './artifacts.ts';
import { isStorageError, StorageError } from './errors.ts';
import type { Grant } from './grants.ts';
import { type Change, createHeads, type FoundHead, type HeadName } from './heads.ts';
import type { Transport } from '../kube/transport.ts';

/** Label by which what is kept for a run is found. */
export const RUN_UID_LABEL = `${GROUP}/run-uid`;

/** A bundle can be replaced between the reading of its head and of itself. */
const LOAD_TRIES = 3;

const bundleSchema = z.object({
  namespace: z.string(),
  run: z.object({ name: z.string(), uid: z.string() }),
  row: z.string(),
  attempt: z.int(),
  /** When it was written, RFC 3339. */
  time: z.string(),
  artifact: artifactSchema,
});
export type Bundle = z.infer<typeof bundleSchema>;

/** A bundle, and what it is known by. */
export interface LoadedBundle {
  content: Buffer;
  digest: string;
}

/** What plan steps hand over to the steps that carry their plan out: for the operator, bytes. */
export interface Bundles {
  /** Takes the bundle of the row of this grant, in the place of that of an earlier attempt. Gives its digest. */
  put(grant: Grant, content: Buffer): Promise<string>;
  /** The bundle that this grant names. @throws {StorageError} PlanMissing; PlanReplaced; PlanAltered; KeyMissing */
  get(grant: Grant): Promise<LoadedBundle>;
  /** Length of the bundle that this grant names, in bytes. Throws as `get`. */
  sizeOf(grant: Grant): Promise<number>;
  list(run?: string): Promise<FoundHead<Bundle>[]>;
  /** Forgets a bundle. */
  remove(head: FoundHead<Bundle>): Promise<void>;
  /** Writes a bundle anew when its key or place is not the present one. Whether that was so. */
  renew(head: FoundHead<Bundle>): Promise<boolean>;
}

export function createBundles(
  transport: Transport,
  namespace: string,
  artifacts: Artifacts,
  now: () => number,
): Bundles {
  const heads = createHeads(transport, namespace, (json) => bundleSchema.parse(json));

  /** The artifact that is not spoken of any more is removed; when that fails, the sweep does it. */
  async function replace(bundle: Bundle, until: number): Promise<void> {
    const decide = (found: Bundle | undefined): Change<Bundle, Artifact | undefined> => {
      if (found && found.attempt > bundle.attempt) throw replaced(bundle.row);
      if (found?.artifact.blob.id === bundle.artifact.blob.id) return { keep: undefined };
      return { write: bundle, result: found?.artifact };
    };
    const left = await heads
      .update(headOf(bundle.run.uid, bundle.row), decide, until)
      .catch(async (error: unknown) => {
        if (isStorageError(error, 'PlanReplaced')) await artifacts.remove(bundle.artifact);
        throw error;
      });
    if (left) await artifacts.remove(left).catch(() => {});
  }

  /** @throws {StorageError} PlanMissing; PlanReplaced */
  async function find({ run, plan }: Grant): Promise<Bundle> {
    if (!plan) throw missing('this step names none');
    const bundle = await heads.read(headOf(run.uid, plan.row));
    if (!bundle) throw missing(`step ${plan.row} left none in this run`);
    if (bundle.artifact.digest !== plan.digest) throw replaced(plan.row);
    return bundle;
  }

  return {
    async put({ namespace, run, row, attempt }, content) {
      const { artifact, until } = await artifacts.save(nameOf(run.uid, row), content);
      const time = new Date(now()).toISOString();
      await replace({ namespace, run, row, attempt, time, artifact }, until);
      return artifact.digest;
    },
    async get(grant) {
      for (let attempt = 1; ; attempt++) {
        const { run, row, artifact } = await find(grant);
        try {
          const content = await artifacts.load(nameOf(run.uid, row), artifact);
          return { content, digest: artifact.digest };
        } catch (error) {
          // It may have been written anew with another key since the head was read.
          if (isStorageError(error, 'Missing') && attempt < LOAD_TRIES) continue;
          throw isStorageError(error, 'Altered', 'Missing') ? altered(row, error) : error;
        }
      }
    },
    async sizeOf(grant) {
      return (await find(grant)).artifact.size;
    },
    list: (run) => heads.list('bundle', run === undefined ? {} : { [RUN_UID_LABEL]: run }),
    async remove(head) {
      await heads.remove(head);
      await artifacts.remove(head.document.artifact);
    },
    async renew({ document }) {
      const { run, row, artifact } = document;
      if (!artifacts.isOutdated(artifact)) return false;
      const name = nameOf(run.uid, row);
      const content = await artifacts.load(name, artifact);
      const { artifact: renewed, until } = await artifacts.save(name, content);
      const decide = (found: Bundle | undefined): Change<Bundle, Artifact> => {
        if (found?.artifact.blob.id === renewed.blob.id) return { keep: artifact };
        // Replaced or removed in the meantime.
        if (found?.artifact.blob.id !== artifact.blob.id) return { keep: renewed };
        return { write: { ...found, artifact: renewed }, result: artifact };
      };
      const left = await heads.update(headOf(run.uid, row), decide, until);
      await artifacts.remove(left);
      return true;
    },
  };
}

const nameOf = (run: string, row: string) => `bundle/${run}/${row}`;

function headOf(run: string, row: string): HeadName {
  return { kind: 'bundle', of: `${run}/${row}`, labels: { [RUN_UID_LABEL]: run } };
}

const missing = (why: string) => new StorageError('PlanMissing', `there is no plan to carry out: ${why}`);

const replaced = (row: string) =>
  new StorageError(
    'PlanReplaced',
    `the plan of step ${row} was made anew since: this one is not valid any more`,
  );

const altered = (row: string, cause: StorageError) =>
  new StorageError('PlanAltered', `the plan of step ${row} is not as it was written: ${cause.message}`, {
    cause,
  });
