import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';

/**
 * Prints, again and again, how far from the monotonic clock the time of day is, and what a server with the right time
 * says, in whole minutes.
 */
const program = `
  const right = () => performance.timeOrigin + performance.now();
  const minutes = (time) => Math.round((time - right()) / 60000);
  const said = () => Date.parse(new Date(right()).toUTCString());
  const line = () => [minutes(Date.now()), minutes(new Date().getTime()), minutes(said()), new Date(5) instanceof Date];
  setInterval(() => console.log(line().join(' ')), 10);
`;

for (const [whose, name, shown] of [
  ['its own', undefined, ['5 5 0 true', '-7 -7 0 true']],
  ['its own and that of servers', 'servers', ['5 5 5 true', '-7 -7 -7 true']],
] as const) {
  test(`a process takes the time of day, ${whose}, from the file, also while it runs`, {
    timeout: 20_000,
  }, async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'shifted-clock-'));
    const file = path.join(folder, 'offset');
    await writeFile(file, String(5 * 60_000));
    const preload = new URL('shifted-clock.ts', import.meta.url);
    preload.searchParams.set('file', file);
    if (name !== undefined) preload.searchParams.set(name, '');
    const child = spawn(process.execPath, [`--import=${preload.href}`, '--eval', program]);
    const seen = new Set<string>();
    for await (const line of createInterface(child.stdout)) {
      if (!seen.has(line)) await writeFile(file, String(-7 * 60_000));
      seen.add(line);
      if (seen.size === 2) break;
    }
    assert.deepEqual([...seen], shown);
    child.kill();
    await once(child, 'exit');
    await rm(folder, { recursive: true });
  });
}
