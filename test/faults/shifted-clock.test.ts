import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';

/** Prints, again and again, how far the time of day is from that of the monotonic clock, in whole minutes. */
const program = `
  const minutes = (time) => Math.round((time - performance.timeOrigin - performance.now()) / 60000);
  setInterval(() => console.log(minutes(Date.now()), minutes(new Date().getTime()), new Date(5) instanceof Date), 10);
`;

test('a process takes the time of day from the file, also while it runs', { timeout: 20_000 }, async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'shifted-clock-'));
  const file = path.join(folder, 'offset');
  await writeFile(file, String(5 * 60_000));
  const preload = new URL('shifted-clock.ts', import.meta.url);
  preload.searchParams.set('file', file);
  const child = spawn(process.execPath, [`--import=${preload.href}`, '--eval', program]);
  const seen = new Set<string>();
  for await (const line of createInterface(child.stdout)) {
    if (!seen.has(line)) await writeFile(file, String(-7 * 60_000));
    seen.add(line);
    if (seen.size === 2) break;
  }
  assert.deepEqual([...seen], ['5 5 true', '-7 -7 true']);
  child.kill();
  await once(child, 'exit');
  await rm(folder, { recursive: true });
});
