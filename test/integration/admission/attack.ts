import type { Scene } from './scene.ts';
import type { Person } from './setup.ts';

// What somebody may try who wants a run approved that nobody has approved, or do more than they may.

/** One attempt, and what came of it, in a sentence. */
export interface Attack {
  title: string;
  attempt: (scene: Scene) => Promise<string>;
}

/** On a run that is left as it was. */
export const annotating =
  (person: Person, ...what: string[]) =>
  async (scene: Scene): Promise<string> => {
    const run = await scene.shared();
    return `${await scene.annotates(person, run, ...what)}; ${await scene.stands(run)}`;
  };

export const patching =
  (person: Person, patch: object) =>
  async (scene: Scene): Promise<string> => {
    const run = await scene.shared();
    return `${await scene.does(person, patchOf(run, patch))}; ${await scene.stands(run)}`;
  };

export const patchOf = (run: string, patch: object, ...more: string[]) => [
  'patch',
  'workflowrun',
  run,
  '--type=merge',
  '-p',
  JSON.stringify(patch),
  ...more,
];

export const annotations = (values: Record<string, string | null>) => ({
  metadata: {
    annotations: Object.fromEntries(
      Object.entries(values).map(([name, value]) => [`signalbox.dev/${name}`, value]),
    ),
  },
});
