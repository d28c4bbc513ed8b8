import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { groupsInventory } from './ansible-inventory.ts';
import { RunnerError } from './failure.ts';

const refuses = (value: unknown, message: RegExp, reason = 'InventoryInvalid') =>
  assert.throws(
    () => groupsInventory(value),
    (error: unknown) =>
      error instanceof RunnerError && error.reason === reason && message.test(error.message),
    JSON.stringify(value),
  );

suite('an inventory of groups', () => {
  test('is written with its variables as data', () => {
    const yaml = groupsInventory({
      web: ['web1', '10.0.0.1', 'web1'],
      db: {
        'db-1.example.com': { ansible_host: '2001:db8::1', ansible_port: 2222, role: '{{ x }}' },
        db2: null,
      },
    });
    assert.equal(
      yaml,
      [
        '"web":',
        '  hosts:',
        '    "web1":',
        '    "10.0.0.1":',
        '"db":',
        '  hosts:',
        '    "db-1.example.com": !unsafe {? "ansible_host" : "2001:db8::1", ? "ansible_port" : 2222, ? "role" : "{{ x }}"}',
        '    "db2":',
        '',
      ].join('\n'),
    );
  });

  test('takes no name that Ansible or ssh could take for more than a host', () => {
    const names = [
      "{{ lookup('pipe', 'id') }}",
      'web[1:3]',
      'web1:22',
      'all,!db',
      '-oProxyCommand=id',
      '@hosts',
      '~.*',
      '!web',
      'a b',
      'a\n"b"',
      'fe80::1%eth0',
      '',
      'x'.repeat(254),
    ];
    for (const name of names) {
      refuses({ web: [name] }, /is no name of a host/);
      refuses({ web: { a: { ansible_host: name } } }, /ansible_host can not be/);
    }
  });

  test('takes no group or variable that is not a plain name', () => {
    for (const name of ['web:children', 'a b', '{{ x }}', '1a', '']) {
      refuses({ [name]: ['a'] }, /is no name of a group/);
      refuses({ web: { a: { [name]: 1 } } }, /is no name of a variable/);
    }
  });

  test('sets nothing that chooses a program or its options', () => {
    for (const name of [
      'ansible_ssh_common_args',
      'ansible_ssh_executable',
      'ansible_connection',
      'ansible_shell_executable',
      'ansible_become_exe',
      'ansible_host_key_checking',
    ]) {
      refuses({ web: { a: { [name]: 'x' } } }, new RegExp(`the variable ${name} can not be set`));
    }
    refuses({ web: { a: { _ansible_ansiballz_debugpy_config: 'x' } } }, /is no name of a variable/);
    refuses({ web: { a: { ansible_user: '-l root' } } }, /ansible_user can not be "-l root"/);
    refuses({ web: { a: { ansible_port: '22 -o x' } } }, /ansible_port can not be/);
    refuses(
      { web: { a: { ansible_python_interpreter: '/bin/sh -c id' } } },
      /ansible_python_interpreter can not be/,
    );
  });

  test('says what is expected instead of something else', () => {
    for (const value of ['web1', ['web1'], { web: 'web1' }, { web: [1] }, { web: { a: 'b' } }, null]) {
      refuses(value, /a map from each group to the list of its hosts/);
    }
  });

  test('without a host is nothing to work on', () => {
    refuses({}, /has no host in it/, 'NoHosts');
    refuses({ web: [], db: {} }, /has no host in it/, 'NoHosts');
  });
});
