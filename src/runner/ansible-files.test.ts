import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, suite, test } from 'node:test';
import { RUNNER_PATHS } from '../api/runner.ts';
import { writeAnsibleFiles } from './ansible-files.ts';
import { fakeAnsibleTask } from './fake-ansible-task.ts';

suite('the files of an Ansible run', () => {
  let top: string;
  beforeEach(() => {
    top = mkdtempSync(path.join(os.tmpdir(), 'ansible-'));
    mkdirSync(path.join(top, 'ssh'));
  });
  afterEach(() => rmSync(top, { recursive: true }));

  const writeFiles = (parts: Parameters<typeof fakeAnsibleTask>[0]) =>
    writeAnsibleFiles(fakeAnsibleTask(parts), {
      paths: { ...RUNNER_PATHS, ssh: path.join(top, 'ssh'), vault: path.join(top, 'password') },
      folder: path.join(top, 'work'),
    });
  const given = (name: string, text: string) => writeFileSync(path.join(top, name), text, { mode: 0o755 });
  const read = (file = '') => readFileSync(file, 'utf8');

  test('are for our eyes only, and no programs', async () => {
    given('ssh/ssh-privatekey', 'KEY\r\nKEY');
    given('ssh/known_hosts', 'web1 ssh-ed25519 AAAA');
    given('password', 'sesame');
    const files = await writeFiles({ ssh: true, vault: true, extraVars: { a: '{{ b }}' } });
    const { record, ...written } = files;
    for (const file of Object.values(written)) assert.equal(statSync(file).mode & 0o777, 0o600, file);
    assert.equal(read(files.privateKey), 'KEY\nKEY\n');
    assert.equal(read(files.knownHosts), 'web1 ssh-ed25519 AAAA');
    assert.equal(read(files.vaultPassword), 'sesame');
    assert.equal(read(files.extraVars), '!unsafe {? "a" : "{{ b }}"}');
    assert.equal(path.dirname(record), path.join(top, 'work'));
  });

  test('without credentials know no host', async () => {
    const files = await writeFiles({});
    assert.equal(read(files.knownHosts), '');
    assert.match(
      read(files.sshConfig),
      /StrictHostKeyChecking yes\n {2}UserKnownHostsFile .*\/work\/known_hosts\n/,
    );
    assert.equal(files.privateKey, undefined);
    assert.equal(files.inventory, undefined);
    assert.equal(files.extraVars, undefined);
  });

  test('say which part of a Secret is missing', async () => {
    const missing = async (parts: object, message: RegExp) =>
      assert.rejects(writeFiles(parts), { reason: 'CredentialsMissing', message });
    await missing({ ssh: true }, /ansible\.credentials .* has no known_hosts/);
    given('ssh/known_hosts', '');
    await missing({ ssh: true }, /ansible\.credentials .* has no ssh-privatekey/);
    await missing({ vault: true }, /ansible\.vault/);
  });

  test('have no variable that would become an option of ssh', async () => {
    await assert.rejects(writeFiles({ extraVars: { ansible_host: '-oProxyCommand=id' } }), {
      reason: 'ExtraVarsInvalid',
    });
    const { extraVars } = await writeFiles({
      extraVars: { ansible_host: 'web1', ansible_connection: 'local' },
    });
    assert.match(read(extraVars), /web1/);
  });

  test('give the inventory in each of its three forms', async () => {
    const inline = await writeFiles({ inventory: { inline: 'web1' } });
    assert.equal(read(inline.inventory), 'web1');
    const groups = await writeFiles({ inventory: { groups: { web: ['web1'] } } });
    assert.equal(read(groups.inventory), '"web":\n  hosts:\n    "web1":\n');
    assert.equal((await writeFiles({ inventory: { file: 'hosts' } })).inventory, 'hosts');
  });
});
