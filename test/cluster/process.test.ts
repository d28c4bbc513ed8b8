import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { makeOnce } from './cache.ts';
import { CommandFailed, run } from './command.ts';
import { withLock } from './lock.ts';
import { end, identify, isAlive, type ProcessIdentity, recordedProcess, startRecorded } from './process.ts';
import { waitFor } from './wait.ts';

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'signalbox-test-'));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function started(folder: string, argv: readonly string[]): Promise<ProcessIdentity> {
  const record = path.join(folder, 'process', 'one');
  await startRecorded(argv, record, path.join(folder, 'log'));
  const process = recordedProcess(record);
  assert.ok(process);
  return process;
}

test('a process is known by its start, so one that got its id later is left alone', () =>
  withFolder(async (folder) => {
    const sleeper = await started(folder, ['sleep', '60']);
    assert.equal(isAlive(sleeper), true);
    await end({ ...sleeper, startTime: '1' }, 'SIGKILL');
    assert.deepEqual(identify(sleeper.pid), sleeper);
    await end(sleeper, 'SIGKILL');
    assert.equal(isAlive(sleeper), false);
  }));

test('a process that ignores the signal is killed', () =>
  withFolder(async (folder) => {
    const log = path.join(folder, 'log');
    const stubborn = await started(folder, ['sh', '-c', 'trap "" TERM; echo deaf; sleep 60 & wait; wait']);
    await waitFor('the trap', 5_000, async () => (await readFile(log, 'utf8')) || undefined);
    await end(stubborn, 'SIGTERM', 100);
    assert.equal(isAlive(stubborn), false);
  }));

test('a command that fails says how, with the end of what it printed', async () => {
  const failing = run(['sh', '-c', 'echo first; echo second >&2; exit 3']);
  await assert.rejects(
    failing,
    (error) => error instanceof CommandFailed && /ended with 3:\nfirst\n\nsecond/.test(error.message),
  );
  await assert.rejects(run(['sleep', '60'], { limit: 50 }), /ended with SIGKILL/);
});

test('a command ends when the process that runs it is killed', () =>
  withFolder(async (folder) => {
    const source = path.join(import.meta.dirname, 'command.ts');
    const mark = path.join(folder, 'mark');
    const script = `import { run } from '${source}'; await run(['sh', '-c', 'echo $$ > ${mark}; exec sleep 60'])`;
    const runner = await started(folder, [process.execPath, '--input-type=module', '-e', script]);
    const pid = await waitFor(
      'the command',
      10_000,
      async () => Number(await readFile(mark, 'utf8')) || undefined,
    );
    const command = identify(pid);
    assert.ok(command);
    await end(runner, 'SIGKILL');
    await waitFor('the command to end', 5_000, () => !isAlive(command) || undefined);
  }));

test('one at a time holds a lock, and the next goes on when its holder is killed', () =>
  withFolder(async (folder) => {
    const file = path.join(folder, 'lock');
    const source = path.join(import.meta.dirname, 'lock.ts');
    const mark = path.join(folder, 'mark');
    const script = `
      import { writeFile } from 'node:fs/promises';
      import { withLock } from '${source}';
      await withLock('${file}', 1000, async () => { await writeFile('${mark}', ''); await new Promise((r) => setTimeout(r, 60_000)); });`;
    const holder = await started(folder, [process.execPath, '--input-type=module', '-e', script]);
    await waitFor('the holder', 10_000, () => existsSync(mark) || undefined);
    await assert.rejects(
      withLock(file, 200, async () => 'never'),
      /Another process has held/,
    );
    await end(holder, 'SIGKILL');
    assert.equal(await withLock(file, 5_000, async () => 'free'), 'free');
  }));

test('what was half made is made again, what is whole is not', () =>
  withFolder(async (folder) => {
    const target = path.join(folder, 'thing');
    const broken = makeOnce(target, async (file) => {
      await writeFile(file, 'half');
      throw new Error('interrupted');
    });
    await assert.rejects(broken, /interrupted/);
    assert.equal(existsSync(target), false);
    await makeOnce(target, (file) => writeFile(file, 'whole'));
    await makeOnce(target, () => assert.fail('made twice'));
    assert.equal(await readFile(target, 'utf8'), 'whole');
  }));
