import type { BlobPiece, BlobStore } from './blobs.ts';
import type { Bundles } from './bundles.ts';
import type { Commits } from './commits.ts';
import type { FoundHead } from './heads.ts';
import { artifactsOf, type States } from './states.ts';

/** What a sweep did. */
export interface Swept {
  /** Heads of runs that are gone. */
  removed: number;
  /** Pieces that nobody speaks of: of uploads that were cut off, and of what could not be removed at its time. */
  pieces: number;
  /** Artifacts that were written anew, with the present key and in the present place. */
  renewed: number;
}

export interface SweepOptions {
  stores: readonly BlobStore[];
  bundles: Bundles;
  commits: Commits;
  states: States;
  /** Milliseconds since the epoch. */
  now: () => number;
  /** Told what could not be swept; the rest is. */
  onError: (error: unknown) => void;
}

/** Nothing younger is taken for left over: a run may be newer than the list, and an upload under way. */
const YOUNG_MS = 60 * 60_000;

/**
 * Removes what is left over and writes anew what is outdated, one after the other, so that nothing else has to wait.
 * @param knownRunUids the runs that there are
 */
export async function sweep(
  options: SweepOptions,
  knownRunUids: ReadonlySet<string>,
  signal?: AbortSignal,
): Promise<Swept> {
  const removed = await removeRuns(options, ({ createdAt, document }) => {
    return isOld(options, createdAt) && !knownRunUids.has(document.run.uid);
  });
  const renewed = await renewAll(options, signal);
  const pieces = await removePieces(options, signal);
  return { removed, pieces, renewed };
}

/** Removes the bundles and commits of a run. */
export async function removeRun(options: SweepOptions, run: string): Promise<void> {
  const { bundles, commits } = options;
  for (const head of await bundles.list(run)) await bundles.remove(head);
  for (const head of await commits.list(run)) await commits.remove(head);
}

async function removeRuns(
  { bundles, commits, onError }: SweepOptions,
  isGone: (head: FoundHead<{ run: { uid: string } }>) => boolean,
): Promise<number> {
  const works = [
    ...(await bundles.list()).filter(isGone).map((head) => () => bundles.remove(head)),
    ...(await commits.list()).filter(isGone).map((head) => () => commits.remove(head)),
  ];
  for (const work of works) await work().catch(onError);
  return works.length;
}

async function renewAll({ bundles, states, onError }: SweepOptions, signal?: AbortSignal): Promise<number> {
  const works = [
    ...(await states.list()).map(
      ({ document }) =>
        () =>
          states.renew(document),
    ),
    ...(await bundles.list()).map((head) => async () => Number(await bundles.renew(head))),
  ];
  let renewed = 0;
  for (const work of works) {
    signal?.throwIfAborted();
    renewed += await work().catch((error: unknown) => {
      onError(error);
      return 0;
    });
  }
  return renewed;
}

async function removePieces(options: SweepOptions, signal?: AbortSignal): Promise<number> {
  const found: { store: BlobStore; piece: BlobPiece }[] = [];
  for (const store of options.stores) {
    for await (const piece of store.pieces()) {
      if (isOld(options, piece.createdAt)) found.push({ store, piece });
    }
  }
  // Read after the pieces: what is old and not in here now will never be spoken of again.
  const spokenOf = await idsOfHeads(options);
  const left = found.filter(({ piece }) => !spokenOf.has(piece.id));
  for (const { store, piece } of left) {
    signal?.throwIfAborted();
    await store.removePiece(piece).catch(options.onError);
  }
  return left.length;
}

async function idsOfHeads({ states, bundles }: SweepOptions): Promise<Set<string>> {
  const ofStates = (await states.list()).flatMap(({ document }) => artifactsOf(document));
  const ofBundles = (await bundles.list()).map(({ document }) => document.artifact);
  return new Set([...ofStates, ...ofBundles].map(({ blob }) => blob.id));
}

function isOld({ now }: SweepOptions, createdAt: number): boolean {
  return now() - createdAt > YOUNG_MS;
}
