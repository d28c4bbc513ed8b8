import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import type { RunnerTask } from '../../../src/api/runner.ts';
import { startGitServer } from './git-server.ts';
import { Repository } from './repository.ts';
import { type Pod, Site } from './runner.ts';

const site = new Site();
after(() => site[Symbol.dispose]());
const { repository } = site;
const older = repository.commit({ 'live/main.tf': '# older', 'README.md': 'read me' });
repository.git('tag', '--annotate', '--message=release', 'v1');
const newer = repository.commit({ 'live/main.tf': '# newer' });
repository.git('branch', 'feature/x', older);

const username = 'robot';
const password = 'p@ss/w:rd-of-robot';

/** The check of a Project, which finds the commit. */
const check = (source: Partial<RunnerTask['source']>, more: Partial<Pod> = {}) =>
  site.run({
    ...more,
    task: {
      source: { url: repository.url, submodules: false, credentials: false, ...source },
      ca: more.files?.['/signalbox/ca/ca.crt'] !== undefined,
      masked: [],
    },
  });

describe('the commit of a source', () => {
  const refs: Record<string, [string | undefined, string]> = {
    'the default branch': [undefined, newer],
    'a branch': ['main', newer],
    'a branch with a slash': ['feature/x', older],
    'an annotated tag, as the commit that it points to': ['v1', older],
    'a full name': ['refs/heads/feature/x', older],
    'a hash': [older, older],
  };
  for (const [name, [ref, commit]] of Object.entries(refs)) {
    test(`is found by ${name}`, async () => {
      const { code, report } = await check(ref === undefined ? {} : { ref });
      assert.deepEqual([code, report.reason, report.commit], [0, 'Completed', commit]);
    });
  }

  test('of an unknown ref is a failure that names it', async () => {
    const { code, report } = await check({ ref: 'mian' });
    assert.deepEqual([code, report.reason], [1, 'RefNotFound']);
    assert.match(report.message ?? '', /no branch or tag named mian/);
    const short = await check({ ref: older.slice(0, 10) });
    assert.match(short.report.message ?? '', /whole hash/);
  });

  test('of an empty repository is a failure that says so', async () => {
    const empty = new Repository(path.join(site.folder, 'empty'));
    assert.equal((await check({ url: empty.url })).report.reason, 'RefNotFound');
  });
});

describe('what git could take for an option or another program', () => {
  const touched = path.join(site.folder, 'touched');
  const attacks: Record<string, Partial<RunnerTask['source']>> = {
    'a ref that is an option': { ref: `--upload-pack=touch ${touched}` },
    'a ref that is an option without spaces': { ref: `--upload-pack=${touched}` },
    'an address that is an option': { url: `--upload-pack=touch ${touched}` },
    'an address that is a program': { url: `ext::sh -c "touch ${touched}"` },
    'an address with a user that is an option': { url: 'ssh://-oProxyCommand=touch@example.com/a' },
    'an address with a host that is an option': { url: 'git@-oProxyCommand=touch:a' },
  };
  for (const [name, source] of Object.entries(attacks)) {
    test(`is refused: ${name}`, async () => {
      const { code, report } = await check(source);
      assert.equal(code, 1);
      assert.match(report.reason, /^(RefNotFound|InvalidUrl)$/);
      assert.ok(!readdirSync(site.folder).includes('touched'));
    });
  }
});

describe('a repository that asks who we are', () => {
  const credentials = { '/signalbox/git/username': username, '/signalbox/git/password': `${password}\n` };

  test('is read with the user and password of the Secret, and with the CA of the Project', async () => {
    await using server = await startGitServer({ root: site.folder, login: `${username}:${password}` });
    const files = { ...credentials, '/signalbox/ca/ca.crt': server.ca };
    const { code, report, log } = await check(
      { url: `${server.url}/repository`, credentials: true },
      { files },
    );
    assert.deepEqual([code, report.commit], [0, newer], log);
    assert.ok(!log.includes(password));
  });

  test('is not asked without the password that the Project speaks of', async () => {
    await using server = await startGitServer({ root: site.folder, login: `${username}:${password}` });
    const files = { '/signalbox/ca/ca.crt': server.ca };
    const { report } = await check({ url: `${server.url}/repository`, credentials: true }, { files });
    assert.equal(report.reason, 'CredentialsMissing');
    assert.match(report.message ?? '', /is not there or has no password/);
    assert.deepEqual([...server.seen], []);
  });

  test('refuses a wrong password', async () => {
    await using server = await startGitServer({ root: site.folder, login: `${username}:another` });
    const files = { ...credentials, '/signalbox/ca/ca.crt': server.ca };
    const { report, log } = await check({ url: `${server.url}/repository`, credentials: true }, { files });
    assert.equal(report.reason, 'SourceDenied', log);
    assert.ok(!JSON.stringify(report).includes(password));
    const nobody = await check(
      { url: `${server.url}/repository` },
      { files: { '/signalbox/ca/ca.crt': server.ca } },
    );
    assert.equal(nobody.report.reason, 'SourceDenied', nobody.log);
  });

  test('never gets the password on to another host that it redirects to', async () => {
    await using other = await startGitServer({ root: site.folder, login: `${username}:${password}` });
    const redirect = other.url.replace('127.0.0.1', 'localhost');
    await using server = await startGitServer({ root: site.folder, redirect });
    const files = { ...credentials, '/signalbox/ca/ca.crt': server.ca + other.ca };
    const { code } = await check({ url: `${server.url}/repository`, credentials: true }, { files });
    assert.equal(code, 1);
    assert.deepEqual([...new Set([...server.seen, ...other.seen])], ['']);
  });

  test('has a certificate of a CA that is trusted', async () => {
    await using server = await startGitServer({ root: site.folder });
    const { report } = await check({ url: `${server.url}/repository` });
    assert.equal(report.reason, 'SourceUntrusted');
    assert.match(report.message ?? '', /caBundle/);
  });

  test('is there', async () => {
    await using server = await startGitServer({ root: site.folder, status: 404 });
    const files = { '/signalbox/ca/ca.crt': server.ca };
    assert.equal((await check({ url: `${server.url}/no` }, { files })).report.reason, 'SourceNotFound');
    const { url } = server;
    await server[Symbol.asyncDispose]();
    const gone = await check({ url: `${url}/repository` }, { files });
    assert.equal(gone.report.reason, 'SourceUnreachable', gone.log);
  });
});
