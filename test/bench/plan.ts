/**
 * Measures a plan step of an empty project, from the creation of its run to its end, and where the time goes. It runs on a
 * real cluster with a real git forge, as root: `node test/bench/plan.ts`
 */
import type { Project } from '../../src/api/resources.ts';
import { down } from '../cluster/cluster.ts';
import { prepare } from '../cluster/requirements.ts';
import { reportTo } from '../cluster/report.ts';
import { install, loadRunner } from '../demo/install.ts';
import { deployForge } from '../kit/forge.ts';
import { allowForge, PROTOCOLS, readingFrom } from '../kit/forge-access.ts';
import { inNamespace, isFinished, type Kit, stepOf } from '../kit/kit.ts';
import { percentile } from './gaps.ts';

const CLUSTER = 'bench-plan';
const ROUNDS = 10;
const LIMIT_MS = 120_000;
/** As the runner names the parts of its work in the log. */
const STAGE = /^\[signalbox\] (.+): ([0-9.]+) s$/gm;

/** Seconds, by the name of the part. */
type Times = Map<string, number>;

const report = reportTo(process.stderr);
await prepare(report);
try {
  const cluster = await install({ name: CLUSTER }, report);
  await loadRunner(cluster, 'opentofu', report);
  const kit = await inNamespace(cluster, 'plan');
  const forge = await deployForge(cluster, kit);
  await allowForge(kit, forge);
  const repository = await forge.createRepository('empty');
  await repository.push({ 'main.tf': '' });
  for (const protocol of PROTOCOLS) {
    const project: Project = {
      apiVersion: 'signalbox.dev/v1alpha1',
      kind: 'Project',
      metadata: { name: protocol },
      spec: { git: { url: '' }, terraform: {} },
    };
    await kit.apply(readingFrom(project, repository, protocol));
    await kit.applyWorkflow(protocol, {
      steps: [{ name: 'plan', terraform: { project: protocol, action: 'plan' } }],
    });
    const rounds: Times[] = [];
    for (let round = 0; round <= ROUNDS; round += 1) {
      const times = await measure(kit, protocol);
      // The first one pays for what later ones find in caches.
      if (round > 0) rounds.push(times);
    }
    print(protocol, rounds);
  }
} finally {
  await down(CLUSTER);
}

async function measure(kit: Kit, workflow: string): Promise<Times> {
  const name = await kit.startRun(workflow);
  const created = Date.now();
  const run = await kit.waitForRun(name, isFinished, LIMIT_MS);
  const { job, phase, startedAt = '', finishedAt = '' } = stepOf(run, 'plan');
  if (phase !== 'Succeeded') throw new Error(JSON.stringify(run.status));
  const log = await kit.kubectl(['logs', job?.name ?? '']);
  const stages = [...log.matchAll(STAGE)].map(([, name = '', seconds]) => [name, Number(seconds)] as const);
  const [start, end] = [Date.parse(startedAt), Date.parse(finishedAt)];
  const inPod = stages.reduce((sum, [, seconds]) => sum + seconds, 0);
  return new Map([
    // Ends of pods are known to the second, and count as late as they can have been.
    ['from the creation of the run to the end of the step', (end - created) / 1000],
    ['until the step starts', Math.max(0, start - created) / 1000],
    ['scheduling, image, start and end of the pod', (end - start) / 1000 - inPod],
    ...stages,
  ]);
}

function print(protocol: string, rounds: readonly Times[]): void {
  console.log(`\nPlan of an empty project over ${protocol}, ${rounds.length} runs, seconds\n`);
  console.log(`| part | median | most |\n|---|---|---|`);
  for (const name of rounds[0]?.keys() ?? []) {
    const values = rounds.map((times) => times.get(name) ?? 0);
    console.log(`| ${name} | ${percentile(values, 50).toFixed(2)} | ${Math.max(...values).toFixed(2)} |`);
  }
}
