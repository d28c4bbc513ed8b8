import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AnsibleStep } from '../api/ansible-step.ts';
import type { ProjectSpec } from '../api/project.ts';
import { RUNNER_ENV, runnerTask } from '../api/runner.ts';
import { ansible } from './ansible.ts';
import { fakeWorkshop, type FakeWorkshop } from './fake-program.ts';

const git = { url: 'git@example.com:team/site.git' };

function programOf(
  member: Partial<AnsibleStep>,
  settings: ProjectSpec['ansible'] = {},
  more: FakeWorkshop = {},
) {
  const workshop = fakeWorkshop({ projects: { site: { git, ansible: settings } }, ...more });
  return ansible.program(
    { name: 's', ansible: { project: 'site', playbook: 'site.yml', ...member } },
    workshop,
  );
}

function taskOf(...args: Parameters<typeof programOf>) {
  const variable = programOf(...args).env.find(({ name }) => name === RUNNER_ENV.task);
  return runnerTask.parse(JSON.parse((variable?.value ?? '').replaceAll('$$', '$'))).ansible;
}

test('an Ansible step takes the inventory of the Project unless it has one', () => {
  assert.deepEqual(taskOf({}, { inventory: 'hosts.ini' })?.inventory, { file: 'hosts.ini' });
  const inline = { inventory: { inline: 'web1' } };
  assert.deepEqual(taskOf(inline, { inventory: 'hosts.ini' })?.inventory, { inline: 'web1' });
  assert.equal(taskOf({})?.inventory, undefined);
});

test('hosts can come from an expression, and its error is one of the step', () => {
  const step = { inventory: { groups: '{"web": steps.apply.outputs.hosts}' } };
  const groups = { web: ['10.0.0.1'] };
  assert.deepEqual(taskOf(step, {}, { evaluate: () => ({ value: groups }) })?.inventory, { groups });
  assert.throws(() => programOf(step, {}, { evaluate: () => ({ error: 'there is no output hosts' }) }), {
    reason: 'ExpressionError',
    message: 'ansible.inventory.groups: there is no output hosts.',
  });
});

test('an Ansible step gets its key and its vault password as files', () => {
  const settings = { credentials: { name: 'ssh' }, vault: { name: 'vault', key: 'pass' } };
  const { mounts, keepOnNode, gracePeriodSeconds } = programOf({}, settings);
  assert.deepEqual(
    mounts?.map(({ path }) => path),
    ['/signalbox/api', '/signalbox/ssh', '/signalbox/vault'],
  );
  assert.equal(keepOnNode, true);
  assert.equal(gracePeriodSeconds, 30);
  assert.equal(programOf({ check: true }).keepOnNode, undefined);
});
