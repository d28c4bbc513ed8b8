import { createInterface } from 'node:readline/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowRun } from '../../src/api/resources.ts';
import { prepare } from '../cluster/requirements.ts';
import { reportTo } from '../cluster/report.ts';
import { isFinished } from '../kit/kit.ts';
import { slackApiUrl } from '../kit/slack-pod.ts';
import { createFollower } from './follow.ts';
import { install, loadRunner } from './install.ts';
import { approval, jane } from './people.ts';
import { record } from './record.ts';
import { NAMESPACE, setScene } from './scene.ts';

/** A run that has not ended after this time is shown as it is. */
const LIMIT_MS = 10 * 60_000;
const DRAW_EVERY_MS = 200;

const report = reportTo(process.stderr);
await prepare(report);
const cluster = await install({ name: 'signalbox' }, report, { 'slack.apiUrl': slackApiUrl(NAMESPACE) });
await loadRunner(cluster, 'opentofu', report);

const say = (text: string) => void process.stdout.write(`${text}\n`);
const { kit, slack, push } = await setScene(cluster, jane, say);

async function show(...args: string[]): Promise<void> {
  say(`\n$ kubectl ${args.join(' ')}`);
  say((await kit.kubectl(args)).trimEnd());
}

/** Whether the viewer lets the deployment go on. With AUTO=1, or where nobody is there to ask, it does. */
async function isWanted(): Promise<boolean> {
  if (process.env['AUTO'] === '1' || !process.stdin.isTTY) return true;
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await terminal.question(`\nApprove it as ${jane.user}? [y/N] `);
  terminal.close();
  return /^y(es)?$/i.test(answer.trim());
}

/** Shows what waits, and votes on it. */
async function vote(run: WorkflowRun, step: string): Promise<void> {
  const { approval: asked } = run.status?.steps?.find(({ name }) => name === step) ?? {};
  say(`\nStep ${step} waits for ${asked?.approvers.join(', ')} to look at this:`);
  for (const { step: plan, add, change, destroy, changes = [] } of asked?.plans ?? []) {
    say(`  ${plan}: ${add} to add, ${change} to change, ${destroy} to destroy`);
    for (const { address, action } of changes) say(`    ${action.padEnd(8)} ${address}`);
  }
  const args = approval(jane, run.metadata.name ?? '', step);
  await show(...((await isWanted()) ? args : args.map((arg) => arg.replace('/approve=', '/reject='))));
}

say('\nSomebody pushes a change of the API: rate limiting.');
const name = await push();
await show('get', 'projects,workflows,workflowruns');

const draw = createFollower(process.stdout);
const deadline = Date.now() + LIMIT_MS;
const voted = new Set<string>();
let latest = await kit.getRun(name);
while (!isFinished(latest) && Date.now() < deadline) {
  draw(latest, Date.now());
  const waiting = latest.status?.steps?.find(({ phase, approval }) => approval && phase === 'Running');
  if (waiting && !voted.has(waiting.name)) {
    voted.add(waiting.name);
    await vote(latest, waiting.name);
  }
  await sleep(DRAW_EVERY_MS);
  latest = await kit.getRun(name);
}
draw(latest, Date.now());

say(`\n${record(latest)}`);
const texts = (await slack.received()).map(({ body: { text } }) => (typeof text === 'string' ? text : ''));
say(`\nWhat the channel got:\n\n${(texts.at(-1) ?? 'nothing').replaceAll(/^/gm, '  ')}`);
say(`
The cluster stays up until \`make down\`. To look around in it:

  export KUBECONFIG=${cluster.kubeconfig}
  alias kubectl=${cluster.kubectl}
  kubectl config set-context --current --namespace ${NAMESPACE}
`);
process.exitCode = latest.status?.phase === 'Succeeded' ? 0 : 1;
