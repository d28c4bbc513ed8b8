import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { Workflow, WorkflowRun } from '../api/resources.ts';
import type { WorkflowSpec } from '../api/workflow.ts';
import { creatorOf } from '../engine/created-by.ts';
import type { Happening } from '../kube/events.ts';
import { reply, status as failure } from '../kube/fake-server.ts';
import { fakeKeys } from '../storage/fake-keys.ts';
import { createSeals } from '../storage/seals.ts';
import { scheduledRunName } from '../triggers/schedule.ts';
import { type Answer, fakeCluster } from './fake-cluster.ts';
import { RUN_FINALIZER } from './finalizers.ts';
import { runOf } from './fake-run.ts';
import { createSchedules } from './schedules.ts';
import { type RunView, type WorkflowView, workflowView } from './views.ts';

const NOW = Date.parse('2030-01-01T03:00:00.040Z');
const DUE = '2030-01-01T03:00:00.000Z';
const sealing = createSeals(fakeKeys('key'));
const nightly = {
  name: 'nightly',
  schedule: { cron: '0 3 * * *', timeZone: 'UTC', params: { store: 's3' } },
};

function workflowOf(
  spec: Partial<WorkflowSpec> = {},
  handledUntil = '2029-12-31T03:00:00.000Z',
): WorkflowView {
  const { name, schedule } = nightly;
  const object: Workflow = {
    apiVersion: 'signalbox.dev/v1alpha1',
    kind: 'Workflow',
    metadata: { namespace: 'ns', name: 'w', uid: 'uid', resourceVersion: '5' },
    spec: {
      state: 'Active',
      triggers: [nightly],
      steps: [{ name: 'a', script: { bash: 'true' } }],
      ...spec,
    },
    status: { schedules: [{ name, cron: schedule.cron, timeZone: 'UTC', handledUntil }] },
  };
  return workflowView(object);
}

const NAME = scheduledRunName({ name: 'w', uid: 'uid' }, 'nightly', NOW);
const taking: Answer = ({ body }, response) => reply(response, 201, JSON.parse(body));

async function schedulesIn(t: TestContext, answer: Answer = taking) {
  const { cluster, requests, calls } = await fakeCluster(t, answer);
  const told: string[] = [];
  const schedules = createSchedules({
    runs: cluster.runs,
    events: {
      record: ({ type, reason, note }: Happening) => void told.push(`${type} ${reason}: ${note}`),
      close: async () => {},
    },
    sealing,
    onOutcome: ({ result, count }) => void told.push(`${result} ${count}`),
    now: () => NOW,
  });
  const sent = () => JSON.parse(requests[0]?.body ?? '{}') as WorkflowRun;
  return { ...schedules, calls, told, sent };
}

test('what is due is started, and told of', async (t) => {
  const { serve, sent, told, calls } = await schedulesIn(t);
  const report = await serve(workflowOf(), [], []);
  assert.deepEqual(calls(), ['POST workflowruns']);
  const { metadata, spec } = sent();
  assert.deepEqual([metadata.name, metadata.finalizers], [NAME, [RUN_FINALIZER]]);
  assert.deepEqual(spec, {
    workflowRef: { name: 'w' },
    params: { store: 's3' },
    trigger: { type: 'Schedule', name: 'nightly', scheduledAt: DUE },
  });
  assert.deepEqual(told, ['started 1', `Normal RunCreated: Created run ${NAME} of schedule nightly.`]);
  const [status] = report.statuses;
  assert.deepEqual([status?.handledUntil, status?.lastScheduledAt], [DUE, DUE]);
  assert.deepEqual([report.verdict?.reason, report.nextAt], ['OnTime', Date.parse('2030-01-02T03:00:00Z')]);
});

test('it is on record that nobody has started it', async (t) => {
  const { serve, sent } = await schedulesIn(t);
  await serve(workflowOf(), [], []);
  const { metadata, spec } = sent();
  const created = { metadata: { ...metadata, creationTimestamp: new Date(NOW).toISOString() }, spec };
  assert.deepEqual(creatorOf(created, sealing), { kind: 'Trigger' });
});

const nothing = async (t: TestContext, workflow: WorkflowView, runs: RunView[] = []) => {
  const { serve, calls } = await schedulesIn(t);
  const report = await serve(workflow, [], runs);
  assert.deepEqual(calls(), []);
  return report;
};

test('nothing is started, and nothing counted, while the workflow is not active or can not run', async (t) => {
  for (const state of ['Paused', 'Draft'] as const) {
    assert.deepEqual((await nothing(t, workflowOf({ state }))).statuses, []);
  }
  const { serve, calls } = await schedulesIn(t);
  const problems = [{ field: 'spec.steps[0]', message: 'is wrong' }];
  assert.deepEqual((await serve(workflowOf(), problems, [])).statuses, []);
  assert.deepEqual((await serve(workflowOf({ triggers: [] }), [], [])).statuses, []);
  assert.deepEqual(calls(), []);
});

test('what has its run is not started again; a run that only looks so is none', async (t) => {
  const spec = {
    workflowRef: { name: 'w' },
    trigger: { type: 'Schedule' as const, name: 'nightly', scheduledAt: DUE },
  };
  const report = await nothing(t, workflowOf(), [runOf({}, { name: NAME, spec })]);
  assert.equal(report.statuses[0]?.lastScheduledAt, DUE);
  const { serve, calls } = await schedulesIn(t);
  await serve(workflowOf(), [], [runOf({}, { name: 'mine', spec })]);
  assert.deepEqual(calls(), ['POST workflowruns']);
});

/** Somebody else was quicker. */
const taken =
  (run: (wanted: WorkflowRun) => WorkflowRun): Answer =>
  ({ method, body, url }, response) => {
    if (method === 'POST') wanted = JSON.parse(body) as WorkflowRun;
    if (method === 'POST') return reply(response, 409, failure(409, 'AlreadyExists'));
    assert.ok(url.pathname.endsWith(NAME));
    return reply(response, 200, wanted && run(wanted));
  };
let wanted: WorkflowRun | undefined;

test('another replica was quicker: it is found, and not told of twice', async (t) => {
  const { serve, told, calls } = await schedulesIn(
    t,
    taken((run) => run),
  );
  const report = await serve(workflowOf(), [], []);
  assert.deepEqual(calls(), ['POST workflowruns', `GET workflowruns/${NAME}`]);
  assert.deepEqual(told, []);
  assert.deepEqual([report.verdict?.reason, report.statuses[0]?.lastScheduledAt], ['OnTime', DUE]);
});

test('the run of somebody else under that name is not taken for it', async (t) => {
  const { serve, told } = await schedulesIn(
    t,
    taken((run) => ({ ...run, spec: { ...run.spec, trigger: { type: 'Manual' } } })),
  );
  const report = await serve(workflowOf(), [], []);
  assert.deepEqual([report.verdict?.status, report.verdict?.reason], ['False', 'RunRefused']);
  assert.match(
    told[1] ?? '',
    /^Warning RunRefused: A run named w-203001010300-\w+ exists that was not made for/,
  );
  assert.equal(report.statuses[0]?.handledUntil, DUE);
});

test('a run that the cluster refuses is tried again, and stays due', async (t) => {
  const { serve, told } = await schedulesIn(t, (_, response) =>
    reply(response, 403, failure(403, 'Forbidden')),
  );
  const workflow = workflowOf();
  const report = await serve(workflow, [], []);
  assert.deepEqual(report.statuses, workflow.status.schedules);
  assert.deepEqual([report.lookAt, report.verdict?.reason], [NOW + 10_000, 'RunRefused']);
  assert.deepEqual(told[0], 'refused 1');
  // As when a webhook of somebody else fails.
  const failing = await schedulesIn(t, (_, response) =>
    reply(response, 500, failure(500, 'InternalError', 'failed calling webhook "policy.example.com"')),
  );
  const { verdict } = await failing.serve(workflow, [], []);
  assert.match(verdict?.message ?? '', /is tried again: .*failed calling webhook/);
});

test('when nobody knows whether it was created, the caller asks again', async (t) => {
  const { serve } = await schedulesIn(t, (_, response) => reply(response, 409, failure(409, 'Conflict')));
  await assert.rejects(serve(workflowOf(), [], []), { reason: 'Conflict' });
});

test('what was missed shows in an event and in the condition, until a run is on time', async (t) => {
  const { serve, told } = await schedulesIn(t);
  const late = await serve(workflowOf({}, '2029-12-29T03:00:00.000Z'), [], []);
  const message =
    '2 runs of schedule nightly up to 2029-12-31T03:00:00.000Z were not started in time; the one after that was started instead.';
  assert.deepEqual(late.verdict, { status: 'False', reason: 'ScheduleMissed', message });
  assert.equal(told.length, 2, 'it would be found again if the status could not be written');
  late.tellMissed();
  assert.deepEqual(told.slice(2), ['missed 2', `Warning ScheduleMissed: ${message}`]);

  const lastTransitionTime = DUE;
  const conditions = [
    { type: 'Scheduled', status: 'False' as const, reason: 'ScheduleMissed', message, lastTransitionTime },
  ];
  const idle = workflowOf({}, DUE);
  const still = await nothing(t, { ...idle, status: { ...idle.status, conditions } });
  assert.deepEqual(still.verdict, late.verdict);
  const again = workflowOf();
  const onTime = await (await schedulesIn(t)).serve(
    { ...again, status: { ...again.status, conditions } },
    [],
    [],
  );
  assert.equal(onTime.verdict?.reason, 'OnTime');
});

test('what is later than its deadline is not started', async (t) => {
  const schedule = { ...nightly.schedule, cron: '0 2 * * *', startingDeadline: '30m' };
  const workflow = workflowOf({ triggers: [{ name: 'nightly', schedule }] });
  const [known] = workflow.status.schedules ?? [];
  assert.ok(known);
  const status = { schedules: [{ ...known, cron: schedule.cron }] };
  const report = await nothing(t, { ...workflow, status });
  assert.match(
    report.verdict?.message ?? '',
    /for 2030-01-01T02:00:00.000Z was not started: it was later than startingDeadline, 30m, allows/,
  );
});
