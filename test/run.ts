import { availableParallelism } from 'node:os';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { down } from './cluster/cluster.ts';
import { prepareTests } from './cluster/requirements.ts';
import { reportTo } from './cluster/report.ts';
import { ensureTools } from './cluster/tools.ts';

/** What can run side by side stands in one stage; each stage needs more of a cluster than the one before. */
const stages: Stage[] = [
  {
    title: 'Unit',
    files: ['src/**/*.test.ts', 'deploy/**/*.test.ts', 'test/docs/*.test.ts', 'test/faults/*.test.ts'],
    concurrency: availableParallelism(),
  },
  { title: 'Chart', files: ['test/chart/*.test.ts'], concurrency: 1 },
  { title: 'Supply chain', files: ['test/supply/*.test.ts'], concurrency: 1, tools: true },
  { title: 'Cluster', files: ['test/cluster/*.test.ts'], concurrency: 1, tools: true },
  { title: 'Integration', files: ['test/integration/**/*.test.ts'], concurrency: 2 },
  { title: 'End to end', files: ['test/e2e/*.test.ts'], concurrency: 1, tools: true },
];

interface Stage {
  title: string;
  files: string[];
  concurrency: number;
  /** Whether its tests use programs whose first build takes longer than a test may. */
  tools?: true;
}

const FILE_TIMEOUT_MS = 10 * 60_000;

interface Counts {
  passed: number;
  failed: number;
}

async function runStage({ files, concurrency }: Stage): Promise<Counts> {
  const { promise, resolve } = Promise.withResolvers<Counts>();
  const stream = run({ globPatterns: files, concurrency, timeout: FILE_TIMEOUT_MS });
  stream.on('test:summary', ({ file, counts }) => {
    // The summary without a file is that of the whole stage.
    if (file === undefined) resolve({ passed: counts.passed, failed: counts.tests - counts.passed });
  });
  stream.compose(new spec()).pipe(process.stdout, { end: false });
  return promise;
}

const only = process.argv.slice(2);
const total: Counts = { passed: 0, failed: 0 };
const report = reportTo(process.stderr);
await prepareTests(report);
for (const stage of stages) {
  if (only.length > 0 && !only.includes(stage.title)) continue;
  console.log(`\n== ${stage.title} tests`);
  if (stage.tools) await ensureTools(report);
  const counts = await runStage(stage);
  if (counts.passed + counts.failed === 0) throw new Error(`no test was found in ${stage.files.join(', ')}`);
  total.passed += counts.passed;
  total.failed += counts.failed;
}
// The tests of the last stage share this cluster, whoever comes first.
await down('e2e');
console.log(`\n${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed === 0 ? 0 : 1;
