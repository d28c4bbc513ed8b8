import assert from 'node:assert/strict';
import { suite, test, type TestContext } from 'node:test';
import type { ObjectMeta } from 'kubernetes-types/meta/v1.d.ts';
import type { Workflow, WorkflowRun } from '../api/resources.ts';
import { type Created, type Creator, creatorOf, runBy } from '../engine/created-by.ts';
import type { Happening } from '../kube/events.ts';
import { reply, status as failure } from '../kube/fake-server.ts';
import { fakeKeys } from '../storage/fake-keys.ts';
import { createSeals } from '../storage/seals.ts';
import { type Answer, fakeCluster } from './fake-cluster.ts';
import { RUN_FINALIZER } from './finalizers.ts';
import { createManualRuns } from './manual-run.ts';
import { annotationOf, type Control, type WorkflowView, workflowView } from './views.ts';

const workflow: Workflow = {
  apiVersion: 'signalbox.dev/v1alpha1',
  kind: 'Workflow',
  metadata: { namespace: 'ns', name: 'w', uid: 'uid', resourceVersion: '5' },
  spec: {
    state: 'Active',
    params: [{ name: 'region', type: 'string', enum: ['eu', 'us'] }],
    steps: [{ name: 'a', script: { bash: 'true' } }],
  },
};
const NAME = /^w-[a-z0-9]{8}$/;
const NOW = Date.parse('2030-01-01T00:00:00Z');
const sealing = createSeals(fakeKeys('key'));

interface Body {
  kind?: string;
  metadata?: ObjectMeta & { annotations?: Record<string, string | null> };
  spec?: WorkflowRun['spec'];
  status?: { manualRun?: { name: string } | null };
}

const annotations = ({ run, params, 'run-by': by }: Control) => ({
  ...(by === undefined ? {} : { [annotationOf('run-by')]: by }),
  ...(run === undefined ? {} : { [annotationOf('run')]: run }),
  ...(params === undefined ? {} : { [annotationOf('params')]: params }),
});

/** Keeps the workflow as it is written, one version after the other, and takes runs. */
function keeping(): Answer {
  let version = 5;
  const kept: { annotations: Record<string, string | null>; manualRun?: { name: string } | null } = {
    annotations: {},
  };
  return ({ method, url, body }, response) => {
    const sent = JSON.parse(body || '{}') as Body;
    version += 1;
    if (method === 'POST') return reply(response, 201, sent);
    if (url.pathname.endsWith('/status')) Object.assign(kept, sent.status);
    Object.assign(kept.annotations, sent.metadata?.annotations);
    const left = Object.entries(kept.annotations).filter(([, value]) => value !== null);
    reply(response, 200, {
      ...workflow,
      metadata: {
        ...workflow.metadata,
        resourceVersion: String(version),
        annotations: Object.fromEntries(left),
      },
      status: kept.manualRun ? { manualRun: kept.manualRun } : {},
    });
  };
}

async function manualIn(t: TestContext, answer: Answer = keeping()) {
  const fake = await fakeCluster(t, answer);
  const told: string[] = [];
  const record = ({ type, reason, note }: Happening) => void told.push(`${type} ${reason}: ${note}`);
  const manual = createManualRuns({
    cluster: fake.cluster,
    events: { record, close: async () => {} },
    sealing,
    now: () => NOW,
  });
  const bodies = () => fake.requests.map(({ body }) => JSON.parse(body || '{}') as Body);
  const names = () =>
    bodies().flatMap(({ kind, metadata }) => (kind === 'WorkflowRun' ? [metadata?.name ?? ''] : []));

  /** A workflow that somebody has annotated. */
  async function asked(control: Control, more: Partial<WorkflowView> = {}): Promise<WorkflowView> {
    const name = { namespace: 'ns', name: 'w' };
    const written = await fake.cluster.workflows.client.patch(name, {
      metadata: { annotations: annotations(control) },
    });
    fake.requests.length = 0;
    return { ...workflowView(written), ...more };
  }
  return { ...fake, manual, told, bodies, names, asked };
}

test('run=now: the run is named, created, told of, and its annotations go', async (t) => {
  const { manual, calls, bodies, told, asked } = await manualIn(t);
  const after = await manual.serve(await asked({ run: 'now', params: '{"region": "us"}' }), []);
  assert.deepEqual(calls(), [
    'PATCH workflows/w/status',
    'POST workflowruns',
    'PATCH workflows/w',
    'PATCH workflows/w/status',
  ]);
  const [intent, run, removal, end] = bodies();
  const name = intent?.status?.manualRun?.name ?? '';
  assert.match(name, NAME);
  assert.equal(run?.metadata?.name, name);
  assert.deepEqual(run?.metadata?.finalizers, [RUN_FINALIZER]);
  assert.deepEqual(run?.spec, {
    workflowRef: { name: 'w' },
    params: { region: 'us' },
    trigger: { type: 'Manual' },
  });
  const gone = { 'signalbox.dev/run': null, 'signalbox.dev/params': null };
  assert.deepEqual(removal, { metadata: { resourceVersion: '7', annotations: gone } });
  assert.deepEqual(end?.status, { manualRun: null });
  assert.deepEqual(told, [`Normal RunCreated: Created run ${name}.`]);
  assert.equal(after.status.manualRun, undefined);
});

const originOf = (run: Body | undefined): Created['metadata'] => {
  const { namespace, name, annotations = {} } = run?.metadata ?? {};
  const kept = Object.entries(annotations).flatMap(([key, value]) =>
    value === null ? [] : [[key, value] as const],
  );
  return {
    namespace,
    name,
    annotations: Object.fromEntries(kept),
    creationTimestamp: new Date(NOW).toISOString(),
  };
};

test('who asked for the run is on record as who created it', async (t) => {
  const { manual, bodies, asked } = await manualIn(t);
  const creatorAfter = async (record: string | undefined): Promise<Creator | undefined> => {
    const by = record === undefined ? {} : { 'run-by': record };
    const workflow = await asked({ run: 'now', ...by });
    await manual.serve(workflow, []);
    const run = bodies().find(({ kind }) => kind === 'WorkflowRun');
    return run?.spec && creatorOf({ metadata: originOf(run), spec: run.spec }, sealing);
  };
  const record = (uid: string, time: number) => runBy({ uid }, 'jane', sealing, time);
  assert.deepEqual(await creatorAfter(record('uid', NOW - 1000)), { kind: 'User', user: 'jane' });
  assert.equal(await creatorAfter(record('another', NOW)), undefined);
  assert.equal(await creatorAfter(record('uid', NOW - 3_600_000)), undefined);
  assert.equal(await creatorAfter(record('uid', NOW).replace('jane', 'joe')), undefined);
  assert.equal(await creatorAfter(undefined), undefined);
  const gone = bodies().find(({ metadata }) => metadata?.annotations)?.metadata?.annotations;
  assert.deepEqual(gone, { 'signalbox.dev/run': null, 'signalbox.dev/params': null });
});

test('each annotation gives a name of its own, however long that of the workflow is', async (t) => {
  const { manual, names, asked } = await manualIn(t);
  const long = { name: `${'a'.repeat(53)}.${'b'.repeat(100)}` };
  await manual.serve(await asked({ run: 'now' }, long), []);
  const [first = ''] = names();
  await manual.serve(await asked({ run: 'now' }, long), []);
  const [second = ''] = names();
  assert.notEqual(first, second);
  for (const name of [first, second]) assert.match(name, /^a{53}-[a-z0-9]{8}$/);
});

suite('after a crash', () => {
  const known = { status: { manualRun: { name: 'w-00000000' } } };

  test('the run that is meant is created, or found', async (t) => {
    const { manual, calls, names, asked } = await manualIn(t);
    await manual.serve(await asked({ run: 'now' }, known), []);
    assert.deepEqual(calls().slice(0, 2), ['POST workflowruns', 'PATCH workflows/w']);
    assert.deepEqual(names(), ['w-00000000']);
  });

  test('what was meant is forgotten when the annotation is gone', async (t) => {
    const { manual, calls, told, asked } = await manualIn(t);
    await manual.serve(await asked({}, known), []);
    assert.deepEqual([calls(), told], [['PATCH workflows/w/status'], []]);
  });

  test('a run of that name which is none of ours is not taken for it', async (t) => {
    const keep = keeping();
    const { manual, told, asked } = await manualIn(t, (request, response) => {
      const other = { metadata: { name: 'w-00000000' }, spec: { workflowRef: { name: 'x' }, trigger: {} } };
      if (request.method === 'POST') return reply(response, 409, failure(409, 'AlreadyExists'));
      if (request.method === 'GET') return reply(response, 200, other);
      keep(request, response);
    });
    await manual.serve(await asked({ run: 'now' }, known), []);
    assert.match(told[0] ?? '', /^Warning RunRefused: A run named w-00000000 exists/);
  });

  test('the same annotation once more, before the first is forgotten, is another one', async (t) => {
    const keep = keeping();
    let refused = false;
    const { manual, names, asked } = await manualIn(t, (request, response) => {
      const isEnd = request.body.includes('"manualRun":null');
      if (!isEnd || refused) return keep(request, response);
      refused = true;
      reply(response, 409, failure(409, 'Conflict'));
    });
    await assert.rejects(manual.serve(await asked({ run: 'now' }), []), /Conflict/);
    const [first] = names();
    await manual.serve(await asked({ run: 'now' }), []);
    assert.equal(names().length, 1);
    assert.notEqual(names()[0], first);
  });
});

suite('nothing is started, and the annotations go, where', () => {
  interface Refused {
    title: string;
    control: Control;
    spec?: Partial<WorkflowView['spec']>;
    problems?: { field: string; message: string }[];
    expected: RegExp;
  }
  const now = (params: string): Control => ({ run: 'now', params });
  const cases: Refused[] = [
    { title: 'the value is none', control: { run: 'yes' }, expected: /\/run must be now, and is "yes"\./ },
    {
      title: 'it is a draft',
      control: { run: 'now' },
      spec: { state: 'Draft' },
      expected: /set spec\.state/,
    },
    {
      title: 'the workflow is invalid',
      control: { run: 'now' },
      problems: [{ field: 'spec.x', message: 'wrong' }],
      expected: /can not run\. spec\.x: wrong/,
    },
    { title: 'params are no JSON', control: now('{'), expected: /and is no JSON: \{/ },
    { title: 'params are no object', control: now('["us"]'), expected: /and is no object\./ },
    {
      title: 'params are no scalars',
      control: now('{"region": {}}'),
      expected: /and region is none of these\./,
    },
    {
      title: 'params do not fit',
      control: now('{"region": "asia"}'),
      expected: /signalbox\.dev\/params\.region: must be one of/,
    },
  ];
  for (const { title, control, spec = {}, problems = [], expected } of cases) {
    test(title, async (t) => {
      const { manual, calls, told, asked } = await manualIn(t);
      await manual.serve(await asked(control, { spec: { ...workflow.spec, ...spec } }), problems);
      assert.deepEqual(calls(), ['PATCH workflows/w']);
      assert.match(told[0] ?? '', /^Warning RunRefused: /);
      assert.match(told[0] ?? '', expected);
    });
  }
});

test('params alone ask for nothing yet', async (t) => {
  const { manual, calls, asked } = await manualIn(t);
  await manual.serve(await asked({ params: '{}' }), []);
  assert.deepEqual(calls(), []);
});
