import { isDeepStrictEqual } from 'node:util';
import { GROUP } from '../../api/common.ts';
import type { Problem } from '../../engine/model.ts';
import type { MayDo } from './access.ts';
import type { ReviewedObject } from './review.ts';

// RBAC can grant `patch` on an object and nothing finer. What a patch may change is granted by verbs of our own, which
// the API server is asked about like any other.

/** The verbs beside those of Kubernetes, on workflows, workflowruns and projects. */
export type Verb = 'approve' | 'control' | 'edit';

/** The kinds that are admitted, by their plural. */
export type Plural = 'workflows' | 'workflowruns' | 'projects';

/** The annotations, without prefix, by which something is asked that takes less than `edit`. */
const REQUESTS: Record<Plural, Readonly<Record<string, Verb>>> = {
  // Who asked is written beside `run` by admission itself.
  workflows: { run: 'control', params: 'control', 'run-by': 'control' },
  workflowruns: {
    approve: 'approve',
    reject: 'approve',
    withdraw: 'approve',
    comment: 'approve',
    fields: 'approve',
    cancel: 'control',
    retry: 'control',
  },
  projects: { unlock: 'control' },
};

/** The API server keeps these itself, and takes them from nobody. */
const SERVERS_OWN = new Set([
  'annotations',
  'creationTimestamp',
  'deletionGracePeriodSeconds',
  'deletionTimestamp',
  'generation',
  'managedFields',
  'resourceVersion',
  'selfLink',
  'uid',
]);

/** One thing that was changed, and the verb that it takes. */
export interface Change {
  /** For example `metadata.annotations[signalbox.dev/cancel]`. */
  field: string;
  verb: Verb;
}

/** What somebody changes of an object, and which verbs that takes. */
export function changesOf(plural: Plural, before: ReviewedObject, after: ReviewedObject): Change[] {
  const { annotations: old } = before.metadata;
  const annotations = changedKeys(old ?? {}, after.metadata.annotations ?? {});
  const metadata = changedKeys(before.metadata, after.metadata).filter((name) => !SERVERS_OWN.has(name));
  return [
    ...annotations.map((name) => ({ field: fieldOf(name), verb: verbOf(plural, name) })),
    ...metadata.map((name) => ({ field: `metadata.${name}`, verb: 'edit' as const })),
    ...(isDeepStrictEqual(before.spec, after.spec) ? [] : [{ field: 'spec', verb: 'edit' as const }]),
  ];
}

/** What the one who creates an object asks of it at once. All else of it is what `create` is for. */
export function requestsOf(plural: Plural, { metadata }: ReviewedObject): Change[] {
  return Object.keys(metadata.annotations ?? {})
    .map((name) => ({ field: fieldOf(name), verb: verbOf(plural, name) }))
    .filter(({ verb }) => verb !== 'edit');
}

export const fieldOf = (annotation: string): string => `metadata.annotations[${annotation}]`;

function verbOf(plural: Plural, annotation: string): Verb {
  const prefix = `${GROUP}/`;
  const name = annotation.startsWith(prefix) ? annotation.slice(prefix.length) : '';
  const requests = REQUESTS[plural];
  return (Object.hasOwn(requests, name) ? requests[name] : undefined) ?? 'edit';
}

/** Names of the members that are not the same in both. */
export function changedKeys(before: object, after: object): string[] {
  const [one, two] = [new Map<string, unknown>(Object.entries(before)), new Map(Object.entries(after))];
  return [...new Set([...one.keys(), ...two.keys()])].filter(
    (key) => !isDeepStrictEqual(one.get(key), two.get(key)),
  );
}

/** The changes that somebody may not make. @param name of the object; absent when it is about to be created */
export async function deniedChanges(
  changes: readonly Change[],
  mayDo: MayDo,
  { plural, name, who }: { plural: Plural; name: string | undefined; who: string },
): Promise<Problem[]> {
  const judged = await Promise.all(
    changes.map(async ({ field, verb }) => {
      const right = { verb, group: GROUP, resource: plural, ...(name === undefined ? {} : { name }) };
      if (await mayDo(right)) return [];
      return [{ field, message: `${who} may not change it: that takes the verb ${verb} on ${plural}` }];
    }),
  );
  return judged.flat();
}
