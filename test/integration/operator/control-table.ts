import type { Workflow, WorkflowRun } from '../../../src/api/resources.ts';
import type { Hands } from '../../kit/hands.ts';
import type { Spec } from '../../kit/kit.ts';
import { waitFor } from '../../cluster/wait.ts';

// Every annotation in every state of a run or workflow, made on a cluster, as a table.

const LIMIT_MS = 60_000;
const AT_ONCE = 12;

const script = (name: string) => ({ name, script: { bash: 'true' } });
const steps = [script('build'), script('deploy')];

/** One key for each case, so that none disturbs another. */
const spec: Spec = {
  concurrency: { policy: 'Queue', key: '${{ params.key }}' },
  params: [{ name: 'key', type: 'string', required: true }],
  steps,
  finally: [script('tidy')],
};

/** Brings a run about that stands in a state. `asked` is what it is annotated with when it is created. */
type Bring = (hands: Hands, key: string, asked: Record<string, string>) => Promise<string>;

const begin: Bring = async (hands, key) => {
  const name = await hands.start('w', { key });
  await hands.runIs(name, ({ status }) => status?.phase === 'Running');
  return name;
};

const ended = (hands: Hands, name: string) =>
  hands.runIs(name, ({ status }) => status?.finishedAt !== undefined);

/** Cancels a run; what was told of that does not count for the case. */
async function cancelled(hands: Hands, name: string): Promise<void> {
  const { metadata } = await hands.annotateRun(name, { cancel: 'true' });
  await hands.runIs(name, isAnswered);
  await waitFor('the answer', LIMIT_MS, async () => (await answers(hands, metadata.uid ?? '')).at(-1));
}

const states: Record<string, Bring> = {
  'not accepted': (hands, key, asked) => hands.start('w', { key }, asked),
  Queued: async (hands, key) => {
    await begin(hands, key, {});
    const name = await hands.start('w', { key });
    await hands.runIs(name, ({ status }) => status?.phase === 'Queued');
    return name;
  },
  Running: begin,
  AwaitingApproval: async (hands, key) => {
    const name = await hands.start('asking', { key });
    await hands.runIs(name, ({ status }) => status?.phase === 'AwaitingApproval');
    return name;
  },
  'Running, in finally': async (hands, key) => {
    const name = await begin(hands, key, {});
    await hands.endPod(name, 'build');
    await hands.endPod(name, 'deploy');
    await hands.runIs(name, ({ status }) => status?.currentStep === 'tidy');
    return name;
  },
  'Running, being cancelled': async (hands, key) => {
    const name = await begin(hands, key, {});
    await cancelled(hands, name);
    await hands.runIs(name, ({ status }) => status?.currentStep === 'tidy');
    return name;
  },
  Succeeded: async (hands, key) => {
    const name = await begin(hands, key, {});
    for (const step of ['build', 'deploy', 'tidy']) await hands.endPod(name, step);
    await ended(hands, name);
    return name;
  },
  Failed: async (hands, key) => {
    const name = await begin(hands, key, {});
    await hands.endPod(name, 'build');
    await hands.endPod(name, 'deploy', 1);
    await hands.endPod(name, 'tidy');
    await ended(hands, name);
    return name;
  },
  Cancelled: async (hands, key) => {
    const name = await begin(hands, key, {});
    await hands.endPod(name, 'build');
    await cancelled(hands, name);
    await hands.endPod(name, 'tidy');
    await ended(hands, name);
    return name;
  },
  TimedOut: async (hands, key) => {
    const name = await hands.start('short', { key });
    await hands.endPod(name, 'tidy');
    await ended(hands, name);
    return name;
  },
  'being deleted': async (hands, key) => {
    const name = await begin(hands, key, {});
    await hands.bindPod(name, 'build');
    await hands.runs.delete(await named(hands, name));
    return name;
  },
};

const named = async (hands: Hands, name: string) => ({
  namespace: (await hands.run(name)).metadata.namespace ?? '',
  name,
});

/** What is asked, and how often. */
const requests: { title: string; asked: Record<string, string>; times?: number }[] = [
  { title: 'cancel=true', asked: { cancel: 'true' } },
  { title: 'cancel=true, again', asked: { cancel: 'true' }, times: 2 },
  { title: 'cancel=maybe', asked: { cancel: 'maybe' } },
  { title: 'retry=failed', asked: { retry: 'failed' } },
  { title: 'retry=from:deploy', asked: { retry: 'from:deploy' } },
  { title: 'retry=from:nothing', asked: { retry: 'from:nothing' } },
  { title: 'retry=everything', asked: { retry: 'everything' } },
];

const isAnswered = ({ metadata, status }: WorkflowRun) => {
  const asked = Object.keys(metadata.annotations ?? {});
  return status?.handled === undefined && !asked.some((name) => name.startsWith('signalbox.dev/'));
};

/** Nothing happens to a run any more whose pods nobody ends. */
function isAtRest({ status, metadata }: WorkflowRun): boolean {
  const { phase, currentStep, cancellation } = status ?? {};
  if (phase !== 'Running' || metadata.deletionTimestamp) return phase !== undefined;
  return cancellation ? currentStep === 'tidy' : currentStep !== undefined;
}

/** One case: what was told, and what became of the run. */
async function runCase(hands: Hands, state: string, request: (typeof requests)[number], key: string) {
  const { title, asked, times = 1 } = request;
  const bring = states[state];
  if (!bring) throw new Error(`nobody knows how a run gets ${state}`);
  const name = await bring(hands, key, asked);
  const { uid = '' } = (await hands.run(name)).metadata;
  const before = state === 'not accepted' ? 0 : (await answers(hands, uid)).length;
  for (let time = state === 'not accepted' ? 1 : 0; time < times; time += 1) {
    if (time > 0) await hands.runIs(name, isAnswered);
    await hands.annotateRun(name, asked);
  }
  const run = await hands.runIs(name, (run) => isAnswered(run) && isAtRest(run));
  const answer = await waitFor(`an answer to ${title} of ${name}`, LIMIT_MS, async () => {
    const told = await answers(hands, uid);
    return told.length >= before + times ? told.at(-1) : undefined;
  });
  const { 0: word = '', 1: note = '' } = answer.split(/: (.*)/s);
  return { state, title, word, note, after: stateOf(run) };
}

/** Events of the same text are counted on one: two that are the same are told as one. */
async function answers(hands: Hands, uid: string): Promise<string[]> {
  const told = await hands.told(uid);
  const counted = told.flatMap(({ text, count }) => Array<string>(count).fill(text));
  return counted.filter((text) => /^(Normal|Warning) \w+(Accepted|Refused|Created)/.test(text));
}

function stateOf({ status, metadata }: WorkflowRun): string {
  const { phase = 'not accepted', cancellation, currentStep, round } = status ?? {};
  const parts = [
    phase as string,
    ...(phase === 'Running' && currentStep === 'tidy' ? ['in finally'] : []),
    ...(phase === 'Running' && cancellation ? ['being cancelled'] : []),
    ...(round === undefined ? [] : [`round ${round + 1}`]),
    ...(metadata.deletionTimestamp ? ['being deleted'] : []),
  ];
  return parts.join(', ');
}

export interface Row {
  state: string;
  title: string;
  word: string;
  note: string;
  after: string;
}

/** What comes of each annotation of a run, in each of its states. */
export async function runRows(hands: Hands): Promise<Row[]> {
  await hands.apply('w', spec);
  await hands.apply('short', { ...spec, timeout: '1s' });
  const approval = { name: 'ok', approval: { approvers: ['team:platform'] } };
  await hands.apply('asking', { ...spec, steps: [approval, script('deploy')] });
  const cases = Object.keys(states).flatMap((state) => requests.map((request) => ({ state, request })));
  return inLanes(cases, ({ state, request }, index) => runCase(hands, state, request, `case-${index}`));
}

async function inLanes<T, R>(
  items: readonly T[],
  work: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const lane = async () => {
    for (let index = next++; index < items.length; index = next++) {
      const item = items[index];
      if (item !== undefined) results[index] = await work(item, index);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  return results;
}

/** Workflows by what they are called in the table. */
const workflowStates: Record<string, Spec> = {
  Active: { state: 'Active', steps },
  Paused: { state: 'Paused', steps },
  Draft: { state: 'Draft', steps },
  invalid: { steps: [{ ...script('build'), when: 'nobody.knows' }] },
};

const workflowRequests: { title: string; asked: Record<string, string>; states: string[] }[] = [
  { title: 'run=now', asked: { run: 'now' }, states: Object.keys(workflowStates) },
  { title: 'run=later', asked: { run: 'later' }, states: ['Active'] },
  {
    title: 'run=now params={"region": "us"}',
    asked: { run: 'now', params: '{"region": "us"}' },
    states: ['Active'],
  },
  { title: 'run=now params=us', asked: { run: 'now', params: 'us' }, states: ['Active'] },
];

async function workflowCase(
  hands: Hands,
  state: string,
  { title, asked }: (typeof workflowRequests)[number],
  name: string,
): Promise<Row> {
  await hands.apply(name, workflowStates[state] ?? { steps });
  const ready = await hands.workflowIs(name, ({ status }) => status?.conditions !== undefined);
  await hands.annotateWorkflow(name, asked);
  const workflow = await hands.workflowIs(name, isWorkflowAnswered);
  const { uid = '' } = ready.metadata;
  const answer = await waitFor(`an answer to ${title}`, LIMIT_MS, async () =>
    (await answers(hands, uid)).at(-1),
  );
  const { 0: word = '', 1: note = '' } = answer.split(/: (.*)/s);
  const created = (await hands.runsOf(name)).length;
  return {
    state,
    title,
    word,
    note: note.replaceAll(new RegExp(`${workflow.metadata.name}-[a-z0-9]{8}`, 'g'), '<run>'),
    after: created === 1 ? '1 run' : `${created} runs`,
  };
}

const isWorkflowAnswered = ({ metadata, status }: Workflow) =>
  status?.manualRun === undefined &&
  !Object.keys(metadata.annotations ?? {}).some((name) => name.startsWith('signalbox.dev/'));

/** What comes of each annotation of a workflow. */
export async function workflowRows(hands: Hands): Promise<Row[]> {
  const cases = Object.keys(workflowStates).flatMap((state) =>
    workflowRequests.filter(({ states }) => states.includes(state)).map((request) => ({ state, request })),
  );
  return inLanes(cases, ({ state, request }, index) => workflowCase(hands, state, request, `flow-${index}`));
}

/** The page that shows them. */
export function page(runs: readonly Row[], workflows: readonly Row[]): string {
  return `# What each annotation does, in each state

<!-- Written by test/integration/operator/control.test.ts: each was made on a cluster. -->

Every annotation is checked, acted on, and then taken away, with an Event on the object that says what came of it. [Operations](operations.md) says what they are for.

## Annotations of a WorkflowRun

${table(runs, ['A run that is', 'annotated with', 'is then', 'and its Event says'])}

## Annotations of a Workflow

${table(workflows, ['A workflow that is', 'annotated with', 'starts', 'and its Event says'])}
`;
}

const escaped = (text: string) => text.replaceAll('|', '\\|').replaceAll('<', '&lt;');

function table(rows: readonly Row[], head: readonly string[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const body = rows.map(({ state, title, word, note, after }, index) => {
    const first = rows[index - 1]?.state === state ? '' : `**${state}**`;
    return line([first, `\`${title}\``, after, `${word}: ${escaped(note)}`]);
  });
  return [line(head), line(head.map(() => '---')), ...body].join('\n');
}
