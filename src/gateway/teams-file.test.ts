import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { openTeams } from './teams-file.ts';

async function fileIn(t: TestContext, text: string): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'teams-'));
  t.after(() => rm(folder, { recursive: true }));
  const file = path.join(folder, 'teams.json');
  await writeFile(file, text);
  return file;
}

test('teams are read, and read again', async (t) => {
  const file = await fileIn(t, '{"platform": {"users": ["jane"]}}');
  const teams = await openTeams(file);
  assert.deepEqual(teams.teams(), { platform: { users: ['jane'], groups: [] } });
  await writeFile(file, '{"platform": {"groups": ["sre"]}, "web": {}}');
  await teams.refresh();
  assert.deepEqual(teams.teams(), {
    platform: { users: [], groups: ['sre'] },
    web: { users: [], groups: [] },
  });
});

test('what was read last stays in force when the file is broken', async (t) => {
  const file = await fileIn(t, '{"platform": {"users": ["jane"]}}');
  const teams = await openTeams(file);
  for (const text of ['', '[]', '{"platform": ["jane"]}', '{"platform": {"user": ["jane"]}}']) {
    await writeFile(file, text);
    await assert.rejects(teams.refresh(), { name: 'TeamsError', message: /must be JSON such as/ });
  }
  assert.deepEqual(teams.teams(), { platform: { users: ['jane'], groups: [] } });
});

test('without a file there are no teams, and one that is not there is an error', async () => {
  assert.deepEqual((await openTeams(undefined)).teams(), {});
  await assert.rejects(openTeams('/nowhere/teams.json'), /cannot be read/);
});
