import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { makeServerCertificate } from '../cluster/certificates.ts';
import { up } from '../cluster/cluster.ts';
import { run } from '../cluster/command.ts';
import { silent } from '../cluster/report.ts';
import { deployForge, type Forge, type Repository } from '../kit/forge.ts';
import { inNamespace, type Kit } from '../kit/kit.ts';
import { withSsh } from '../kit/ssh.ts';
import { knownHost, makeSshKey } from '../kit/ssh-key.ts';

suite('the git forge in the cluster', () => {
  let kit: Kit;
  let forge: Forge;
  let repository: Repository;
  let commit: string;
  let folder: string;
  before(async () => {
    const cluster = await up({ name: 'e2e' }, silent);
    kit = await inNamespace(cluster, 'forge');
    forge = await deployForge(cluster, kit);
    repository = await forge.createRepository('infrastructure');
    commit = await repository.push({ 'terraform/main.tf': '# nothing yet\n', README: 'to be removed' });
    folder = await mkdtemp(path.join(os.tmpdir(), 'signalbox-forge-test-'));
    await writeFile(path.join(folder, 'ca.crt'), forge.ca);
  });
  after(() => rm(folder, { recursive: true }));

  const quiet = { GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null', GIT_TERMINAL_PROMPT: '0' };

  const withToken = (url: string, token = forge.token) =>
    url.replace('https://', `https://${forge.user}:${token}@`);

  async function cloneByHttps(name: string, url: string, env: Record<string, string> = {}): Promise<string> {
    const clone = path.join(folder, name);
    const authority = { GIT_SSL_CAINFO: path.join(folder, 'ca.crt') };
    await run(['git', 'clone', '--quiet', url, clone], { env: { ...quiet, ...authority, ...env } });
    return clone;
  }

  async function cloneBySsh(name: string, privateKey: string, knownHosts: string): Promise<string> {
    const clone = path.join(folder, name);
    await withSsh({ privateKey, knownHosts }, (options) =>
      run(['git', 'clone', '--quiet', forge.fromHere(repository.sshUrl), clone], {
        env: { ...quiet, GIT_SSH_COMMAND: ['ssh', ...options].join(' ') },
      }),
    );
    return clone;
  }

  const headOf = async (clone: string) => (await run(['git', '-C', clone, 'rev-parse', 'HEAD'])).trim();

  test('HTTPS: the token opens what was pushed, and nothing else does', async () => {
    const url = forge.fromHere(repository.httpsUrl);
    const clone = await cloneByHttps('token', withToken(url));
    assert.equal(await headOf(clone), commit);
    assert.equal(await readFile(path.join(clone, 'terraform/main.tf'), 'utf8'), '# nothing yet\n');
    await assert.rejects(cloneByHttps('nobody', url), /could not read Username/);
    await assert.rejects(cloneByHttps('wrong', withToken(url, 'wrong')), /Authentication failed/);
  });

  test('HTTPS: the certificate is that of a private authority', async () => {
    const url = withToken(forge.fromHere(repository.httpsUrl));
    const other = path.join(folder, 'other.crt');
    await writeFile(other, (await makeServerCertificate(['example.com'], [])).authority);
    await assert.rejects(cloneByHttps('other', url, { GIT_SSL_CAINFO: other }), /certificate/);
  });

  test('HTTPS: pods reach it by its name', async () => {
    const clone = `GIT_SSL_CAINFO=/tmp/ca.crt git clone --quiet ${withToken(repository.httpsUrl)} /tmp/clone`;
    const show = 'git -C /tmp/clone rev-parse HEAD';
    const script = `cat > /tmp/ca.crt && ${clone} && ${show}`;
    const shown = await kit.kubectl(['exec', '--stdin', 'forge', '--', 'bash', '-c', script], forge.ca);
    assert.equal(shown.trim(), commit);
  });

  test('SSH: the key opens what was pushed, another one does not', async () => {
    assert.equal(await headOf(await cloneBySsh('key', forge.sshKey, forge.knownHosts)), commit);
    const { privateKey } = await makeSshKey('stranger');
    await assert.rejects(cloneBySsh('stranger', privateKey, forge.knownHosts), /Permission denied/);
  });

  test('SSH: a server with another host key is refused', async () => {
    const { hostname } = new URL(forge.fromHere(repository.httpsUrl));
    const wrong = knownHost([hostname], await makeSshKey('another host'));
    await assert.rejects(cloneBySsh('changed', forge.sshKey, wrong), /Host key verification failed/);
    await assert.rejects(cloneBySsh('unknown', forge.sshKey, ''), /Host key verification failed/);
  });

  test('a push adds to a branch, makes new ones, and can remove files and add submodules', async () => {
    const library = await forge.createRepository('library');
    const pinned = await library.push({ 'variables.tf': '' });
    const next = await repository.push({ README: null, 'a.tf': '' }, { branch: 'next', message: 'Go on' });
    const last = await repository.pushChange(
      (_, git) => git('submodule', '--quiet', 'add', '../library.git', 'modules/library'),
      { branch: 'next' },
    );
    const clone = await cloneByHttps('branches', withToken(forge.fromHere(repository.httpsUrl)));
    const git = async (...args: string[]) => (await run(['git', '-C', clone, ...args])).trim();
    assert.equal(await git('rev-parse', 'origin/main'), commit);
    assert.equal(await git('log', '--format=%H', 'origin/next'), [last, next, commit].join('\n'));
    assert.equal(await git('log', '-1', '--format=%s', next), 'Go on');
    assert.deepEqual((await git('ls-tree', '-r', '--name-only', last)).split('\n'), [
      '.gitmodules',
      'a.tf',
      'modules/library',
      'terraform/main.tf',
    ]);
    assert.equal(await git('rev-parse', `${last}:modules/library`), pinned);
  });
});
