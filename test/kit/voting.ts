import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { API_VERSION, GROUP } from '../../src/api/common.ts';
import type { WorkflowRun } from '../../src/api/resources.ts';
import { type Judgement, judgeCreate, judgeUpdate } from '../../src/engine/judge-vote.ts';
import type { UserInfo } from '../../src/engine/teams.ts';
import { openKeys } from '../../src/storage/keys.ts';
import { createSeals, type Seals } from '../../src/storage/seals.ts';
import type { Hands } from './hands.ts';

/** A folder with a key of the operator. Disposing of it removes it. */
export interface KeysFolder extends AsyncDisposable {
  folder: string;
  seals: Seals;
}

export async function createKeysFolder(): Promise<KeysFolder> {
  const folder = await mkdtemp(path.join(tmpdir(), 'signalbox-keys-'));
  await writeFile(path.join(folder, 'key-1'), randomBytes(32));
  const keys = await openKeys({ folder, onError: (error) => console.error(error) });
  return {
    folder,
    seals: createSeals(keys),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}

/** Does for people what the admission webhook does, with the same judgements, on a cluster that has no webhook. */
export function createVoting(hands: Hands, { seals: sealing }: Pick<KeysFolder, 'seals'>, namespace: string) {
  /** Votes, and gives why that was refused, if it was. */
  async function vote(
    name: string,
    user: UserInfo,
    asked: Record<string, string>,
  ): Promise<string | undefined> {
    const before = await hands.run(name);
    const given = Object.entries(asked).map(([key, value]) => [`${GROUP}/${key}`, value] as const);
    const annotations = { ...before.metadata.annotations, ...Object.fromEntries(given) };
    const after = { ...before, metadata: { ...before.metadata, annotations } };
    const judgement = judgeUpdate({ before, after, user, teams: {}, sealing, now: Date.now() });
    if (!judgement.allowed) return judgement.message;
    const { resourceVersion = '' } = before.metadata;
    await hands.runs.patch(
      { namespace, name },
      { metadata: { resourceVersion, annotations: judgement.changes } },
    );
    return undefined;
  }

  /** Creates a run as somebody, and gives its name. */
  async function start(workflow: string, user: UserInfo): Promise<string> {
    const run: WorkflowRun = {
      apiVersion: API_VERSION,
      kind: 'WorkflowRun',
      metadata: { namespace, generateName: `${workflow}-` },
      spec: { workflowRef: { name: workflow }, trigger: { type: 'Manual' } },
    };
    const annotations = setIn(judgeCreate({ run, user, sealing, now: Date.now() }));
    const made = await hands.runs.create({ ...run, metadata: { ...run.metadata, annotations } });
    return made.metadata.name ?? '';
  }

  return { vote, start };
}

function setIn(judgement: Judgement): Record<string, string> {
  if (!judgement.allowed) throw new Error(judgement.message);
  return Object.fromEntries(
    Object.entries(judgement.changes).flatMap(([name, value]) =>
      value === null ? [] : [[name, value] as const],
    ),
  );
}
