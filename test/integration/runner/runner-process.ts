import path from 'node:path';
import { RUNNER_PATHS } from '../../../src/api/runner.ts';
import { drained } from '../../../src/runner/process.ts';
import { run } from '../../../src/runner/run.ts';
import type { RunnerPaths } from '../../../src/runner/settings.ts';

// The runner as a process of a test: its files are in the folder of the test, and git may use those of this machine.
const root = process.argv[2] ?? '';
const moved = Object.entries(RUNNER_PATHS).map(([name, file]) => [name, path.join(root, file)]);
process.exitCode = await run({
  env: process.env,
  // Object.fromEntries forgets which keys it was given.
  paths: Object.fromEntries(moved) as RunnerPaths,
  workspace: path.join(root, 'workspace'),
  protocols: 'https:http:ssh:file',
  write: (text) => process.stdout.write(text),
  onStop(listener) {
    process.on('SIGTERM', listener);
    process.on('SIGINT', listener);
  },
});
await drained(process.stdout);
process.exit();
