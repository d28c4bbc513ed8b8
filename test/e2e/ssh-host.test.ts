import assert from 'node:assert/strict';
import { before, suite, test } from 'node:test';
import { up } from '../cluster/cluster.ts';
import { run } from '../cluster/command.ts';
import { silent } from '../cluster/report.ts';
import { inNamespace, type Kit } from '../kit/kit.ts';
import { withSsh } from '../kit/ssh.ts';
import { makeSshKey } from '../kit/ssh-key.ts';
import { deploySshHosts, type SshHosts } from '../kit/ssh-host.ts';

suite('hosts in the cluster that are logged in to by SSH', () => {
  let kit: Kit;
  let hosts: SshHosts;
  before(async () => {
    const cluster = await up({ name: 'e2e' }, silent);
    kit = await inNamespace(cluster, 'ssh');
    hosts = await deploySshHosts(cluster, kit, ['web1', 'web2']);
  });

  const ssh = (name: string, command: string, identity: Partial<SshHosts> = {}) =>
    withSsh({ ...hosts, ...identity }, (options) =>
      run(['ssh', ...options, `${hosts.user}@${hosts.addresses[name]}`, command]),
    );

  test('each is another machine, where a user without rights can work with Python', async () => {
    for (const name of ['web1', 'web2']) {
      const script = 'import getpass, platform; print(platform.node(), getpass.getuser())';
      assert.equal(await ssh(name, `python3 -c '${script}'`), `${name} ops\n`);
      await ssh(name, 'echo changed > motd');
      assert.equal(await hosts.exec(name, ['cat', '/home/ops/motd']), 'changed\n');
    }
  });

  test('files go there by SFTP, which Ansible uses', async () => {
    await withSsh(hosts, (options) =>
      run(['sftp', ...options, '-b', '-', `${hosts.user}@${hosts.addresses['web1']}`], {
        input: 'put /etc/hostname sent\n',
      }),
    );
    assert.match(await hosts.exec('web1', ['ls', '/home/ops']), /^sent$/m);
  });

  test('another key, and a host that is not the known one, are refused', async () => {
    const { privateKey } = await makeSshKey('stranger');
    await assert.rejects(ssh('web1', 'true', { privateKey }), /Permission denied/);
    const swapped = hosts.knownHosts.replaceAll(hosts.addresses['web2'] ?? '', hosts.addresses['web1'] ?? '');
    const onlyWeb2 = swapped
      .split('\n')
      .filter((line) => line.startsWith('web2'))
      .join('\n');
    await assert.rejects(
      ssh('web1', 'true', { knownHosts: `${onlyWeb2}\n` }),
      /Host key verification failed/,
    );
  });
});
