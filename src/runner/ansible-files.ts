import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { AnsibleTask } from '../api/runner.ts';
import { CONNECTION_VARIABLES } from './ansible-connection.ts';
import { groupsInventory } from './ansible-inventory.ts';
import { dataYaml } from './ansible-yaml.ts';
import { RunnerError } from './failure.ts';
import type { RunnerPaths } from './settings.ts';

/** What Ansible is given as files. Absent is what the task does not ask for. */
export interface AnsibleFiles {
  /** Settings of ssh, for Ansible and for the jump hosts on its way. */
  sshConfig: string;
  knownHosts: string;
  privateKey?: string;
  vaultPassword?: string;
  /** As ansible-playbook takes it. */
  inventory?: string;
  extraVars?: string;
  /** Where the callback writes its record. */
  record: string;
}

/**
 * Writes the files of a run, for our eyes only: ssh refuses keys that others can read.
 *
 * @param folder is made
 * @throws RunnerError `InventoryInvalid`, `NoHosts`, `ExtraVarsInvalid` or `CredentialsMissing`
 */
export async function writeAnsibleFiles(
  task: AnsibleTask,
  { paths, folder }: { paths: RunnerPaths; folder: string },
): Promise<AnsibleFiles> {
  checkExtraVars(task.extraVars);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const write = async (name: string, text: string) => {
    const file = path.join(folder, name);
    await writeFile(file, text, { mode: 0o600 });
    return file;
  };
  const credentials = (key: string) =>
    given(path.join(paths.ssh, key), { key, field: 'ansible.credentials' });
  const knownHosts = await write('known_hosts', task.ssh ? await credentials('known_hosts') : '');
  const privateKey = task.ssh
    ? await write('ssh-key', keyText(await credentials('ssh-privatekey')))
    : undefined;
  const password = task.vault ? await given(paths.vault, { field: 'ansible.vault' }) : undefined;
  const inventory = await inventoryOf(task, write);
  const hasExtraVars = Object.keys(task.extraVars).length > 0;
  return {
    record: path.join(folder, 'record.json'),
    knownHosts,
    sshConfig: await write('ssh_config', sshConfig(knownHosts, privateKey)),
    ...(privateKey === undefined ? {} : { privateKey }),
    // A copy is no program. One in the mount that is executable would be run.
    ...(password === undefined ? {} : { vaultPassword: await write('vault', password) }),
    ...(inventory === undefined ? {} : { inventory }),
    ...(hasExtraVars ? { extraVars: await write('extra-vars.yml', dataYaml(task.extraVars)) } : {}),
  };
}

/** The workflow names the variables, but their values may come from outside. */
function checkExtraVars(extraVars: AnsibleTask['extraVars']): void {
  const bad = Object.entries(extraVars).find(
    ([name, value]) => CONNECTION_VARIABLES.get(name)?.(value) === false,
  );
  if (bad === undefined) return;
  throw new RunnerError('ExtraVarsInvalid', `extraVars.${bad[0]} can not be ${JSON.stringify(bad[1])}.`);
}

/** Reads a file of a Secret. The kubelet mounts nothing in place of one that is not there. */
async function given(file: string, { key, field }: { key?: string; field: string }): Promise<string> {
  if (existsSync(file)) return readFile(file, 'utf8');
  throw new RunnerError(
    'CredentialsMissing',
    `The Secret that ${field} of the Project names is not there, or has no ${key ?? 'such key'}: create it with that.`,
  );
}

/** OpenSSH reads no key without a line break at its end, which is lost where Secrets are made by hand. */
const keyText = (text: string) => `${text.replaceAll('\r\n', '\n').trimEnd()}\n`;

async function inventoryOf(
  { inventory }: AnsibleTask,
  write: (name: string, text: string) => Promise<string>,
): Promise<string | undefined> {
  if (inventory?.groups !== undefined) {
    return write('inventory.yml', groupsInventory(inventory.groups));
  }
  // Without an ending, Ansible finds out whether it is YAML or INI.
  if (inventory?.inline !== undefined) return write('inventory', inventory.inline);
  return inventory?.file;
}

/** Only the given keys of hosts are known, and no question is asked. */
function sshConfig(knownHosts: string, privateKey: string | undefined): string {
  const lines = [
    'Host *',
    '  StrictHostKeyChecking yes',
    `  UserKnownHostsFile ${knownHosts}`,
    '  GlobalKnownHostsFile none',
    '  UpdateHostKeys no',
    ...(privateKey === undefined ? [] : [`  IdentityFile ${privateKey}`, '  IdentitiesOnly yes']),
  ];
  return `${lines.join('\n')}\n`;
}
