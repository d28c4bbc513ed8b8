import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reportOn } from '../../faults/report.ts';
import { runCampaign } from '../../faults/run-campaign.ts';

const SEED = 'crisp';
const RUNS = 16;

/**
 * How often each group of faults strikes at least, or the verdict is worth nothing. Most campaigns of this length have
 * twice as many; how many exactly depends on the machine.
 */
const LEAST: readonly { what: string; counts: RegExp; least: number }[] = [
  { what: 'calls that were refused', counts: /^injected (409|429|500)$/, least: 4 },
  { what: 'answers that were lost or late', counts: /^injected (Reset|Lost|Cut|Broken|Slow)$/, least: 5 },
  {
    what: 'watches that broke or were stale',
    counts: /^injected (Drop|CutLine|End|Expire|Stall)$/,
    least: 6,
  },
  { what: 'operators that were killed', counts: /^injected Kill|^killed |^asked to stop$/, least: 4 },
  { what: 'clocks that were stepped', counts: /^clock steps$/, least: 1 },
  { what: 'approvals', counts: /^approvals that were asked for$/, least: 5 },
  { what: 'votes that were taken', counts: /^votes that were taken$/, least: 10 },
  { what: 'votes that were refused', counts: /^votes that were refused/, least: 3 },
  { what: 'runs that were continued', counts: /^run continued by somebody$/, least: 3 },
];

test('whatever goes wrong, nothing is lost, done twice or wrong', async (t) => {
  const result = await runCampaign({
    cluster: 'faults-short',
    runs: RUNS,
    minutes: 1,
    seed: SEED,
    killsPerTakeover: 6,
  });
  t.diagnostic(`\n${reportOn(result, SEED)}`);
  assert.deepEqual(result.findings, [], `the logs and all else that was seen are in ${result.folder}`);

  const started = result.runs.filter(({ metadata }) => metadata.ownerReferences === undefined);
  assert.equal(started.length, RUNS);
  for (const { what, counts, least } of LEAST) {
    const count = [...result.counts].reduce((sum, [name, n]) => (counts.test(name) ? sum + n : sum), 0);
    assert.ok(count >= least, `${what}: ${count}`);
  }
});
