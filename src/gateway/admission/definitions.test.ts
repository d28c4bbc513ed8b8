import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WorkflowSpec } from '../../api/workflow.ts';
import { type Neighbours, reviewProject, reviewWorkflow } from './definitions.ts';
import { annotated, fakeRequest, fakeRights, nobody, outcomeOf } from './fake-review.ts';

const script = (name: string, more: object = {}) => ({ name, script: { bash: 'true' }, ...more });
const named = (name: string, spec: unknown) => ({ metadata: { name }, spec });

async function create(spec: unknown, { denied = [] as string[], neighbours = nobody } = {}) {
  const rights = fakeRights(...denied);
  const verdict = await reviewWorkflow(
    fakeRequest('workflows', named('one', spec)),
    rights.mayDo,
    neighbours,
  );
  return { verdict, asked: rights.asked, outcome: outcomeOf(verdict) };
}

test('a workflow is told all that is wrong with it at once, each with its field', async () => {
  const steps = [
    script('build', { when: 'nobody.knows', dependsOn: ['test'] }),
    script('test', { dependsOn: ['build'], script: { bash: 'true', env: { A: '${{ params.no }}' } } }),
  ];
  const { verdict, outcome } = await create({ steps });
  const fields = outcome.map((text) => text.split(':')[0]);
  for (const field of ['spec.steps[0].dependsOn', 'spec.steps[0].when', 'spec.steps[1].script.env.A']) {
    assert.ok(fields.includes(field), `${field} is not in ${outcome.join('\n')}`);
  }
  assert.ok(!verdict.allowed && verdict.code === 422 && verdict.reason === 'Invalid');
  assert.match(verdict.message, /spec\.steps\[0\]\.when: .*\n/);
});

test('a workflow that would run itself through another one is refused', async () => {
  const back: WorkflowSpec = {
    steps: [{ name: 'call', workflow: { name: 'one' } }],
  } as unknown as WorkflowSpec;
  const neighbours = {
    ...nobody,
    workflowSpec: (_: string, name: string) => (name === 'two' ? back : undefined),
  };
  const { outcome } = await create({ steps: [{ name: 'call', workflow: { name: 'two' } }] }, { neighbours });
  assert.match(
    outcome.join(),
    /spec\.steps\[0\]\.workflow\.name: would have one run itself .* one runs two runs one/,
  );
});

test('what is missing but may come is a warning', async () => {
  const steps = [
    { name: 'plan', terraform: { project: 'net', action: 'plan' } },
    { name: 'each', forEach: { items: ['eu'] }, ansible: { project: 'x-${{ item }}', playbook: 'a.yml' } },
    { name: 'call', workflow: { name: 'other' } },
  ];
  const { verdict } = await create({ steps });
  assert.deepEqual(verdict, {
    allowed: true,
    warnings: [
      'spec.steps[2].workflow.name: there is no workflow other yet',
      'spec.steps[0].terraform.project: there is no project net yet',
    ],
  });
});

test('a Secret that is missing, or may not be read, is a warning, once for each', async () => {
  const there: Record<string, { isForUse: boolean }> = {
    slack: { isForUse: false },
    hook: { isForUse: true },
    env: { isForUse: false },
  };
  const neighbours: Neighbours = { ...nobody, findSecret: async (_, name) => there[name] };
  const key = (name: string) => ({ name, key: 'k' });
  const steps = [
    script('a', { pod: { imagePullSecrets: [{ name: 'pull' }] } }),
    { name: 'b', script: { bash: 'true', secrets: { A: key('env'), B: key('gone'), C: key('gone') } } },
    { name: 'c', slack: { channel: '#a', message: 'x' } },
    { name: 'd', slack: { channel: '#b', message: 'x' } },
    { name: 'e', slack: { webhook: key('hook') } },
  ];
  const label = 'kubectl label secret slack signalbox.dev/use=true';
  const { verdict } = await create({ steps }, { neighbours });
  assert.deepEqual(verdict, {
    allowed: true,
    warnings: [
      'spec.steps[0].pod.imagePullSecrets[0]: there is no Secret pull yet',
      'spec.steps[1].script.secrets.B: there is no Secret gone yet',
      `spec.steps[2].slack.token: Secret slack may not be read for steps yet: ${label}`,
    ],
  });
  const failing = { ...nobody, findSecret: () => Promise.reject(new Error('no answer')) };
  assert.deepEqual((await create({ steps }, { neighbours: failing })).verdict, {
    allowed: true,
    warnings: [],
  });
});

test('so is one that a project names', async () => {
  const key = (name: string) => ({ name, key: 'k' });
  const spec = {
    git: { url: 'https://example.com/a.git', credentials: { name: 'git' } },
    terraform: { varsFrom: { token: key('vars') } },
    ansible: { credentials: { name: 'ssh' }, vault: key('vault') },
    secrets: { A: key('env') },
    caBundle: { secret: key('ca') },
  };
  const neighbours: Neighbours = { ...nobody, findSecret: async () => undefined };
  const verdict = await reviewProject(
    fakeRequest('projects', named('net', spec)),
    fakeRights().mayDo,
    neighbours,
  );
  assert.deepEqual(verdict.allowed && verdict.warnings, [
    'spec.git.credentials: there is no Secret git yet',
    'spec.terraform.varsFrom.token: there is no Secret vars yet',
    'spec.ansible.credentials: there is no Secret ssh yet',
    'spec.ansible.vault: there is no Secret vault yet',
    'spec.secrets.A: there is no Secret env yet',
    'spec.caBundle.secret: there is no Secret ca yet',
  ]);
});

const nightly = { name: 'nightly', schedule: { cron: '0 3 * * *' } };

test('what is wrong with a trigger is told with all the rest', async () => {
  const schedule = { cron: '61 3 * * *', timeZone: 'Europe/Berln', params: { reigon: 'eu' } };
  const { outcome } = await create({
    params: [{ name: 'region' }],
    triggers: [nightly, { name: 'other', schedule }],
    steps: [script('build', { when: 'nobody.knows' })],
  });
  const at = 'spec.triggers[1].schedule';
  for (const line of [
    /^spec\.steps\[0\]\.when: /,
    /^spec\.triggers\[1\]\.schedule\.cron: minute "61": /,
    /^spec\.triggers\[1\]\.schedule\.timeZone: .* Did you mean Europe\/Berlin\?$/,
    /^spec\.triggers\[1\]\.schedule\.params\.reigon: is no parameter .* Did you mean region\?$/,
  ]) {
    assert.ok(
      outcome.some((text) => line.test(text)),
      `${line} is not in ${outcome.join('\n')}`,
    );
  }
  assert.equal(outcome.filter((text) => text.startsWith(at)).length, 3);
});

const everything = {
  triggers: [nightly],
  podDefaults: { serviceAccountName: 'deployer' },
  steps: [
    script('a', { pod: { serviceAccountName: 'builder' } }),
    {
      name: 'b',
      http: {
        url: 'https://example.com',
        secretHeaders: { Authorization: { name: 'token', key: 'k' } },
        caFrom: { secret: { name: 'ca', key: 'k' } },
      },
    },
    { name: 'c', slack: { channel: '#a', message: 'x' } },
  ],
  finally: [{ name: 'd', slack: { webhook: { name: 'hook', key: 'url' } } }],
  notifications: { onFailure: [{ slack: { channel: '#a', token: { name: 'bot', key: 't' } } }] },
};

const RIGHTS = [
  'create pods',
  'create workflowruns.signalbox.dev',
  'create serviceaccounts/token deployer',
  'create serviceaccounts/token builder',
  'get secrets token',
  'get secrets ca',
  'get secrets slack',
  'get secrets hook',
  'get secrets bot',
];

test('its author must have the rights to all that it uses, and to nothing else', async () => {
  const { outcome, asked } = await create(everything);
  assert.deepEqual(outcome, ['allowed']);
  assert.deepEqual(asked.toSorted(), RIGHTS.toSorted());
  for (const right of RIGHTS) {
    const { verdict, outcome: refused } = await create(everything, { denied: [right] });
    assert.equal(refused.length, 1, right);
    assert.match(refused[0] ?? '', new RegExp(`^spec.*jane may not: that takes the right to ${right}$`));
    assert.ok(!verdict.allowed && verdict.code === 403);
  }
});

test('an update asks for edit, and judges the spec only when it is another one', async () => {
  const bad = { steps: [script('a', { when: 'nobody.knows' })] };
  const update = async (before: object, after: object, ...denied: string[]) => {
    const { mayDo, asked } = fakeRights(...denied);
    const request = fakeRequest('workflows', { ...annotated({}), ...after }, { ...annotated({}), ...before });
    return { outcome: outcomeOf(await reviewWorkflow(request, mayDo, nobody)), asked };
  };
  const relabelled = await update({ spec: bad }, { spec: bad, ...annotated({}, { labels: { a: '1' } }) });
  assert.deepEqual(relabelled, { outcome: ['allowed'], asked: ['edit workflows.signalbox.dev one'] });
  const changed = await update({ spec: { steps: [script('a')] } }, { spec: bad });
  assert.match(changed.outcome.join(), /^spec\.steps\[0\]\.when: /);
  const edit = 'edit workflows.signalbox.dev one';
  const refused = await update({ spec: bad }, { spec: { steps: [script('a')] } }, edit);
  assert.deepEqual(refused.outcome, ['spec: jane may not change it: that takes the verb edit on workflows']);
  const run = await update({ spec: bad }, { spec: bad, ...annotated({ run: 'now' }) }, edit);
  assert.deepEqual(run, { outcome: ['allowed'], asked: ['control workflows.signalbox.dev one'] });
});

test('a project asks for its service account, and for control where a lock is broken', async () => {
  const spec = { git: { url: 'https://example.com/a.git' }, serviceAccountName: 'cloud' };
  const right = 'create serviceaccounts/token cloud';
  const judge = async (...denied: string[]) =>
    outcomeOf(
      await reviewProject(fakeRequest('projects', named('net', spec)), fakeRights(...denied).mayDo, nobody),
    );
  assert.deepEqual(await judge(), ['allowed']);
  assert.match(
    (await judge(right)).join(),
    /^spec\.serviceAccountName: .* takes the right to create serviceaccounts\/token cloud$/,
  );
  assert.match((await judge('create pods')).join(), /^spec: uses pods/);
  const unlock = fakeRequest(
    'projects',
    { ...annotated({ unlock: 'id' }), spec },
    { ...annotated({}), spec },
  );
  const control = fakeRights('control projects.signalbox.dev one');
  assert.match(
    outcomeOf(await reviewProject(unlock, control.mayDo, nobody)).join(),
    /takes the verb control on projects$/,
  );
});
