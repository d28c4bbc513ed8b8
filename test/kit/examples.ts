import path from 'node:path';
import type { Event } from 'kubernetes-types/core/v1.d.ts';
import type { WorkflowRun } from '../../src/api/resources.ts';
import { waitFor } from '../cluster/wait.ts';
import { root } from '../demo/install.ts';
import type { Kit } from './kit.ts';

const LIMIT_MS = 20_000;

/** The folder of the examples. */
export const examples = path.join(root, 'deploy/examples');

const pathOf = (name: string) => path.join(examples, `${name}.yaml`);

/** `kubectl apply -f deploy/examples/<name>.yaml` */
export const applyExample = (kit: Kit, name: string) => kit.kubectl(['apply', '-f', pathOf(name)]);

/** `kubectl create -f deploy/examples/<name>.yaml`, of a file with a run, with other params. Gives its name. */
export async function createExample(kit: Kit, name: string, params = {}): Promise<string> {
  const text = await kit.kubectl(['create', '--dry-run=client', '-o', 'json', '-f', pathOf(name)]);
  const run = JSON.parse(text) as WorkflowRun;
  return kit.create({ ...run, spec: { ...run.spec, params } });
}

/** Starts a run by annotating its workflow, as people do, and gives its name. */
export async function runNow(kit: Kit, workflow: string, params = {}): Promise<string> {
  const before = await runsOf(kit, workflow);
  const annotations = ['signalbox.dev/run=now', `signalbox.dev/params=${JSON.stringify(params)}`];
  await kit.kubectl(['annotate', 'workflow', workflow, ...annotations]);
  return waitFor(`a run of ${workflow}`, LIMIT_MS, async () => {
    return (await runsOf(kit, workflow)).find((name) => !before.includes(name));
  });
}

/** Names of the runs of a workflow. */
export async function runsOf(kit: Kit, workflow: string): Promise<string[]> {
  const { items } = await kit.get<{ items: WorkflowRun[] }>('workflowruns');
  const own = items.filter(({ spec }) => spec.workflowRef.name === workflow);
  return own.map(({ metadata }) => metadata.name ?? '');
}

/** What Events say of an object, a line each. */
export async function told(kit: Kit, name: string): Promise<string> {
  const { items } = await kit.get<{ items: Event[] }>('events');
  const own = items.filter(({ involvedObject }) => involvedObject.name === name);
  return own.map(({ reason, message }) => `${reason}: ${message}`).join('\n');
}
