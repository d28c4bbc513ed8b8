import assert from 'node:assert/strict';
import { symlinkSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startGitServer } from './git-server.ts';
import { Repository } from './repository.ts';
import { TerraformSite } from './terraform-site.ts';

const saying = (word: string) => `output "word" { value = "${word}" }`;
const apply = { action: 'apply' } as const;

describe('the code of a step', () => {
  let site: TerraformSite;
  before(async () => {
    site = await TerraformSite.start('opentofu');
  });
  after(() => site[Symbol.asyncDispose]());

  test('is that of a folder', async () => {
    site.code(saying('top'), { 'deep/er/main.tf': saying('deep') });
    const { report, log } = await site.run(apply, { source: { path: 'deep/er' } });
    assert.deepEqual(report.outputs, { word: 'deep' }, log);
  });

  test('is not outside of the repository', async () => {
    const missing = await site.run(apply, { source: { path: 'no/such' } });
    assert.equal(missing.report.reason, 'PathNotFound');
    symlinkSync('/etc', path.join(site.site.repository.folder, 'etc'));
    site.site.repository.git('add', '--all');
    site.site.repository.git('commit', '--quiet', '--message=link');
    site.api.commit = undefined;
    const outside = await site.run(apply, { source: { path: 'etc' } });
    assert.equal(outside.report.reason, 'PathNotFound', outside.log);
    assert.match(outside.report.message ?? '', /outside/);
  });

  test('is that of the commit that the run was pinned to first', async () => {
    const first = site.code(saying('first'));
    site.code(saying('second'));
    site.api.commit = first;
    const { report } = await site.run(apply);
    assert.deepEqual([report.commit, report.outputs], [first, { word: 'first' }]);
    assert.equal(site.api.commit, first);
  });

  test('is told to the operator by the first step of a run, and asked for by the others', async () => {
    const commit = site.code(saying('told'));
    site.api.requests.length = 0;
    await site.run(apply);
    await site.run(apply);
    const asked = site.api.asked.filter((request) => request.endsWith('/v1/commit'));
    assert.deepEqual(asked, ['GET /v1/commit', 'POST /v1/commit', 'GET /v1/commit']);
    assert.equal(site.api.commit, commit);
  });

  test('is got from a server that gives no commit by its hash', async () => {
    const older = site.code(saying('older'));
    site.code(saying('newer'));
    site.api.commit = older;
    await using server = await startGitServer({ root: site.site.folder, old: true });
    const { report, log } = await site.run(apply, {
      source: { url: `${server.url}/repository` },
      ca: server.ca,
    });
    assert.deepEqual([report.commit, report.outputs], [older, { word: 'older' }], log);
    assert.match(log, /fetching the branch with its history/);
  });

  test('is gone when the branch was rewritten', async () => {
    site.code(saying('there'));
    site.api.commit = 'd'.repeat(40);
    const { report, log } = await site.run(apply);
    assert.equal(report.reason, 'CommitNotFound', log);
  });

  test('has its submodules where they are asked for', async () => {
    const other = new Repository(path.join(site.site.folder, 'other'));
    other.commit({ 'main.tf': saying('from the submodule') });
    const { repository } = site.site;
    site.code(`module "m" { source = "./sub" }\noutput "word" { value = module.m.word }`);
    repository.git('submodule', '--quiet', 'add', '../other', 'sub');
    repository.git('commit', '--quiet', '--message=submodule');
    site.api.commit = undefined;
    const without = await site.run(apply);
    assert.equal(without.code, 1);
    const { report, log } = await site.run(apply, { source: { submodules: true } });
    assert.deepEqual(report.outputs, { word: 'from the submodule' }, log);
  });

  test('has no submodules by other protocols', async () => {
    const { repository } = site.site;
    site.code(saying('x'));
    repository.git('config', '--file', '.gitmodules', 'submodule.evil.path', 'evil');
    repository.git(
      'config',
      '--file',
      '.gitmodules',
      'submodule.evil.url',
      `ext::sh -c "touch ${site.site.folder}/x"`,
    );
    repository.git('update-index', '--add', '--cacheinfo', `160000,${'a'.repeat(40)},evil`);
    repository.git('add', '.gitmodules');
    repository.git('commit', '--quiet', '--message=evil');
    site.api.commit = undefined;
    const { report, log } = await site.run(apply, { source: { submodules: true } });
    assert.equal(report.reason, 'ProtocolRefused', log);
  });
});
