import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowRun } from '../../src/api/resources.ts';
import { run } from '../cluster/command.ts';
import { prepare } from '../cluster/requirements.ts';
import { reportTo } from '../cluster/report.ts';
import { createFollower } from './follow.ts';
import { install, root } from './install.ts';

/** A run that has not ended after this time is shown as it is. */
const LIMIT_MS = 120_000;
const DRAW_EVERY_MS = 200;

const report = reportTo(process.stderr);
await prepare(report);
const cluster = await install({ name: 'signalbox' }, report);

const say = (text: string) => process.stdout.write(`${text}\n`);
const kubectl = (...args: string[]) =>
  run([
    cluster.kubectl,
    '--kubeconfig',
    cluster.kubeconfig,
    ...args.map((arg) => arg.replace(/^deploy\//, `${root}/deploy/`)),
  ]);

async function show(...args: string[]): Promise<string> {
  say(`\n$ kubectl ${args.join(' ')}`);
  const printed = await kubectl(...args);
  say(printed.trimEnd());
  return printed;
}

await show('apply', '-f', 'deploy/examples/hello.yaml');
const created = (await show('create', '-f', 'deploy/examples/hello-run.yaml')).split(' ')[0] ?? '';

const getRun = async () => JSON.parse(await kubectl('get', created, '-o', 'json')) as WorkflowRun;
const draw = createFollower(process.stdout);
const deadline = Date.now() + LIMIT_MS;
let latest = await getRun();
while (!latest.status?.finishedAt && Date.now() < deadline) {
  draw(latest, Date.now());
  await sleep(DRAW_EVERY_MS);
  latest = await getRun();
}
draw(latest, Date.now());

await show('get', 'workflows,workflowruns');
say(`
The cluster stays up until \`make down\`. To look around in it:

  export KUBECONFIG=${cluster.kubeconfig}
  alias kubectl=${cluster.kubectl}
`);
process.exitCode = latest.status?.phase === 'Succeeded' ? 0 : 1;
