import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { prepare } from '../cluster/requirements.ts';
import { reportTo } from '../cluster/report.ts';
import { reportOn } from './report.ts';
import { runCampaign } from './run-campaign.ts';

const usage = `Runs random workflows while everything goes wrong, and judges what came of them.

  node test/faults/campaign.ts [options]

  --runs N       most runs that are started      (200)
  --minutes M    no run is started after that    (10)
  --seed S       repeats the choices of another  (random)
`;

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '200' },
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: randomBytes(4).toString('hex') },
    help: { type: 'boolean', default: false },
  },
});

async function main(): Promise<number> {
  const { runs, minutes, seed } = values;
  await prepare(reportTo(process.stderr));
  console.error(`seed ${seed}`);
  const result = await runCampaign({
    cluster: 'faults',
    runs: Number(runs),
    minutes: Number(minutes),
    seed,
    killsPerTakeover: 15,
  });
  console.log(reportOn(result, seed));
  return result.findings.length === 0 ? 0 : 1;
}

if (values.help) console.log(usage);
else process.exitCode = await main();
