import assert from 'node:assert/strict';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, suite, test } from 'node:test';
import { buildCollection, collectionFile, collectionSource } from '../../kit/ansible-collection.ts';
import { fakeGalaxy } from '../../kit/fake-galaxy.ts';
import { AnsibleSite } from './ansible-site.ts';

const play = `
- hosts: localhost
  connection: local
  gather_facts: false
  roles: [greeter]
  tasks:
    - set_stats: {data: {words: "{{ 'hello' | example.tools.shout }}", greeting: "{{ greeting }}"}}
`;

suite('requirements of an Ansible project', () => {
  const seen: string[] = [];
  let site: AnsibleSite;
  let galaxy: Server;
  let galaxyServer: string;
  before(async () => {
    site = await AnsibleSite.open();
    const source = Object.entries(collectionSource).map(([name, text]) => [`collection/${name}`, text]);
    const folder = await site.runTool(
      buildCollection('/signalbox/collection', '/output'),
      Object.fromEntries(source),
    );
    galaxy = fakeGalaxy(folder, seen);
    await new Promise<void>((resolve) => galaxy.listen(0, '127.0.0.1', resolve));
    galaxyServer = `http://127.0.0.1:${(galaxy.address() as AddressInfo).port}`;
  });
  after(async () => {
    galaxy.close();
    await site[Symbol.asyncDispose]();
  });

  test('are installed from the given server: a collection, and a role from the repository that the code is in', async () => {
    const role = site.repository.commit({
      'meta/main.yml': 'galaxy_info: {}\n',
      'tasks/main.yml': '- set_fact: {greeting: good day}\n',
    });
    site.repository.commit({
      'requirements.yml': JSON.stringify({
        collections: [{ name: 'example.tools', version: '>=1.0.0' }],
        roles: [{ name: 'greeter', src: site.url, scm: 'git', version: role }],
      }),
      'site.yml': play,
    });
    const { code, log, report } = await site.run({
      task: { requirements: 'requirements.yml', galaxyServer },
    });
    assert.equal(code, 0, log);
    assert.deepEqual(report.outputs, { words: 'HELLO!', greeting: 'good day' });
    assert.ok(seen.includes(`GET /download/${collectionFile}`), seen.join('\n'));
    assert.match(log, /requirements: \d+\.\d+ s/);
  });

  test('that are not to be had fail the step before any play', async () => {
    site.repository.commit({
      'requirements.yml': 'collections: [{name: example.tools, version: "9.0.0"}]',
      'site.yml': play,
    });
    const run = () => site.run({ task: { requirements: 'requirements.yml', galaxyServer } });
    const missing = await run();
    assert.equal(missing.code, 1);
    assert.equal(missing.report.reason, 'RequirementsFailed');
    assert.match(missing.report.message ?? '', /example\.tools:9\.0\.0/);
    assert.ok(!missing.log.includes('PLAY'), missing.log);

    site.repository.commit({ 'site.yml': play });
    const { report } = await run();
    assert.equal(report.reason, 'RequirementsFailed');
    assert.match(report.message ?? '', /no file requirements\.yml/);
  });
});
