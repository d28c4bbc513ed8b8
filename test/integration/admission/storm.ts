import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { API_VERSION } from '../../../src/api/common.ts';
import { isNotFound } from '../../../src/kube/errors.ts';
import { writes } from '../../kit/audit.ts';
import type { Hands } from '../../kit/hands.ts';
import { runOf } from './scene.ts';
import { type AdmissionSite, PEOPLE, type Person, TEAM, told } from './setup.ts';

// People who apply objects and vote, some at a time, whatever becomes of the operator meanwhile: who is refused comes again.

const VOTE = 'signalbox.dev/vote-';
const CREATED_BY = 'signalbox.dev/created-by';
const LANES = 4;
const AGAIN_MS = 250;
/** So often somebody comes again until the test fails. */
const TRIES = 200;

/** Something that is done by one call of kubectl. */
interface Deed {
  person: Person;
  args: readonly string[];
  input?: object;
  /** What kubectl says at the end of its line when it is done. */
  done: string;
  /** Whether anything of it is there. */
  isThere: () => Promise<boolean>;
}

/** Workflows that are new, workflows that are changed, runs, and votes on runs that wait: so many of each. */
export interface Amounts {
  added: number;
  changed: number;
  runs: number;
  votes: number;
}

export interface Storm {
  /** How many deeds are done. */
  done(): number;
  /** What people were told who were refused, in the order of time. */
  readonly refusals: readonly string[];
  /** Resolves when everything is done. Throws when somebody is told anything else than yes, or a refusal left something. */
  finished: Promise<void>;
  /** @throws unless all is there, and every run has come to its end, exactly once */
  check(): Promise<void>;
}

const script = { name: 'build', script: { bash: 'true' } };
const gate = { name: 'approval', approval: { approvers: ['team:platform'], timeout: '1h' } };
const CHANGED = 'changed';

/** Prepares what is changed and voted on, and begins. @param name of this storm: begins all names */
export async function beginStorm(site: AdmissionSite, name: string, amounts: Amounts): Promise<Storm> {
  const { hands } = site;
  const names = (what: string, count: number) =>
    Array.from({ length: count }, (_, index) => `${name}-${what}-${index}`);
  const [added, changed] = [names('new', amounts.added), names('changed', amounts.changed)];
  const [runs, gates] = [names('run', amounts.runs), names('gate', amounts.votes)];
  const [job, asking] = [`${name}-job`, `${name}-asking`];
  await must(site, [
    workflow(job, { steps: [script] }),
    workflow(asking, { steps: [gate, script] }),
    ...changed.map((one) => workflow(one, { steps: [script] })),
  ]);
  await must(
    site,
    gates.map((one) => runOf(asking, { name: one, generateName: undefined })),
  );
  for (const one of gates) await hands.runIs(one, ({ status }) => status?.phase === 'AwaitingApproval');

  const left = mixed([
    added.map((one) => applied(workflow(one, { steps: [script] }), 'created', specIs(hands, one))),
    changed.map((one) => {
      const spec = { description: CHANGED, steps: [script] };
      return applied(workflow(one, spec), 'configured', specIs(hands, one, CHANGED));
    }),
    runs.map((one) =>
      applied(runOf(job, { name: one, generateName: undefined }), 'created', () => hands.exists(one)),
    ),
    gates.map((one) => voted(hands, one)),
  ]);
  const refusals: string[] = [];
  let done = 0;
  const lane = async () => {
    for (let deed = left.shift(); deed; deed = left.shift()) {
      await insist(site, deed, refusals);
      done += 1;
    }
  };
  return {
    done: () => done,
    refusals,
    finished: Promise.all(Array.from({ length: LANES }, lane)).then(() => undefined),
    async check() {
      for (const one of added) assert.ok(await specIs(hands, one)(), one);
      for (const one of changed) assert.ok(await specIs(hands, one, CHANGED)(), one);
      for (const one of [...runs, ...gates]) await hands.runIs(one, ({ status }) => !!status?.finishedAt);
      const there = [...(await hands.runsOf(job)), ...(await hands.runsOf(asking))];
      assert.deepEqual(new Set(there.map(({ metadata }) => metadata.name)), new Set([...runs, ...gates]));
      await checkRuns(site, there);
    },
  };
}

const workflow = (name: string, spec: object) => ({
  apiVersion: API_VERSION,
  kind: 'Workflow',
  metadata: { name },
  spec,
});

async function must(site: AdmissionSite, items: readonly object[]): Promise<void> {
  const list = { apiVersion: 'v1', kind: 'List', items };
  const { ok, text } = await site.as('ada')(['apply', '-f', '-'], JSON.stringify(list));
  assert.ok(ok, text);
}

const applied = (input: object, done: string, isThere: Deed['isThere']): Deed => ({
  person: 'ada',
  args: ['apply', '-f', '-'],
  input,
  done,
  isThere,
});

const voted = (hands: Hands, run: string): Deed => ({
  person: 'jane',
  args: ['annotate', 'workflowrun', run, 'signalbox.dev/approve=approval'],
  done: 'annotated',
  isThere: async () =>
    Object.keys((await hands.run(run)).metadata.annotations ?? {}).some((one) => one.startsWith(VOTE)),
});

const specIs = (hands: Hands, name: string, description?: string) => () =>
  hands.workflows.get({ namespace: TEAM, name }).then(
    ({ spec }) => spec.description === description,
    (error: unknown) => {
      if (isNotFound(error)) return false;
      throw error;
    },
  );

/** All of them, so that each kind is spread over the whole. */
function mixed<T>(lists: readonly (readonly T[])[]): T[] {
  const placed = lists.flatMap((list) =>
    list.map((one, index) => ({ one, place: (index + 0.5) / list.length })),
  );
  return placed.toSorted((a, b) => a.place - b.place).map(({ one }) => one);
}

/** Comes again until it is done. Nothing may be there of what was refused. */
async function insist(site: AdmissionSite, deed: Deed, refusals: string[]): Promise<void> {
  const { person, args, input, done, isThere } = deed;
  for (let tries = 0; tries < TRIES; tries++) {
    const outcome = await site.as(person)(args, input && JSON.stringify(input));
    const said = told(outcome);
    if (outcome.ok) return assert.ok(said.endsWith(done), said);
    refusals.push(said);
    assert.equal(await isThere(), false, `${said}: yet it is there`);
    await sleep(AGAIN_MS);
  }
  throw new Error(`refused ${TRIES} times: ${refusals.at(-1)}`);
}

/** Each has its record, went well at the first attempt, and had one Job made for each step that is a script. */
async function checkRuns(site: AdmissionSite, runs: Awaited<ReturnType<Hands['runsOf']>>): Promise<void> {
  const made = new Map<string, number>();
  for (const { verb, resource, namespace, name, code } of await writes(site.cluster)) {
    if (verb === 'create' && resource === 'jobs' && namespace === TEAM && code === 201)
      made.set(name, (made.get(name) ?? 0) + 1);
  }
  for (const { metadata, status } of runs) {
    const record = JSON.parse(metadata.annotations?.[CREATED_BY] ?? '{}') as { user?: string };
    const steps = (status?.steps ?? []).map(({ phase, attempt, job, approval }) => {
      const by = approval?.votes?.map(({ user }) => user).join();
      return `${phase} ${attempt} ${by ?? made.get(job?.name ?? '')}`;
    });
    const approved = status?.steps?.length === 1 ? [] : [`Succeeded 1 ${PEOPLE.jane.name}`];
    assert.deepEqual(
      [metadata.name, record.user, status?.phase, ...steps],
      [metadata.name, PEOPLE.ada.name, 'Succeeded', ...approved, 'Succeeded 1 1'],
    );
  }
}
