import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Workflow, WorkflowRun } from '../../../src/api/resources.ts';
import type { WorkflowSpec } from '../../../src/api/workflow.ts';
import { waitFor } from '../../cluster/wait.ts';
import { type ClockedOperators, clockedOperators } from '../../kit/clocked-operator.ts';
import { createHands, type Hands } from '../../kit/hands.ts';
import { inNamespace } from '../../kit/kit.ts';
import type { OperatorProcess } from '../../kit/operator-process.ts';
import { bootControlPlane, type Site } from './setup.ts';

const KILLS = 8;
/** All that there is to be done about a time is mostly done in this time. */
const WORK_MS = 60;
/** Longer than a lease that has to run out, or than the operator takes to see that its clock was set. */
const LIMIT_MS = 90_000;

const at = (time: string) => `2030-01-01T${time}Z`;
const iso = (time: string) => `2030-01-01T${time}.000Z`;

suite('schedules', () => {
  let site: Site;
  let operators: ClockedOperators;
  let hands: Hands;
  let operator: OperatorProcess | undefined;

  before(async () => {
    site = await bootControlPlane('schedule');
    operators = await clockedOperators(site.cluster);
    const { namespace } = await inNamespace(site.cluster, 'schedule');
    hands = await createHands(site.cluster, namespace);
  });
  after(async () => {
    await operators[Symbol.asyncDispose]();
    await hands[Symbol.asyncDispose]();
    await site[Symbol.asyncDispose]();
  });

  /** Starts the operator at a time of day, or ends it and starts it again. */
  async function startAt(time: string, signal?: NodeJS.Signals): Promise<OperatorProcess> {
    await operator?.stop(signal);
    operators.setClock(at(time));
    operator = operators.start('one');
    await operator.ready;
    return operator;
  }

  const apply = (name: string, cron: string, more: Partial<WorkflowSpec> = {}, settings: object = {}) =>
    hands.apply(name, {
      state: 'Active',
      triggers: [{ name: 'often', schedule: { cron, timeZone: 'UTC', ...settings } }],
      steps: [{ name: 'work', script: { bash: 'true' } }],
      ...more,
    });

  /** Until the operator counts its times. */
  const counts = (name: string) => hands.workflowIs(name, ({ status }) => status?.schedules?.length === 1);
  const pause = (name: string, cron: string) => apply(name, cron, { state: 'Paused' });
  const saysOf = ({ status }: Workflow) =>
    status?.conditions?.find(({ type }) => type === 'Scheduled')?.reason ?? 'nothing';

  const timeOf = ({ spec }: WorkflowRun) => spec.trigger.scheduledAt ?? '';
  const times = async (name: string) => (await hands.runsOf(name)).map(timeOf).toSorted();
  const startedFor = (name: string, time: string) =>
    waitFor(`the run of ${name} at ${time}`, LIMIT_MS, async () => (await times(name)).includes(iso(time)));

  test('each time has one run, however often the operator is killed at it', async (t) => {
    await startAt('03:00:10');
    await apply('killed', '* * * * *');
    await counts('killed');
    const waits: number[] = [];
    const expected: string[] = [];
    for (let kill = 0; kill < KILLS; kill += 1) {
      const minute = String(kill + 1).padStart(2, '0');
      // It is due as soon as the operator has begun to work.
      const killed = await startAt(`03:${minute}:00`, 'SIGKILL');
      const wait = randomInt(WORK_MS);
      waits.push(wait);
      await sleep(wait);
      await killed.stop('SIGKILL');
      operator = operators.start('one');
      await operator.ready;
      await startedFor('killed', `03:${minute}:00`);
      expected.push(iso(`03:${minute}:00`));
    }
    await pause('killed', '* * * * *');
    const found = await times('killed');
    assert.equal(new Set(found).size, found.length, `twice: ${found.join()}`);
    assert.deepEqual(
      expected.filter((time) => !found.includes(time)),
      [],
    );
    t.diagnostic(`killed after ${waits.join(', ')} ms of work; ${found.length} runs`);
  });

  test('its runs say what has started them, and the workflow when the next one comes', async () => {
    await startAt('04:58:00');
    await apply(
      'shown',
      '0 * * * *',
      { params: [{ name: 'store', type: 'string' }] },
      { params: { store: 's3' } },
    );
    const { status } = await counts('shown');
    assert.deepEqual([status?.triggers, status?.nextRun], ['Schedule', iso('05:00:00')]);
    const { metrics } = await startAt('05:00:00');
    await startedFor('shown', '05:00:00');
    const [run] = await hands.runsOf('shown');
    assert.deepEqual(run?.spec.params, { store: 's3' });
    assert.deepEqual(run?.spec.trigger, { type: 'Schedule', name: 'often', scheduledAt: iso('05:00:00') });
    assert.match(run?.metadata.name ?? '', /^shown-203001010500-\w{8}$/);
    const after = await hands.workflowIs('shown', (workflow) => workflow.status?.nextRun === iso('06:00:00'));
    assert.equal(saysOf(after), 'OnTime');
    await waitFor('the event', LIMIT_MS, async () =>
      (await hands.told(after.metadata.uid ?? '')).some(({ text }) => text.startsWith('Normal RunCreated')),
    );
    assert.match(await metrics(), /^signalbox_triggers_total\{type="schedule",result="started"\} 1$/m);
    await pause('shown', '0 * * * *');
  });

  test('of what was missed while no operator ran the latest is started, unless it is too late', async () => {
    await startAt('06:30:00');
    await apply('missed', '0 * * * *');
    await apply('strict', '0 * * * *', {}, { startingDeadline: '5m' });
    await Promise.all([counts('missed'), counts('strict')]);
    const { metrics } = await startAt('09:30:00');
    await startedFor('missed', '09:00:00');
    assert.deepEqual(await times('missed'), [iso('09:00:00')]);
    const missed = await hands.workflowIs('missed', (workflow) => saysOf(workflow) === 'ScheduleMissed');
    assert.equal(missed.status?.schedules?.[0]?.handledUntil, iso('09:00:00'));
    const strict = await hands.workflowIs('strict', (workflow) => saysOf(workflow) === 'ScheduleMissed');
    assert.deepEqual(await times('strict'), []);
    const told = await waitFor(
      'the event',
      LIMIT_MS,
      async () => (await hands.told(strict.metadata.uid ?? ''))[0],
    );
    assert.match(
      told.text,
      /^Warning ScheduleMissed: 3 runs of schedule often .* later than startingDeadline, 5m/,
    );
    assert.match(await metrics(), /^signalbox_triggers_total\{type="schedule",result="missed"\} 5$/m);
    await pause('missed', '0 * * * *');
    await pause('strict', '0 * * * *');
  });

  test('nothing is started while the workflow is paused, and nothing of that time afterwards', async () => {
    await startAt('10:30:00');
    await apply('paused', '0 * * * *');
    await counts('paused');
    await pause('paused', '0 * * * *');
    await hands.workflowIs('paused', ({ status }) => status?.schedules === undefined);
    await startAt('12:30:00');
    await apply('paused', '0 * * * *');
    const { status } = await counts('paused');
    assert.equal(status?.nextRun, iso('13:00:00'));
    await startAt('13:00:01');
    await startedFor('paused', '13:00:00');
    assert.deepEqual(await times('paused'), [iso('13:00:00')]);
    await pause('paused', '0 * * * *');
  });

  test('other times than before count from when they are seen; concurrency holds as for any run', async () => {
    await startAt('14:30:00');
    await apply('edited', '0 * * * *', { concurrency: { policy: 'Forbid' } });
    await counts('edited');
    await startAt('15:00:01');
    await startedFor('edited', '15:00:00');
    await apply('edited', '*/2 * * * *', { concurrency: { policy: 'Forbid' } });
    await hands.workflowIs('edited', ({ status }) => status?.nextRun === iso('15:02:00'));
    await startAt('15:02:01');
    await startedFor('edited', '15:02:00');
    assert.deepEqual(await times('edited'), [iso('15:00:00'), iso('15:02:00')]);
    const second = (await hands.runsOf('edited')).find((run) => timeOf(run) === iso('15:02:00'));
    const { status } = await hands.runIs(
      second?.metadata.name ?? '',
      ({ status }) => status?.phase === 'Cancelled',
    );
    assert.equal(status?.reason, 'ConcurrencyForbid');
    await pause('edited', '*/2 * * * *');
  });

  test('a clock that is set while the operator runs doubles nothing and loses nothing', async () => {
    await startAt('16:00:30');
    await apply('set', '*/20 * * * *');
    await counts('set');
    // Forward: seen without being told, within a minute.
    operators.setClock(at('16:40:10'));
    await startedFor('set', '16:40:00');
    // Back: 16:20 comes for real, and 16:40 again.
    operators.setClock(at('16:19:58'));
    await startedFor('set', '16:20:00');
    operators.setClock(at('16:40:01'));
    await hands.annotateWorkflow('set', { look: '1' });
    await hands.workflowIs('set', ({ status }) => status?.nextRun === iso('17:00:00'));
    assert.deepEqual(await times('set'), [iso('16:20:00'), iso('16:40:00')]);
    await pause('set', '*/20 * * * *');
  });

  test('of two replicas the one that leads starts it; one that was frozen over it does not start it again', async () => {
    const first = await startAt('18:00:30');
    await apply('frozen', '*/5 * * * *');
    await counts('frozen');
    const second = operators.start('two');
    process.kill(first.pid, 'SIGSTOP');
    operators.setClock(at('18:04:50'));
    await second.ready;
    await startedFor('frozen', '18:05:00');
    process.kill(first.pid, 'SIGCONT');
    await first.exited;
    await hands.workflowIs(
      'frozen',
      ({ status }) => status?.schedules?.[0]?.handledUntil === iso('18:05:00'),
    );
    assert.deepEqual(await times('frozen'), [iso('18:05:00')]);
    await pause('frozen', '*/5 * * * *');
  });
});
