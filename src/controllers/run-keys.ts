import { defaultKey, keyFor } from '../engine/concurrency.ts';
import { contextOf } from './progress.ts';
import type { Revision } from './revisions.ts';
import type { RunView } from './views.ts';

/** The concurrency key of a run; the error is a sentence. */
export function keyOfRun(run: RunView, { graph, spec }: Revision): { key: string } | { error: string } {
  const { queue } = run.status;
  if (queue) return { key: queue.key };
  if (!graph.concurrency?.key) return { key: defaultKey(run.spec.workflowRef.name) };
  return keyFor(graph, contextOf(run, spec.params));
}

/** Views never change, and all that arrive at once ask for the keys of all others. */
const expected = new WeakMap<RunView, { key?: string }>();

/** The key that a run of the same workflow will have once it is accepted, as far as can be told. */
export function expectedKey(run: RunView, revision: Revision): string | undefined {
  const known = expected.get(run);
  if (known) return known.key;
  const made = keyOfRun(run, revision);
  const entry: { key?: string } = 'key' in made ? made : {};
  expected.set(run, entry);
  return entry.key;
}
