import { API_VERSION } from '../../../src/api/common.ts';
import { type Attack, patchOf } from './attack.ts';
import { approval, runOf, type Scene } from './scene.ts';

// On what a run executes: the workflow as it was frozen, and the runs that its steps start.

const script = { name: 'apply', script: { bash: 'true' } };

const apply = (scene: Scene, name: string, spec: object) =>
  scene.does('ada', ['apply', '-f', '-'], {
    apiVersion: API_VERSION,
    kind: 'Workflow',
    metadata: { name },
    spec,
  });

const revisionOf = async (scene: Scene, run: string) => (await scene.run(run)).status?.revision ?? '';

/** A run of a workflow that asks nobody. */
async function askingNobody(scene: Scene, workflow: string): Promise<string> {
  await apply(scene, workflow, { steps: [script] });
  const run = `${workflow}-before`;
  const { spec, ...object } = runOf(workflow);
  await scene.does('ada', ['create', '-f', '-'], { ...object, metadata: { name: run }, spec });
  await scene.is(run, ({ status }) => status?.revision !== undefined);
  return run;
}

export const WORKFLOW_ATTACKS: Attack[] = [
  {
    title: 'whoever may write ControllerRevisions changes the workflow that a run executes',
    async attempt(scene) {
      const revision = await revisionOf(scene, await scene.shared());
      const patch = JSON.stringify({ data: { spec: { steps: [script] } } });
      const args = ['patch', 'controllerrevision', revision, '--type=merge', '-p', patch];
      const said = (await scene.does('root', args)).replaceAll(revision, '<revision>');
      return said.replace(/Invalid value: .*(?=: field is immutable)/, 'Invalid value');
    },
  },
  {
    title: 'whoever may write the status has a run execute the workflow as it was before, which asks nobody',
    async attempt(scene) {
      const revision = await revisionOf(scene, await askingNobody(scene, 'swapped'));
      await apply(scene, 'swapped', { steps: [approval(['team:platform']), script] });
      const run = await scene.waiting('swapped');
      await scene.does('max', patchOf(run, { status: { revision } }, '--subresource=status'));
      const { status } = await scene.is(run, (one) => one.status?.finishedAt !== undefined);
      const message = status?.message?.replaceAll(revision, '<revision>');
      return `the run is ${status?.phase}, ${status?.reason}: ${message}`;
    },
  },
  {
    title:
      'whoever may start runs creates the one that a step is about to start, of a workflow that asks nobody',
    async attempt(scene) {
      const parent = await scene.shared();
      const { uid } = (await scene.run(parent)).metadata;
      const type = { apiVersion: API_VERSION, kind: 'WorkflowRun' };
      return scene.does('olga', ['create', '-f', '-'], {
        ...type,
        metadata: { name: 'child', ownerReferences: [{ ...type, name: parent, uid, controller: true }] },
        spec: { workflowRef: { name: 'gate' }, trigger: { type: 'Workflow', name: parent } },
      });
    },
  },
];
