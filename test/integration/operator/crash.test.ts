import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowRun } from '../../../src/api/resources.ts';
import { type AuditEntry, writes } from '../../kit/audit.ts';
import { createKit, type Spec } from '../../kit/kit.ts';
import { startOperator } from '../../kit/operator-process.ts';
import { bootSimulated } from './setup.ts';

const RUNS = 20;
const KILLS = 20;
const LIMIT_MS = 120_000;

/** Sequence, branches, a join, and an end that always comes. */
const spec: Spec = {
  steps: [
    { name: 'first', script: { bash: 'true' } },
    { name: 'second', script: { bash: 'true' } },
    { name: 'left', dependsOn: ['second'], script: { bash: 'true' } },
    { name: 'right', dependsOn: ['second'], script: { bash: 'true' } },
    { name: 'far', dependsOn: ['second'], script: { bash: 'true' } },
    { name: 'join', dependsOn: ['left', 'right', 'far'], script: { bash: 'true' } },
  ],
  finally: [{ name: 'last', script: { bash: 'true' } }],
};

test('killed again and again, the operator ends every run right and makes every Job and pod once', async (t) => {
  await using site = await bootSimulated({ name: 'crash', audit: true, podDuration: 0.3 });
  const { cluster, load } = site;
  await load.apply('crash', spec);

  const names: string[] = [];
  const starting = (async () => {
    for (let run = 0; run < RUNS; run++) {
      names.push(...(await load.start('crash', 1)));
      await sleep(randomInt(100, 500));
    }
  })();
  const waits: number[] = [];
  for (let kill = 0; kill < KILLS; kill++) {
    const operator = startOperator(cluster, ['--identity=crash']);
    await operator.ready;
    const wait = randomInt(10, 600);
    waits.push(wait);
    await sleep(wait);
    await operator.stop('SIGKILL');
  }
  t.diagnostic(`killed after ${waits.join(', ')} ms of work`);
  await starting;

  const operator = startOperator(cluster, ['--identity=crash']);
  const runs = await load.finished(names, LIMIT_MS);
  await operator.stop();
  for (const run of runs) assertRight(run);
  const entries = await writes(cluster);
  const kit = createKit(cluster, 'default');
  for (const resource of ['jobs', 'pods']) {
    const { items } = await kit.get<{ items: { metadata: { name: string } }[] }>(resource);
    assertOnce(
      entries,
      resource,
      items.map(({ metadata }) => metadata.name),
      runs,
    );
  }
});

function assertRight({ metadata, status }: WorkflowRun): void {
  assert.equal(status?.phase, 'Succeeded', `${metadata.name}: ${JSON.stringify(status)}`);
  for (const step of status?.steps ?? []) {
    assert.equal(step.phase, 'Succeeded', `${metadata.name}: ${JSON.stringify(step)}`);
    assert.equal(step.attempt, 1);
  }
}

/**
 * Every step's object is there, none was deleted, and the API server took none of them twice. It logs no success for
 * a creation whose client was killed before the answer, so such a one counts as none here.
 */
function assertOnce(
  entries: readonly AuditEntry[],
  resource: string,
  there: readonly string[],
  runs: readonly WorkflowRun[],
): void {
  const own = entries.filter((entry) => entry.resource === resource);
  const created = own.filter(({ verb, code }) => verb === 'create' && code === 201).map(({ name }) => name);
  const expected = runs.flatMap((run) => (run.status?.steps ?? []).map((step) => step.job?.name ?? ''));
  assert.deepEqual(there.toSorted(), expected.toSorted());
  assert.deepEqual(
    created.filter((name, index) => created.indexOf(name) !== index),
    [],
  );
  assert.deepEqual(
    own.filter(({ verb }) => verb.startsWith('delete')),
    [],
  );
}
