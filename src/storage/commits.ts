import * as z from 'zod';
import type { Transport } from '../kube/transport.ts';
import { RUN_UID_LABEL } from './bundles.ts';
import type { Grant } from './grants.ts';
import { createHeads, type FoundHead, type HeadName } from './heads.ts';

const pinSchema = z.object({
  run: z.object({ name: z.string(), uid: z.string() }),
  source: z.string(),
  commit: z.string(),
});
export type Pin = z.infer<typeof pinSchema>;

/** The commits that runs work on: for each source of a run, the one that was told first. */
export interface Commits {
  get(grant: Pick<Grant, 'run' | 'source'>): Promise<string | undefined>;
  /** Gives the commit that holds, which is this one when none was told before. */
  pin(grant: Pick<Grant, 'run' | 'source'>, commit: string): Promise<string>;
  list(run?: string): Promise<FoundHead<Pin>[]>;
  remove(head: FoundHead<Pin>): Promise<void>;
}

export function createCommits(transport: Transport, namespace: string): Commits {
  const heads = createHeads(transport, namespace, (json) => pinSchema.parse(json));
  return {
    get: async (grant) => (await heads.read(headOf(grant)))?.commit,
    pin: (grant, commit) =>
      heads.update(headOf(grant), (found) =>
        found
          ? { keep: found.commit }
          : { write: { run: grant.run, source: grant.source, commit }, result: commit },
      ),
    list: (run) => heads.list('commit', run === undefined ? {} : { [RUN_UID_LABEL]: run }),
    remove: heads.remove,
  };
}

function headOf({ run, source }: Pick<Grant, 'run' | 'source'>): HeadName {
  return { kind: 'commit', of: `${run.uid}/${source}`, labels: { [RUN_UID_LABEL]: run.uid } };
}
