import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowRun } from '../../src/api/resources.ts';
import { type Cluster, down, up } from '../cluster/cluster.ts';
import { run as command } from '../cluster/command.ts';
import { processOf } from '../cluster/components.ts';
import { prepare } from '../cluster/requirements.ts';
import { reportTo } from '../cluster/report.ts';
import { type AuditEntry, writes } from '../kit/audit.ts';
import { createLoad, LOAD_CLIENT, type Load } from '../kit/load.ts';
import { bundle, cpuSeconds, type OperatorProcess, startOperator } from '../kit/operator-process.ts';
import { gaps, percentile } from './gaps.ts';
import { graphs, graphTable, measureGraph } from './graph.ts';
import { type Column, peers, table } from './table.ts';

/** Seconds that a simulated pod takes, as in the figures of the peers. */
const POD_SECONDS = 0.2;
const LIMIT_MS = 300_000;
/** What still follows the end of a run: the closing of its last Job, and the report on its workflow. */
const SETTLE_MS = 3000;
const CHAIN = 5;

const root = path.resolve(import.meta.dirname, '../..');
const report = reportTo(process.stderr);

const chainOf = (length: number) => ({
  steps: Array.from({ length }, (_, index) => ({ name: `s${index + 1}`, script: { bash: 'true' } })),
  retention: { succeeded: 10_000, failed: 10_000 },
});

interface Bench {
  cluster: Cluster;
  operator: OperatorProcess;
  load: Load;
}

/** What one burst of runs took. */
interface Burst {
  perSecond: number;
  cpuMsPerRun: number;
  /** The same for each part of the cluster, which shares the machine with the operator. */
  othersMsPerRun: [string, number][];
}

const PARTS = [
  'kube-apiserver',
  'etcd',
  'kube-controller-manager',
  'kube-scheduler',
  'simulated-kubelet',
] as const;

async function withBench<T>(audit: boolean, work: (bench: Bench) => Promise<T>): Promise<T> {
  const name = audit ? 'bench-audit' : 'bench';
  const cluster = await up({ name, simulatedNodes: 4, podDuration: POD_SECONDS, audit }, report);
  let operator: OperatorProcess | undefined;
  let load: Load | undefined;
  try {
    await command([
      cluster.kubectl,
      '--kubeconfig',
      cluster.kubeconfig,
      'apply',
      '--server-side',
      '-f',
      path.join(root, 'crds'),
    ]);
    operator = startOperator(cluster, [], await bundle());
    await operator.ready;
    load = await createLoad(cluster);
    await load.apply('one', chainOf(1));
    await load.apply('chain', chainOf(CHAIN));
    await load.apply('long', chainOf(51));
    await sleep(SETTLE_MS);
    // The first runs pay for compiling the code.
    await load.finished(await load.start('one', 20), LIMIT_MS);
    return await work({ cluster, operator, load });
  } finally {
    await load?.close();
    await operator?.stop();
    await down(name);
  }
}

/** CPU seconds that each part of the cluster has used so far. */
async function cpuOfParts({ cluster }: Bench): Promise<[string, number][]> {
  const used = PARTS.map(async (part): Promise<[string, number]> => {
    const running = await processOf(cluster.folder, part);
    return [part, running ? cpuSeconds(running.pid) : 0];
  });
  return Promise.all(used);
}

async function burst(bench: Bench, workflow: string, count: number): Promise<Burst> {
  const { operator, load } = bench;
  const done = report(`${count} runs of "${workflow}"`);
  const cpu = operator.cpuSeconds();
  const parts = new Map(await cpuOfParts(bench));
  const started = Date.now();
  const ended = await load.finished(await load.start(workflow, count), LIMIT_MS);
  const wrong = ended.filter((run) => run.status?.phase !== 'Succeeded');
  if (wrong.length > 0)
    throw new Error(`${wrong.length} runs did not succeed: ${JSON.stringify(wrong[0]?.status)}`);
  const lastEnd = Math.max(...ended.map((run) => Date.parse(run.status?.finishedAt ?? '')));
  done();
  return {
    perSecond: count / ((lastEnd - started) / 1000),
    cpuMsPerRun: ((operator.cpuSeconds() - cpu) * 1000) / count,
    othersMsPerRun: (await cpuOfParts(bench)).map(([part, used]) => [
      part,
      ((used - (parts.get(part) ?? 0)) * 1000) / count,
    ]),
  };
}

/** Seconds of single chains on an otherwise idle machine; the median of several. */
async function idleChain({ load }: Bench): Promise<number> {
  const seconds: number[] = [];
  for (let index = 0; index < 5; index++) {
    const started = Date.now();
    const [run] = await load.finished(await load.start('chain', 1), LIMIT_MS);
    seconds.push((Date.parse(run?.status?.finishedAt ?? '') - started) / 1000);
  }
  return percentile(seconds, 50);
}

interface Counts {
  perRun: number;
  byClient: string;
}

/** API writes that runs of a workflow cost, each client's, per run. */
async function countWrites(
  { cluster, load }: Bench,
  workflow: string,
  count: number,
): Promise<Counts & { entries: AuditEntry[]; runs: WorkflowRun[] }> {
  await sleep(SETTLE_MS);
  const before = (await writes(cluster)).length;
  const runs = await load.finished(await load.start(workflow, count), LIMIT_MS);
  await sleep(SETTLE_MS);
  const entries = (await writes(cluster))
    .slice(before)
    .filter(({ resource }) => resource !== 'leases' && !resource.startsWith('nodes'));
  const groups = Map.groupBy(
    entries,
    ({ client, verb, resource, code }) =>
      `${client === LOAD_CLIENT ? 'user' : client} ${verb} ${resource}${code >= 400 ? ` (${code})` : ''}`,
  );
  const lines = [...groups]
    .map(([what, list]) => `    ${(list.length / count).toFixed(2).padStart(6)}  ${what}`)
    .sort();
  return { perRun: entries.length / count, byClient: lines.join('\n'), entries, runs };
}

/** What large graphs cost, with the writes of the operator counted. */
async function countGraphs(bench: Bench) {
  const counted = [];
  for (const title of Object.keys(graphs)) {
    const done = report(title);
    const before = (await writes(bench.cluster)).length;
    const figures = await measureGraph(title, bench);
    await sleep(SETTLE_MS);
    const entries = (await writes(bench.cluster)).slice(before);
    const own = entries.filter(({ client, resource }) => client === 'signalbox' && resource !== 'leases');
    counted.push({ ...figures, writes: own.length });
    done();
  }
  return counted;
}

await prepare(report);
const figures = await withBench(false, async (bench) => {
  const chainSeconds = await idleChain(bench);
  const one = await burst(bench, 'one', 1000);
  const chain = await burst(bench, 'chain', 200);
  return { chainSeconds, one, chain, rssMb: bench.operator.peakRss() / 1e6 };
});
const counted = await withBench(true, async (bench) => {
  const one = await countWrites(bench, 'one', 100);
  const chain = await countWrites(bench, 'chain', 50);
  const long = await countWrites(bench, 'long', 1);
  return { one, chain, gaps: gaps(long.entries, long.runs), graphs: await countGraphs(bench) };
});

const ours: Column = {
  name: 'Signalbox, measured',
  oneStepRunsPerSecond: figures.one.perSecond.toFixed(0),
  chainsPerSecond: figures.chain.perSecond.toFixed(1),
  idleChain: `${figures.chainSeconds.toFixed(2)} s`,
  cpu: `${figures.one.cpuMsPerRun.toFixed(1)} / ${figures.chain.cpuMsPerRun.toFixed(1)} ms`,
  writes: `${counted.one.perRun.toFixed(1)} / ${counted.chain.perRun.toFixed(1)}`,
  rss: `${figures.rssMb.toFixed(0)} MB`,
};
console.log(`\n${table([...peers, ours])}`);
for (const [what, { othersMsPerRun }] of [
  ['one-step run', figures.one],
  ['five-step chain', figures.chain],
] as const) {
  const list = othersMsPerRun.map(([part, ms]) => `${part} ${ms.toFixed(1)}`).join(', ');
  console.log(`\nCPU of everybody else for a ${what}, in ms: ${list}`);
}
console.log(`\nAPI writes of a one-step run, by client:\n${counted.one.byClient}`);
console.log(`\nAPI writes of a five-step chain, by client:\n${counted.chain.byClient}`);
console.log(
  `\nFrom a pod's end to the next Job's creation, ${counted.gaps.length} gaps of one run, idle machine: p50 ${percentile(counted.gaps, 50).toFixed(1)} ms, p99 ${percentile(counted.gaps, 99).toFixed(1)} ms`,
);
console.log(`\nLarge graphs, one run each, idle machine:\n${graphTable(counted.graphs)}`);
