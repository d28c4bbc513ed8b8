import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { waitFor } from '../../cluster/wait.ts';
import { type AdmissionSite, bootAdmission } from './setup.ts';
import { beginStorm, type Storm } from './storm.ts';

const LIMIT_MS = 240_000;
let site: AdmissionSite;

before(async () => {
  site = await bootAdmission('restart', 19_643);
});
after(() => site[Symbol.asyncDispose]());

/** 200 objects, and votes meanwhile. */
const AMOUNTS = { added: 60, changed: 40, runs: 100, votes: 20 };
/** After so many something becomes of the operator. */
const MOMENTS = [30, 80, 130, 180];

const reaches = (storm: Storm, count: number) =>
  waitFor(`${count} objects`, LIMIT_MS, () => storm.done() >= count);

/** Does something at each of the moments while the storm goes on. */
async function during(storm: Storm, strike: (index: number) => Promise<void>): Promise<void> {
  const strikes = async () => {
    for (const [index, count] of MOMENTS.entries()) {
      await reaches(storm, count);
      await strike(index);
    }
  };
  await Promise.all([storm.finished, strikes()]);
}

test('the only operator is killed and started again while 200 objects are applied: what was answered is there', async (t) => {
  let operator = await site.start('--identity=one');
  const storm = await beginStorm(site, 'one', AMOUNTS);
  await during(storm, async (index) => {
    await site.ends(operator, index % 2 === 0 ? 'SIGKILL' : 'SIGTERM');
    operator = await site.start('--identity=one');
  });
  t.diagnostic(`${storm.refusals.length} tries were refused`);
  assert.ok(storm.refusals.length > 0);
  for (const said of storm.refusals)
    assert.match(said, /^no: .*failed calling webhook "\w+\.signalbox\.dev": /);
  await storm.check();
  await site.ends(operator, 'SIGTERM');
});

test('two operators, of which one at a time is stopped and started again, refuse nobody', async () => {
  const operators = [await site.start('--identity=one'), await site.start('--identity=two')];
  const storm = await beginStorm(site, 'two', AMOUNTS);
  await during(storm, async (index) => {
    const leaving = operators.shift();
    assert.ok(leaving);
    const ended = site.ends(leaving, 'SIGTERM');
    // It says so while it still answers.
    await waitFor('the readiness to fall', LIMIT_MS, async () => !(await leaving.isReady()));
    await ended;
    operators.push(await site.start(`--identity=${index % 2 === 0 ? 'one' : 'two'}`));
  });
  assert.deepEqual(storm.refusals, []);
  await storm.check();
});
