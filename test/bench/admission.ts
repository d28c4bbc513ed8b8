import { loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { GROUP, VERSION } from '../../src/api/common.ts';
import type { Workflow, WorkflowRun } from '../../src/api/resources.ts';
import { type Connection, loadConnection } from '../../src/kube/config.ts';
import { type ResourceClient, resourceClient } from '../../src/kube/resource.ts';
import { createTransport } from '../../src/kube/transport.ts';
import { processOf } from '../cluster/components.ts';
import { prepare } from '../cluster/requirements.ts';
import { reportTo } from '../cluster/report.ts';
import { waitFor } from '../cluster/wait.ts';
import { bundle, cpuSeconds, type OperatorProcess } from '../kit/operator-process.ts';
import { runOf } from '../integration/admission/scene.ts';
import {
  ADMISSION_KINDS,
  type AdmissionSite,
  bootAdmission,
  PEOPLE,
  type Person,
  TEAM,
  WEBHOOKS,
} from '../integration/admission/setup.ts';
import { percentile } from './gaps.ts';
import { longWorkflow } from './long-workflow.ts';
import { type Reviews, reviewsBetween, reviewsOf } from './reviews.ts';

// How long people wait for admission: the same writes with the chart's webhooks and policy, with the policy alone, and with
// neither. One write at a time, over one connection that is kept, on a machine that does nothing else.

const PORT = 19_743;
const WARM_UP = 100;
const SAMPLES = 1_000;
/** Votes go round so many runs, so that the operator is done with one before the next vote on it. */
const RUNS = 25;
/** What follows a write is not to slow down the next. */
const PAUSE_MS = 20;
const LIMIT_MS = 60_000;

const report = reportTo(process.stderr);

interface Row {
  title: string;
  ms: number[];
  /** Of the operator and of the API server for each write, with what follows from it. */
  cpuMs: [operator: number, server: number];
}

interface Bench {
  site: AdmissionSite;
  operator: OperatorProcess;
}

/** What one person writes, over connections that are kept. */
interface Writer extends AsyncDisposable {
  runs: ResourceClient<WorkflowRun>;
  workflows: ResourceClient<Workflow>;
}

async function writerAs(connection: Connection, person: Person): Promise<Writer> {
  const transport = createTransport(
    { ...connection, impersonate: PEOPLE[person].name },
    { userAgent: 'bench', connections: 1 },
  );
  const type = (kind: string, plural: string) => ({
    group: GROUP,
    version: VERSION,
    kind,
    plural,
    namespaced: true,
  });
  return {
    runs: resourceClient<WorkflowRun>(transport, type('WorkflowRun', 'workflowruns')),
    workflows: resourceClient<Workflow>(transport, type('Workflow', 'workflows')),
    [Symbol.asyncDispose]: () => transport.close(),
  };
}

/** CPU seconds that the operator and the API server have used so far. */
async function cpuOf({ site, operator }: Bench): Promise<[number, number]> {
  const server = await processOf(site.cluster.folder, 'kube-apiserver');
  return [operator.cpuSeconds(), server ? cpuSeconds(server.pid) : Number.NaN];
}

/** Milliseconds of each write, after some that do not count. */
async function time(
  bench: Bench,
  title: string,
  write: (index: number) => Promise<unknown>,
  settle = async () => {},
): Promise<Row> {
  const done = report(`${title} (load of the machine: ${loadavg()[0]?.toFixed(1)})`);
  const ms: number[] = [];
  const next = async (index: number) => {
    const start = performance.now();
    await write(index);
    const took = performance.now() - start;
    await sleep(PAUSE_MS);
    await settle();
    return took;
  };
  for (let index = 0; index < WARM_UP; index++) await next(index);
  const [operator, server] = await cpuOf(bench);
  for (let index = 0; index < SAMPLES; index++) ms.push(await next(WARM_UP + index));
  const [operatorAfter, serverAfter] = await cpuOf(bench);
  done();
  const each = (seconds: number) => (seconds * 1000) / SAMPLES;
  return { title, ms, cpuMs: [each(operatorAfter - operator), each(serverAfter - server)] };
}

/** Runs that wait for the votes of two people, so that one never decides. */
async function waitingRuns(site: AdmissionSite): Promise<string[]> {
  const approvers = [`user:${PEOPLE.jane.name}`, `user:${PEOPLE.john.name}`];
  const steps = [{ name: 'approval', approval: { approvers, required: 2, timeout: '24h' } }];
  const ada = site.as('ada');
  const must = async (object: object) => {
    const { ok, text } = await ada(['apply', '-f', '-'], JSON.stringify(object));
    if (!ok) throw new Error(text);
  };
  const names = Array.from({ length: RUNS }, (_, index) => `vote-${index}`);
  await must({
    apiVersion: `${GROUP}/${VERSION}`,
    kind: 'Workflow',
    metadata: { name: 'vote' },
    spec: { steps },
  });
  const runs = names.map((name) => ({ ...runOf('vote'), metadata: { name } }));
  await must({ apiVersion: 'v1', kind: 'List', items: runs });
  for (const name of names)
    await site.hands.runIs(name, ({ status }) => status?.phase === 'AwaitingApproval');
  return names;
}

const annotationsOf = (values: Record<string, string | null>) => ({
  metadata: {
    annotations: Object.fromEntries(
      Object.entries(values).map(([name, value]) => [`${GROUP}/${name}`, value]),
    ),
  },
});

/** Approves, and in the next round withdraws. */
function vote({ runs }: Writer, names: readonly string[]) {
  return (index: number) => {
    const name = names[index % names.length] ?? '';
    const isEven = Math.floor(index / names.length) % 2 === 0;
    const wish = isEven ? { approve: 'approval' } : { withdraw: 'approval' };
    return runs.patch({ namespace: TEAM, name }, annotationsOf(wish));
  };
}

/** The same patch where nobody makes a vote of it: a value that is not there yet, so that it is written. */
function annotate({ runs }: Writer, names: readonly string[]) {
  return (index: number) => {
    const name = names[index % names.length] ?? '';
    const isEven = Math.floor(index / names.length) % 2 === 0;
    return runs.patch(
      { namespace: TEAM, name },
      annotationsOf({ approve: isEven ? 'approval' : 'Approval' }),
    );
  };
}

let revision = 0;
const apply =
  ({ workflows }: Writer) =>
  () => {
    revision += 1;
    const object = {
      metadata: { namespace: TEAM, name: 'long' },
      spec: longWorkflow(`Revision ${revision}`),
    };
    return workflows.apply(object as Workflow, { fieldManager: 'bench' });
  };

/** Waits until the operator has reported on the workflow: a write of its own in between makes the API server ask anew. */
const reported =
  ({ workflows }: Writer) =>
  async () => {
    await waitFor('the report on the workflow', LIMIT_MS, async () => {
      const { metadata, status } = await workflows.get({ namespace: TEAM, name: 'long' });
      return status?.observedGeneration === metadata.generation;
    });
  };

/** Takes them out of the cluster, and waits until the API server goes by that. */
async function without(
  site: AdmissionSite,
  kinds: readonly string[],
  { runs }: Writer,
  name: string,
): Promise<void> {
  await site.webhooks('delete', kinds);
  await waitFor('the API server to go by that', LIMIT_MS, async () => {
    const after = await runs.patch({ namespace: TEAM, name }, annotationsOf({ comment: String(Date.now()) }));
    return after.metadata.annotations?.[`${GROUP}/comment`] !== undefined;
  });
}

async function measure(site: AdmissionSite): Promise<{ rows: Row[]; reviews: Record<string, Reviews> }> {
  const operator = await site.startWith({ program: await bundle() }, '--identity=bench');
  const bench = { site, operator };
  const connection = await loadConnection({ kubeconfig: site.cluster.kubeconfig });
  await using jane = await writerAs(connection, 'jane');
  await using ada = await writerAs(connection, 'ada');
  const names = await waitingRuns(site);
  const begun = reviewsOf(await operator.metrics());
  const rows = [
    await time(bench, 'a vote', vote(jane, names)),
    await time(bench, 'an apply of a hundred steps', apply(ada), reported(ada)),
  ];
  const ended = reviewsOf(await operator.metrics());
  const reviews = {
    'a vote': reviewsBetween(begun, ended, 'workflowruns'),
    'an apply of a hundred steps': reviewsBetween(begun, ended, 'workflows'),
  };
  await without(site, WEBHOOKS, jane, names[0] ?? '');
  rows.push(await time(bench, 'the same patch, with the policy alone', annotate(jane, names)));
  await without(site, ADMISSION_KINDS, jane, names[0] ?? '');
  rows.push(await time(bench, 'the same patch, with neither', annotate(jane, names)));
  rows.push(await time(bench, 'the same apply, with neither', apply(ada), reported(ada)));
  return { rows, reviews };
}

await prepare(report);
await using site = await bootAdmission('bench-admission', PORT, { audit: false });
const { rows, reviews } = await measure(site);
console.log(
  `\nAdmission, ${SAMPLES} writes each, one at a time, in milliseconds, as the client of the API server sees it:\n`,
);
console.log('| write | p50 | p99 | CPU of the operator | CPU of the API server |\n|---|---|---|---|---|');
for (const { title, ms, cpuMs } of rows) {
  const figures = [percentile(ms, 50), percentile(ms, 99), ...cpuMs].map((value) => value.toFixed(1));
  console.log(`| ${title} | ${figures.join(' | ')} |`);
}
console.log('\nThe part of the operator, by its own metric, its questions to the API server included:\n');
console.log('| review of | reviews | mean | p50 | p99 |\n|---|---|---|---|---|');
for (const [title, { count, meanMs, p50Ms, p99Ms }] of Object.entries(reviews))
  console.log(`| ${title} | ${count} | ${meanMs.toFixed(1)} | ≤ ${p50Ms} | ≤ ${p99Ms} |`);
