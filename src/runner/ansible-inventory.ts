import * as z from 'zod';
import { CONNECTION_VARIABLES, isHost } from './ansible-connection.ts';
import { dataYaml, quoted } from './ansible-yaml.ts';
import { RunnerError } from './failure.ts';

const groupsOfHosts = z.record(
  z.string(),
  z.union([z.array(z.string()), z.record(z.string(), z.union([z.record(z.string(), z.json()), z.null()]))]),
);

const GROUP = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;
const VARIABLE = /^[A-Za-z][A-Za-z0-9_]{0,127}$/;

/**
 * Writes the inventory that the hosts by group come to, as YAML. Names are checked, and values are data.
 *
 * @param value what `inventory.groups` gave: it may come from outside
 * @throws RunnerError `InventoryInvalid` or `NoHosts`
 */
export function groupsInventory(value: unknown): string {
  const groups = groupsOfHosts.safeParse(value);
  if (!groups.success) {
    throw invalid(
      `a map from each group to the list of its hosts, or to a map from host to its variables, is needed: ${z.prettifyError(groups.error)}`,
    );
  }
  const lines = Object.entries(groups.data).flatMap(([group, hosts]) => [
    `${quoted(checked(group, GROUP.test(group), 'a group'))}:`,
    '  hosts:',
    ...hostsOf(hosts).map(([host, variables]) => `    ${hostLine(host, variables)}`),
  ]);
  if (!Object.values(groups.data).some((hosts) => hostsOf(hosts).length > 0)) {
    throw new RunnerError('NoHosts', 'inventory.groups has no host in it: there is nothing to work on.');
  }
  return `${lines.join('\n')}\n`;
}

type Variables = Readonly<Record<string, unknown>> | null;

const hostsOf = (hosts: z.infer<typeof groupsOfHosts>[string]): [string, Variables][] =>
  Array.isArray(hosts) ? [...new Set(hosts)].map((host) => [host, null]) : Object.entries(hosts);

function hostLine(host: string, variables: Variables): string {
  const name = quoted(checked(host, isHost(host), 'a host'));
  if (variables === null) return `${name}:`;
  for (const [variable, value] of Object.entries(variables)) checkVariable(variable, value);
  return `${name}: ${dataYaml(variables)}`;
}

function checkVariable(name: string, value: unknown): void {
  checked(name, VARIABLE.test(name), 'a variable');
  if (!name.startsWith('ansible_')) return;
  const accepts = CONNECTION_VARIABLES.get(name);
  if (accepts === undefined) {
    const allowed = [...CONNECTION_VARIABLES.keys()].join(', ');
    throw invalid(
      `the variable ${name} can not be set by it, because Ansible acts on its value. Of those that begin with ansible_, it can have ${allowed}; set others in the project, for example in group_vars`,
    );
  }
  if (!accepts(value)) throw invalid(`${name} can not be ${shown(value)}`);
}

function checked(name: string, isGood: boolean, what: string): string {
  if (!isGood) throw invalid(`${shown(name)} is no name of ${what}`);
  return name;
}

const shown = (value: unknown) => JSON.stringify(value)?.slice(0, 100) ?? 'undefined';

const invalid = (why: string) =>
  new RunnerError('InventoryInvalid', `inventory.groups can not be used: ${why}.`);
