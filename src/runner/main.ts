import { RUNNER_PATHS } from '../api/runner.ts';
import { drained } from './process.ts';
import { run } from './run.ts';

// The first process of the pod's only container.
process.exitCode = await run({
  env: process.env,
  paths: RUNNER_PATHS,
  workspace: process.cwd(),
  protocols: 'https:http:ssh',
  write: (text) => process.stdout.write(text),
  onStop(listener) {
    // As the first process, we get no signal that we do not listen to.
    process.on('SIGTERM', listener);
    process.on('SIGINT', listener);
  },
});
await drained(process.stdout);
// A connection or a left-over program may hold us.
process.exit();
