import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { waitFor } from '../../cluster/wait.ts';
import { printedRecap } from '../../kit/ansible-recap.ts';
import { signalContainer } from '../../kit/container.ts';
import { AnsibleSite, mounted } from './ansible-site.ts';

/** Plays run in the container itself, by a setting of the project. */
const config = '[defaults]\ntransport = local\ninterpreter_python = auto_silent\nstdout_callback = json\n';
const web = { groups: { web: ['web1', 'web2'] } };
const evil = "{{ lookup('pipe', 'touch /output/pwned') }}";

const play = (tasks: string, hosts = 'all') =>
  `- hosts: ${hosts}\n  gather_facts: false\n  tasks:\n${tasks.trim().replace(/^/gm, '    ')}\n`;

/** Asks a container to stop, and again, as soon as a file is there. */
async function stopOnce(container: ChildProcess, file: string): Promise<void> {
  await waitFor('the task to begin', 60_000, () => existsSync(file));
  await signalContainer(container, 'SIGTERM');
  await signalContainer(container, 'SIGTERM');
}

suite('the Ansible runner in its image', () => {
  let site: AnsibleSite;
  before(async () => {
    site = await AnsibleSite.open();
  });
  after(() => site[Symbol.asyncDispose]());

  const commit = (files: Record<string, string>) =>
    site.repository.commit({ 'ansible.cfg': config, ...files });

  test('reports what came of each host, as Ansible itself recaps it', async () => {
    const hash = commit({
      'site.yml': play(`
- ping:
- command: id
- command: "false"
  ignore_errors: true
- debug: {msg: only on one}
  when: inventory_hostname == 'web1'
- block: [{command: "false", when: inventory_hostname == 'web2'}]
  rescue: [{debug: {msg: mended}}]
`),
    });
    const { code, log, report } = await site.run({ task: { playbook: 'site.yml', inventory: web } });
    assert.equal(code, 0, log);
    assert.equal(report.reason, 'Completed');
    assert.equal(report.commit, hash);
    assert.equal(report.summary, '2 hosts: 8 ok, 4 changed, 1 rescued, 2 ignored');
    const recap = printedRecap(log);
    assert.equal(recap.length, 2, log);
    assert.deepEqual(report.ansible?.hosts, recap);
    assert.ok(!log.includes('\u001B'));
  });

  test('takes no value from outside for a template, an expression or the name of a host', async () => {
    commit({
      'site.yml': play(`
- copy: {dest: "/output/{{ inventory_hostname }}", content: "{{ [text, digits, yes, nothing, number, share, flag] | to_json }}"}
- copy: {dest: "/output/variable-{{ inventory_hostname }}", content: "{{ [role, nested] | to_json }}"}
- assert: {that: ["{{ expression }}"]}
  ignore_errors: true
- name: "print {{ text }}"
  debug: {var: "{{ expression }}"}
  ignore_errors: true
`),
    });
    const extraVars = {
      text: evil,
      digits: '0123',
      yes: 'yes',
      nothing: '',
      number: 5,
      share: 1e-7,
      flag: true,
      expression: "lookup('pipe', 'touch /output/pwned')",
    };
    const nested = { [evil]: [evil, { deep: evil }] };
    const groups = { web: { web1: { role: evil, nested } }, db: { web1: null } };
    const { code, log, output } = await site.run({ task: { inventory: { groups }, extraVars } });
    assert.equal(code, 0, log);
    const read = (name: string): unknown => JSON.parse(readFileSync(path.join(output, name), 'utf8'));
    assert.deepEqual(read('web1'), [evil, '0123', 'yes', '', 5, 1e-7, true]);
    assert.deepEqual(read('variable-web1'), [evil, nested]);
    assert.ok(!existsSync(path.join(output, 'pwned')), log);

    for (const name of [evil, 'web[1:9]', '-oProxyCommand=touch /output/pwned']) {
      const refused = await site.run({ task: { inventory: { groups: { web: [name] } } } });
      assert.equal(refused.report.reason, 'InventoryInvalid');
      assert.ok(!refused.log.includes('PLAY'), refused.log);
    }
  });

  test('of a failure names the task and its words, with secrets hidden, and nothing where no_log is set', async () => {
    commit({
      'site.yml': play(`
- name: rescued
  block: [{fail: {msg: this one is mended}}]
  rescue: [{meta: noop}]
- name: log in as {{ lookup('env', 'LOGIN') }}
  shell: echo "wrong password {{ lookup('env', 'LOGIN') }}" >&2; exit 3
  when: inventory_hostname == 'web1'
- name: hidden
  fail: {msg: "{{ lookup('env', 'HIDDEN') }}"}
  no_log: true
`),
    });
    const run = (limit?: string) =>
      site.run({
        task: { inventory: web, ...(limit === undefined ? {} : { limit }) },
        env: { LOGIN: 'open-sesame', HIDDEN: 'do not tell' },
        masked: ['LOGIN'],
      });
    const { code, log, report } = await run();
    assert.equal(code, 1);
    assert.equal(report.reason, 'PlaybookFailed');
    assert.match(report.message ?? '', /^web1: ok=0 changed=0 unreachable=0 failed=1; web2: .* failed=1\. /);
    assert.match(report.message ?? '', /Task "log in as \*{3}" on web1: .*: wrong password \*{3}$/);
    assert.deepEqual(
      report.ansible?.hosts?.toSorted((a, b) => (a.host < b.host ? -1 : 1)),
      printedRecap(log),
    );
    assert.ok(!log.includes('open-sesame') && log.includes('wrong password ***'), log);

    const hidden = await run('web2');
    assert.match(hidden.report.message ?? '', /Task "hidden" on web2: the task has no_log/);
    assert.ok(!`${hidden.log}${JSON.stringify(hidden.report)}`.includes('do not tell'));
  });

  test('gives what set_stats says as outputs, but not from tasks with no_log', async () => {
    commit({
      'site.yml': play(`
- set_stats: {data: {version: "1.2", hosts: ["{{ inventory_hostname }}"]}}
- set_stats: {data: {version: "{{ 1 + 1 }}"}, aggregate: false}
- set_stats: {data: {mine: 1}, per_host: true}
- set_stats: {data: {token: open-sesame}}
  no_log: true
- set_stats: {data: {large: "{{ 'x' * 5000 }}"}, aggregate: false}
`),
    });
    const { report, log } = await site.run({
      task: { inventory: { groups: { web: ['web1', 'web2'] } }, forks: 1 },
    });
    assert.deepEqual(report.outputs, { version: 2, hosts: ['web1', 'web2'] }, log);
    assert.match(log, /left out.*: large/);
  });

  test('keeps to limit, tags and skipTags, and changes nothing in check mode', async () => {
    commit({
      'site.yml': play(`
- {name: first, copy: {dest: "/output/first-{{ inventory_hostname }}", content: "new\\n"}, tags: [a]}
- {name: second, copy: {dest: "/output/second", content: x}, tags: [b]}
- {name: third, copy: {dest: "/output/third", content: x}, tags: [a, c]}
`),
    });
    const task = { inventory: web, limit: 'web2', tags: ['a'], skipTags: ['c'] };
    const wet = await site.run({ task });
    assert.equal(wet.report.summary, '1 host: 1 ok, 1 changed');
    const made = (output: string) =>
      ['first-web1', 'first-web2', 'second', 'third'].filter((name) => existsSync(path.join(output, name)));
    assert.deepEqual(made(wet.output), ['first-web2']);
    const dry = await site.run({ task: { ...task, check: true, diff: true } });
    assert.equal(dry.report.summary, '1 host: 1 ok, 1 changed (check mode)', dry.log);
    assert.deepEqual(made(dry.output), []);
    assert.match(dry.log, /^\+new$/m);
  });

  test('reads what is encrypted with the vault password, and only with that, and shows it nowhere', async () => {
    const encrypted = await site.runTool(
      [
        'sh',
        '-c',
        'cat /signalbox/vars.yml > /output/vars.yml && cat /signalbox/password > /tmp/password && ansible-vault encrypt --vault-password-file=/tmp/password /output/vars.yml',
      ],
      { 'vars.yml': 'word: from-the-vault\n', password: 'sesame' },
    );
    commit({
      'group_vars/all.yml': readFileSync(path.join(encrypted, 'vars.yml'), 'utf8'),
      'site.yml': play(`
- debug: {var: word}
- {run_once: true, set_stats: {data: {length: "{{ word | length }}", word: "{{ word }}"}}}
- command: "test {{ word }} = another"
`),
    });
    const run = (password?: string) =>
      site.run({
        task: { inventory: web, vault: password !== undefined },
        files: password === undefined ? {} : { [mounted('vault')]: `${password}\n` },
      });
    const opened = await run('sesame');
    assert.deepEqual(opened.report.outputs, { length: 14, word: '***' }, opened.log);
    assert.match(opened.log, /"word": "\*\*\*"/);
    assert.match(opened.log, /"cmd": \["test", "\*\*\*", "=", "another"\]/);
    assert.doesNotMatch(`${opened.log} ${JSON.stringify(opened.report)}`, /from-the-vault/);
    for (const refused of [await run('wrong'), await run()]) {
      assert.equal(refused.code, 1);
      assert.equal(refused.report.reason, 'VaultDenied', refused.log);
    }
  });

  test('says what is wrong with a playbook or an inventory that can not be used', async () => {
    commit({
      'site.yml': play('- ping:'),
      'broken.yml': '- hosts: all\n  tasks: [',
      'unknown.yml': play('- no_such_module: {}'),
      hosts: 'web1\nweb2\n',
      'broken-hosts.yml': 'web:\n  hosts: [a, b]\n',
    });
    const reasonOf = async (task: object) => (await site.run({ task })).report;
    assert.equal((await reasonOf({ inventory: { file: 'hosts' } })).summary, '2 hosts: 2 ok, 0 changed');
    assert.equal((await reasonOf({ inventory: { inline: '[web]\nweb1\n' } })).reason, 'Completed');
    assert.equal((await reasonOf({ playbook: 'no.yml' })).reason, 'PlaybookNotFound');
    assert.equal((await reasonOf({ playbook: 'broken.yml', inventory: web })).reason, 'SyntaxError');
    const unknown = await reasonOf({ playbook: 'unknown.yml', inventory: web });
    assert.equal(unknown.reason, 'SyntaxError');
    assert.match(unknown.message ?? '', /no_such_module/);
    assert.equal((await reasonOf({ inventory: { file: 'broken-hosts.yml' } })).reason, 'InventoryInvalid');
    assert.equal((await reasonOf({ inventory: { file: 'no' } })).reason, 'InventoryInvalid');
    assert.equal((await reasonOf({ inventory: web, limit: 'nobody' })).reason, 'NoHosts');
    assert.equal((await reasonOf({})).reason, 'NoHosts');
  });

  test('stopped in the middle, gives Ansible one SIGINT and says how far it came', async () => {
    commit({
      'site.yml': play('- {name: short, ping: }\n- {name: long, shell: "touch /output/started; sleep 300"}'),
    });
    // Stands before the real one on the PATH, and writes down the signals that it passes on.
    const wrapper = [
      '#!/bin/bash',
      "trap 'echo INT >> /output/signals; kill -INT $child' INT",
      "trap 'echo TERM >> /output/signals' TERM",
      '/usr/bin/ansible-playbook "$@" & child=$!',
      'while kill -0 $child 2>/dev/null; do wait $child; code=$?; done',
      'exit $code',
    ].join('\n');
    const { code, log, report, output } = await site.run({
      task: { inventory: { groups: { web: ['web1'] } } },
      files: { 'bin/ansible-playbook': wrapper },
      env: { PATH: '/signalbox/bin:/usr/local/bin:/usr/bin:/bin' },
      onStart: (container, output) => void stopOnce(container, path.join(output, 'started')),
    });
    assert.equal(code, 1, log);
    assert.equal(report.reason, 'Interrupted', log);
    assert.match(report.message ?? '', /during the task "long"/);
    assert.equal(readFileSync(path.join(output, 'signals'), 'utf8'), 'INT\n');
  });
});
