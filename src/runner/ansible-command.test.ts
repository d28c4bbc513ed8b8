import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { suite, test } from 'node:test';
import { ansibleEnvironment, galaxyArguments, playbookArguments } from './ansible-command.ts';
import { RunnerError } from './failure.ts';
import { fakeAnsibleTask } from './fake-ansible-task.ts';

const files = { sshConfig: '/w/ssh_config', knownHosts: '/w/known_hosts', record: '/w/record.json' };

suite('arguments of ansible-playbook', () => {
  test('are as few as the task asks for', () => {
    assert.deepEqual(playbookArguments(fakeAnsibleTask(), files), ['--forks=5', '--', 'site.yml']);
  });

  test('carry all that the task says, each behind its option', () => {
    const task = fakeAnsibleTask({
      user: 'deploy',
      limit: 'web:!web3',
      tags: ['a', 'b'],
      skipTags: ['c'],
      check: true,
      diff: true,
      forks: 20,
    });
    const all = { ...files, inventory: 'hosts', extraVars: '/w/extra-vars.yml', vaultPassword: '/w/vault' };
    assert.deepEqual(playbookArguments(task, all), [
      '--inventory=hosts',
      '--user=deploy',
      '--limit=web:!web3',
      '--tags=a',
      '--tags=b',
      '--skip-tags=c',
      '--extra-vars=@/w/extra-vars.yml',
      '--vault-password-file=/w/vault',
      '--forks=20',
      '--check',
      '--diff',
      '--',
      'site.yml',
    ]);
  });

  test('have no limit that would be none, or a file', () => {
    for (const limit of ['', ' ', ',', ':,', '@/etc/passwd', 'web,@/etc/passwd', 'web, @x', 'web:@x', '-x']) {
      assert.throws(
        () => playbookArguments(fakeAnsibleTask({ limit }), files),
        (error: unknown) => error instanceof RunnerError && error.reason === 'LimitInvalid',
        limit,
      );
    }
  });

  test('of ansible-galaxy name the server, if there is one', () => {
    assert.deepEqual(galaxyArguments('requirements.yml', undefined), [
      'install',
      '--role-file=requirements.yml',
    ]);
    assert.deepEqual(galaxyArguments('requirements.yml', 'https://galaxy.example.com'), [
      'install',
      '--role-file=requirements.yml',
      '--server=https://galaxy.example.com',
    ]);
  });
});

suite('the environment of Ansible', () => {
  const build = (env: Record<string, string>, code = '/nowhere') =>
    ansibleEnvironment(env, { files: { ...files, privateKey: '/w/ssh-key' }, home: '/home/me', code });

  test('has ours before that of the Project, for the log, for questions and for host keys', () => {
    const env = build({
      ANSIBLE_STDOUT_CALLBACK: 'json',
      ANSIBLE_FORCE_COLOR: 'True',
      ANSIBLE_HOST_KEY_CHECKING: 'False',
      ANSIBLE_SSH_ARGS: '-o StrictHostKeyChecking=no',
      ANSIBLE_ASK_PASS: 'True',
      ANSIBLE_GATHERING: 'explicit',
    });
    assert.equal(env['ANSIBLE_STDOUT_CALLBACK'], 'signalbox_log');
    assert.equal(env['ANSIBLE_FORCE_COLOR'], 'False');
    assert.equal(env['ANSIBLE_ASK_PASS'], 'False');
    assert.equal(env['ANSIBLE_HOST_KEY_CHECKING'], 'True');
    assert.match(
      env['ANSIBLE_SSH_ARGS'] ?? '',
      /^-F \/w\/ssh_config -C -o StrictHostKeyChecking=yes -o UserKnownHostsFile=\/w\/known_hosts /,
    );
    assert.equal(env['ANSIBLE_PRIVATE_KEY_FILE'], '/w/ssh-key');
    assert.equal(env['ANSIBLE_GATHERING'], 'explicit');
  });

  test('finds our callback first, and those of the Project after it', () => {
    assert.equal(build({})['ANSIBLE_CALLBACK_PLUGINS'], '/usr/share/signalbox/ansible/callback');
    assert.equal(
      build({ ANSIBLE_CALLBACK_PLUGINS: '/mine' })['ANSIBLE_CALLBACK_PLUGINS'],
      '/usr/share/signalbox/ansible/callback:/mine',
    );
  });

  test('names the ansible.cfg of the project where there is one, unless the Project names another', () => {
    const code = mkdtempSync(path.join(os.tmpdir(), 'ansible-'));
    try {
      assert.equal(build({}, code)['ANSIBLE_CONFIG'], undefined);
      writeFileSync(path.join(code, 'ansible.cfg'), '');
      assert.equal(build({}, code)['ANSIBLE_CONFIG'], path.join(code, 'ansible.cfg'));
      assert.equal(build({ ANSIBLE_CONFIG: '/mine.cfg' }, code)['ANSIBLE_CONFIG'], '/mine.cfg');
    } finally {
      rmSync(code, { recursive: true });
    }
  });
});
