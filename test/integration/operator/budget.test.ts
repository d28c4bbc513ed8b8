import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { writes } from '../../kit/audit.ts';
import { type OperatorProcess, startOperator } from '../../kit/operator-process.ts';
import { bootSimulated } from './setup.ts';

const STEPS = 5;
const RUNS = 4;
const LIMIT_MS = 60_000;
/** Its pod is seen on a node, running, and ended; its Job is seen closed. */
const RECONCILES_PER_STEP = 4;

test('a chain costs a Job, a pod, a closing and one status write for each step, and two more for the run', async () => {
  await using site = await bootSimulated({ name: 'budget', audit: true });
  const { cluster, load } = site;
  await load.apply('chain', {
    steps: Array.from({ length: STEPS }, (_, index) => ({ name: `s${index}`, script: { bash: 'true' } })),
  });
  const operator = startOperator(cluster, ['--identity=budget']);
  await operator.ready;
  // One after the other, so that the report on the workflow does not mix with the runs.
  const names: string[] = [];
  for (let run = 0; run < RUNS; run++) {
    const [name = ''] = await load.start('chain', 1);
    await load.finished([name], LIMIT_MS);
    names.push(name);
  }
  // The closing of the last Job follows the end of the run.
  await sleep(2000);
  const reconciles = await reconcilesOf(operator);
  await operator.stop();

  const own = (await writes(cluster)).filter(({ client }) => client === 'signalbox');
  const count = (verb: string, resource: string) =>
    own.filter((entry) => entry.verb === verb && entry.resource === resource).length;
  assert.equal(count('create', 'jobs'), RUNS * STEPS);
  assert.equal(count('create', 'pods'), RUNS * STEPS);
  assert.equal(count('patch', 'jobs/status'), RUNS * STEPS);
  assert.equal(count('patch', 'workflowruns/status'), RUNS * (STEPS + 1));
  // The finalizer, which each object gets once.
  assert.equal(count('patch', 'workflowruns'), RUNS);
  assert.equal(count('patch', 'workflows'), 1);
  // What a pod shows (it begins, it ends) and what is created is looked at, and so is each write that comes back.
  assert.ok(reconciles <= RUNS * (STEPS * RECONCILES_PER_STEP + 2), `${reconciles} reconciles`);
  assert.equal(count('create', 'controllerrevisions'), 1);
  assert.deepEqual([...new Set(own.map(({ resource }) => resource))].toSorted(), [
    'controllerrevisions',
    'jobs',
    'jobs/status',
    'leases',
    'pods',
    'workflowruns',
    'workflowruns/status',
    'workflows',
    'workflows/status',
  ]);
});

/** How often the run controller has worked. */
async function reconcilesOf(operator: OperatorProcess): Promise<number> {
  const success = /^signalbox_reconcile_duration_seconds_count\{controller="run",result="success"\} (\d+)$/m;
  return Number(success.exec(await operator.metrics())?.[1]);
}
