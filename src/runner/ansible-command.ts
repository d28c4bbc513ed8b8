import { existsSync } from 'node:fs';
import path from 'node:path';
import type { AnsibleTask } from '../api/runner.ts';
import type { AnsibleFiles } from './ansible-files.ts';
import { RunnerError } from './failure.ts';
import type { Environment } from './process.ts';

/** Where the image has the callback that writes the record. */
const CALLBACKS = '/usr/share/signalbox/ansible/callback';
const FOUND_BY = 'SIGNALBOX_ANSIBLE_RECORD';

/**
 * Arguments of ansible-playbook. Each value stands behind the `=` of its option, so that none is taken for an option.
 * @throws RunnerError `LimitInvalid`
 */
export function playbookArguments(task: AnsibleTask, files: AnsibleFiles): string[] {
  return [
    ...option('inventory', files.inventory),
    ...option('user', task.user),
    ...option('limit', task.limit === undefined ? undefined : checkedLimit(task.limit)),
    ...task.tags.flatMap((tag) => option('tags', tag)),
    ...task.skipTags.flatMap((tag) => option('skip-tags', tag)),
    ...option('extra-vars', files.extraVars === undefined ? undefined : `@${files.extraVars}`),
    ...option('vault-password-file', files.vaultPassword),
    ...option('forks', String(task.forks)),
    ...(task.check ? ['--check'] : []),
    ...(task.diff ? ['--diff'] : []),
    '--',
    task.playbook,
  ];
}

/** Arguments of ansible-galaxy, which installs both roles and collections. */
export function galaxyArguments(requirements: string, server: string | undefined): string[] {
  return ['install', `--role-file=${requirements}`, ...option('server', server)];
}

const option = (name: string, value: string | undefined) =>
  value === undefined ? [] : [`--${name}=${value}`];

/**
 * A limit may come from outside. Without any name in it, it would be none at all: everything would be worked on. Behind
 * an @, Ansible reads a file.
 */
function checkedLimit(limit: string): string {
  const parts = limit.split(/[,:]/).map((part) => part.trim());
  if (parts.every((part) => part === '')) {
    throw new RunnerError(
      'LimitInvalid',
      'limit is empty, which Ansible takes for all hosts. Give it a value, or leave it out for all hosts.',
    );
  }
  if (limit.startsWith('-') || parts.some((part) => part.startsWith('@'))) {
    throw new RunnerError(
      'LimitInvalid',
      `limit can not begin with - or have a name that begins with @: ${limit}`,
    );
  }
  return limit;
}

/**
 * Environment of Ansible. What it has of ours goes before ansible.cfg.
 * @param code the folder of the project
 */
export function ansibleEnvironment(
  env: Environment,
  { files, home, code }: { files: AnsibleFiles; home: string; code: string },
): Environment {
  const config = path.join(code, 'ansible.cfg');
  return {
    // Named, it is taken whoever can write to its folder; a Project may name another one.
    ...(existsSync(config) ? { ANSIBLE_CONFIG: config } : {}),
    ...env,
    ...logEnvironment,
    ...neverAsks,
    ...sshEnvironment(files),
    [FOUND_BY]: files.record,
    HOME: home,
    ANSIBLE_HOME: path.join(home, '.ansible'),
    ANSIBLE_LOCAL_TEMP: path.join(home, '.ansible/tmp'),
    ANSIBLE_CALLBACK_PLUGINS: [CALLBACKS, env['ANSIBLE_CALLBACK_PLUGINS'] ?? []].flat().join(':'),
    ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED: 'True',
    ANSIBLE_RETRY_FILES_ENABLED: 'False',
  };
}

/** Lines for `kubectl logs`, as Ansible writes them, when it writes them, by the callback of the image. */
const logEnvironment = {
  ANSIBLE_STDOUT_CALLBACK: 'signalbox_log',
  ANSIBLE_NOCOLOR: 'True',
  ANSIBLE_FORCE_COLOR: 'False',
  ANSIBLE_NOCOWS: 'True',
  ANSIBLE_GALAXY_DISPLAY_PROGRESS: 'False',
  PYTHONUNBUFFERED: '1',
} as const;

/** Nobody is there to answer. */
const neverAsks = {
  ANSIBLE_ASK_PASS: 'False',
  ANSIBLE_ASK_VAULT_PASS: 'False',
  ANSIBLE_BECOME_ASK_PASS: 'False',
} as const;

/**
 * ssh takes what it is told first, and these arguments stand before all others. The settings file says the same to the
 * ssh of a jump host.
 */
function sshEnvironment({ sshConfig, knownHosts, privateKey }: AnsibleFiles): Environment {
  const strict = [
    'StrictHostKeyChecking=yes',
    `UserKnownHostsFile=${knownHosts}`,
    'GlobalKnownHostsFile=none',
  ];
  const shared = ['ControlMaster=auto', 'ControlPersist=60s'];
  const options = [...strict, ...shared].flatMap((setting) => ['-o', setting]);
  return {
    ANSIBLE_HOST_KEY_CHECKING: 'True',
    ANSIBLE_SSH_ARGS: ['-F', sshConfig, '-C', ...options].join(' '),
    ...(privateKey === undefined ? {} : { ANSIBLE_PRIVATE_KEY_FILE: privateKey }),
  };
}
