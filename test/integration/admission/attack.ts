import type { WorkflowRun } from '../../../src/api/resources.ts';
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

/** The record of a vote, with a signature that is none. */
export const forged = (user: string) =>
  JSON.stringify({
    step: 'approval',
    round: 0,
    attempt: 1,
    asked: new Date(0).toISOString(),
    digest: '',
    user,
    as: 'team:platform',
    own: false,
    decision: 'Approve',
    time: new Date(0).toISOString(),
    signature: 'x'.repeat(43),
  });

/** A vote of jane that the webhook has signed for somebody who is not the API server. */
export async function signedFor(
  scene: Scene,
  run: string,
  replica = 0,
): Promise<{ name: string; value: string }> {
  const before = await scene.run(run);
  const wish = { ...before.metadata.annotations, 'signalbox.dev/approve': 'approval' };
  const after: WorkflowRun = { ...before, metadata: { ...before.metadata, annotations: wish } };
  const answer = await scene.asksWebhook(after, before, 'jane', replica);
  const [name, value] = Object.entries(answer).find(([key]) => key.startsWith('signalbox.dev/vote-')) ?? [];
  if (name === undefined || value === undefined) throw new Error(JSON.stringify(answer));
  return { name, value };
}
