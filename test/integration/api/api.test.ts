import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import path from 'node:path';
import type { CustomResourceDefinition } from 'kubernetes-types/apiextensions/v1.d.ts';
import { parse } from 'yaml';
import type { Workflow, WorkflowRun } from '../../../src/api/resources.ts';
import { resources } from '../../../src/api/resources.ts';
import { compile } from '../../../src/engine/graph.ts';
import { stepTypes } from '../../../src/steps/index.ts';
import { waitFor } from '../../cluster/wait.ts';
import { type AdmissionSite, bootAdmission } from '../admission/setup.ts';
import type { OperatorProcess } from '../../kit/operator-process.ts';
import type { BadWorkflow } from './bad-workflow.ts';
import { badWorkflows } from './bad-workflows.ts';
import { goodWorkflows, largestWorkflow } from './good-workflows.ts';
import { type Kubectl, kubectlOf } from './kubectl.ts';
import { lineAbout, mistakesPage } from './mistakes-page.ts';

const PAGE = path.join(import.meta.dirname, '../../../docs/api/mistakes.md');
let site: AdmissionSite;
let kubectl: Kubectl;

/** @throws when kubectl is not content. */
async function done(args: readonly string[], input?: string): Promise<string> {
  const { ok, text } = await kubectl(args, input);
  assert.ok(ok, text);
  return text;
}

async function get<T>(...args: string[]): Promise<T> {
  return JSON.parse(await done(['get', ...args, '-o', 'json'])) as T;
}

const apply = (yaml: string) => kubectl(['apply', '-f', '-'], yaml);
const patch = (object: string, value: unknown, ...options: string[]) =>
  kubectl(['patch', object, '--type', 'merge', '-p', JSON.stringify(value), ...options]);

const run = (spec: string) =>
  `{apiVersion: signalbox.dev/v1alpha1, kind: WorkflowRun, metadata: {name: first}, spec: ${spec}}`;

before(async () => {
  site = await bootAdmission('api-test', 18_443);
  kubectl = kubectlOf(site.cluster.kubectl, site.cluster.kubeconfig);
  // What the API server does by itself comes first.
  await site.webhooks('delete');
});
after(() => site[Symbol.asyncDispose]());

describe('the CRDs', () => {
  test('are accepted as structural, under the names that they ask for', async () => {
    for (const { plural } of resources) {
      const { status } = await get<CustomResourceDefinition>('crd', `${plural}.signalbox.dev`);
      const conditions = status?.conditions?.map(({ type, status }) => `${type}=${status}`);
      assert.deepEqual(conditions, ['NamesAccepted=True', 'Established=True'], plural);
    }
  });

  test('are found by short name and by category', async () => {
    const found = await done(['api-resources', '--categories', 'signalbox', '--no-headers']);
    assert.match(found, /^workflowruns +wfr +signalbox\.dev\/v1alpha1 +true +WorkflowRun$/m);
    assert.match(found, /^workflows +wfl +signalbox\.dev\/v1alpha1 +true +Workflow$/m);
  });

  test('explain themselves', async () => {
    // The API server publishes the descriptions a moment after it has accepted a CRD.
    const text = await waitFor('the descriptions', 30_000, async () => {
      const explained = await kubectl(['explain', 'workflow.spec.steps.script']);
      return explained.ok ? explained.text.replaceAll(/\s+/g, ' ') : undefined;
    });
    assert.match(text, /FIELD: script <Object>/);
    assert.match(text, /Runs a script in a container: exactly one of bash, python and node\./);
    assert.match(text, /bash <string> Source in Bash, run with bash -eo pipefail -c\./);
  });
});

describe('a good workflow', () => {
  for (const [title, yaml] of Object.entries(goodWorkflows)) {
    test(`is accepted: ${title}`, async () => {
      const { ok, text } = await apply(yaml);
      assert.ok(ok, text);
    });
  }

  test('is accepted with 500 steps, and refused for one wrong name among them', async () => {
    const { ok, text } = await kubectl(['create', '-f', '-'], largestWorkflow());
    assert.ok(ok, text);
    const wrong = largestWorkflow().replace(/(.*"dependsOn":\[")/s, '$1wrong-');
    const refusal = await kubectl(['replace', '-f', '-'], wrong);
    assert.match(
      refusal.text,
      /"wrong-\S+-0" in dependsOn of step "\S+-499" must be the name of exactly one step/,
    );
  });

  test('gets its defaults', async () => {
    const { spec } = await get<Workflow>('wfl', 'everything');
    assert.equal(spec.params?.[0]?.type, 'string');
    assert.equal((await get<Workflow>('wfl', 'smallest')).spec.state, 'Active');
  });

  test('keeps numbers and booleans as they were written', async () => {
    const { spec } = await get<Workflow>('wfl', 'everything');
    assert.deepEqual(
      spec.params?.map((param) => param.default),
      ['eu', 1.5, false, undefined],
    );
  });
});

describe('a bad workflow', () => {
  const lines = new Map<BadWorkflow, string>();

  let operator: OperatorProcess;
  before(async () => {
    await site.webhooks('apply');
    operator = await site.start();
  });
  after(async () => {
    await site.webhooks('delete');
    await site.ends(operator, 'SIGTERM');
  });

  for (const bad of badWorkflows) {
    test(`is refused by ${bad.refusedBy}: ${bad.title}`, async () => {
      const { ok, text } = await apply(bad.yaml);
      assert.ok(!ok, text);
      const line = lineAbout(bad, text);
      assert.ok(line !== undefined, text);
      lines.set(bad, line);
    });
  }

  /** With WRITE_PAGES=1 the page is written instead. */
  test('is told about as docs/api/mistakes.md says', async () => {
    const made = mistakesPage([...lines].map(([bad, line]) => ({ bad, line })));
    if (process.env['WRITE_PAGES']) await writeFile(PAGE, made);
    else assert.equal(made, await readFile(PAGE, 'utf8'));
  });
});

describe('a run', () => {
  before(() =>
    done(
      ['apply', '-f', '-'],
      run('{workflowRef: {name: smallest}, params: {count: 3, dry: true, region: us}}'),
    ),
  );

  test('is by hand unless it says otherwise, and keeps numbers and booleans', async () => {
    const { spec } = await get<WorkflowRun>('wfr', 'first');
    assert.deepEqual(spec, {
      workflowRef: { name: 'smallest' },
      params: { count: 3, dry: true, region: 'us' },
      trigger: { type: 'Manual' },
    });
  });

  test('can not be changed in any part of its spec', async () => {
    const changes = [
      { workflowRef: { name: 'everything' } },
      { params: { count: 4 } },
      { params: { dry: null } },
      { params: { more: 1 } },
      { params: { dry: null, wet: true } },
      { params: null },
    ];
    for (const spec of changes) {
      const { ok, text } = await patch('wfr/first', { spec });
      assert.ok(
        !ok && text.includes('a run can not be changed: create another one'),
        `${JSON.stringify(spec)}: ${text}`,
      );
    }
  });

  test('can be labelled and annotated', async () => {
    await done(['annotate', 'wfr', 'first', 'example.com/note=kept']);
  });

  test('must name a workflow', async () => {
    const none = await kubectl(['create', '-f', '-'], run('{}'));
    assert.match(none.text, /spec\.workflowRef: Required value/);
    const bad = await kubectl(['create', '-f', '-'], run('{workflowRef: {name: Smallest}}'));
    assert.match(bad.text, /spec\.workflowRef\.name in body should match/);
  });
});

describe('kubectl get', () => {
  test('shows the columns of a workflow', async () => {
    const lastTransitionTime = new Date().toISOString();
    const ready = { type: 'Ready', status: 'True', reason: 'Active', message: 'Fine.', lastTransitionTime };
    const lastRun = { name: 'first', startedAt: lastTransitionTime };
    const status = {
      conditions: [ready],
      triggers: 'Manual',
      lastRun,
      lastResult: 'Succeeded',
      observedGeneration: 1,
    };
    const { ok, text } = await patch('wfl/smallest', { status }, '--subresource', 'status');
    assert.ok(ok, text);
    const shown = await done(['get', 'wfl', 'smallest']);
    assert.match(shown, /^NAME +STATUS +TRIGGERS +LAST RUN +RESULT +NEXT RUN +AGE$/m);
    assert.match(shown, /^smallest +Active +Manual +\d+s +Succeeded +\S* *\d+s$/m);
  });

  test('shows the columns of a run', async () => {
    const status = {
      phase: 'Running',
      progress: '3/5',
      currentStep: 'test',
      duration: '1m2s',
      reason: 'Going',
      startedBy: 'ada',
    };
    const { ok, text } = await patch('wfr/first', { status }, '--subresource', 'status');
    assert.ok(ok, text);
    const shown = await done(['get', 'wfr', 'first', '-o', 'wide']);
    assert.match(
      shown,
      /^NAME +WORKFLOW +STATUS +PROGRESS +STEP +TRIGGERED BY +DURATION +AGE +REASON +STARTED BY$/m,
    );
    assert.match(shown, /^first +smallest +Running +3\/5 +test +Manual +1m2s +\d+s +Going +ada$/m);
  });
});

describe('the examples of the reference', () => {
  for (const { kind, example } of resources) {
    test(`are accepted: ${kind}`, async () => {
      const { ok, text } = await kubectl(['create', '-f', '-'], example);
      assert.ok(ok, text);
    });
  }

  test('are sound', () => {
    const workflow = resources.find(({ kind }) => kind === 'Workflow');
    assert.ok(workflow);
    assert.deepEqual(compile(parse(workflow.example).spec, stepTypes).ok, true);
  });
});
