import { type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { WorkflowRun } from '../../../src/api/resources.ts';
import { waitFor } from '../../cluster/wait.ts';
import { NAMESPACE } from '../../demo/install.ts';
import { approval, jane } from '../../demo/people.ts';
import { allSpellings, newSecret } from '../../kit/canary.ts';
import { createKit, isFinished, isRunning, stepOf } from '../../kit/kit.ts';
import { startObjectStore } from '../../kit/local-object-store.ts';
import { signatureOf } from './own-secrets.ts';
import { containerLogs, files, metrics, type Place } from './places.ts';
import type { Site } from './site.ts';
import { controlWorkflow, refusedByStore, storedWorkflow, workflowsOf } from './workflows.ts';

const LIMIT_MS = 180_000;

/** Something that looks like a secret, and is shown wherever there is something to be found. */
export interface Control {
  text: string;
  /** Name of the ConfigMap that has it in all spellings. */
  configMap: string;
}

const finished = ({ kit }: Site, name: string) => kit.waitForRun(name, isFinished, LIMIT_MS);

/** Runs all workflows side by side, and takes from pods that run what they alone are given. */
export async function runAll(site: Site, control: Control): Promise<Record<string, WorkflowRun>> {
  const { kit, addresses } = site;
  const specs = Object.entries({ ...workflowsOf(addresses), control: controlWorkflow(control.text) });
  await Promise.all(specs.map(([name, spec]) => kit.applyWorkflow(name, spec)));
  const runs = specs.map(async ([name]) => {
    const run = await kit.startRun(name);
    if (name === 'deploy') await decide(site, run, 'approve');
    if (name === 'refused') {
      await waits(site, run);
      await kit.kubectl(approval(jane, run, control.text)).catch(() => 'which is told in the log');
      await decide(site, run, 'reject');
    }
    if (name === 'cancelled') await cancel(site, run);
    return [name, await finished(site, run)] as const;
  });
  return Object.fromEntries(await Promise.all(runs));
}

const waits = ({ kit }: Site, run: string) =>
  kit.waitForRun(run, ({ status }) => status?.phase === 'AwaitingApproval', LIMIT_MS);

async function decide(site: Site, run: string, vote: 'approve' | 'reject'): Promise<void> {
  await waits(site, run);
  await site.kit.kubectl(approval(jane, run, 'approval').map((arg) => arg.replace('/approve=', `/${vote}=`)));
}

const cancelNow = ({ kit }: Site, run: string) =>
  kit.kubectl(['annotate', 'workflowrun', run, 'signalbox.dev/cancel=true']);

async function cancel(site: Site, run: string): Promise<void> {
  const { kit } = site;
  const running = await kit.waitForRun(run, (one) => isRunning(one, 'waiting'), LIMIT_MS);
  const pod = stepOf(running, 'waiting').job?.name ?? '';
  // The end of what is logged may be held back, as the beginning of a secret: it says something more after that.
  await waitFor('the provisioner', LIMIT_MS, async () => {
    const log = await kit.kubectl(['logs', pod]).catch(() => '');
    return / \(local-exec\): ready/.test(log) || undefined;
  });
  await addRunnerSecrets(site, pod);
  await cancelNow(site, run);
}

/** What a runner shows the operator, and what Terraform shows the runner. */
async function addRunnerSecrets({ kit, plants }: Site, pod: string): Promise<void> {
  const script = 'cat /signalbox/api/token; echo; cat /proc/[0-9]*/environ | tr "\\0" "\\n"';
  const [token = '', ...variables] = (await kit.kubectl(['exec', pod, '--', 'sh', '-c', script])).split('\n');
  const value = (name: string) =>
    variables.find((line) => line.startsWith(`${name}=`))?.slice(name.length + 1) ?? '';
  plants.add('token of a runner', signatureOf(token), []);
  plants.add('password of the state', value('TF_HTTP_PASSWORD'), []);
  // It is worth nothing without the token.
  const places = ['jobs', 'pods'].map((plural) => `/registry/${plural}/${kit.namespace}/${pod}`);
  plants.add('grant of a runner', signatureOf(value('SIGNALBOX_GRANT')), places);
}

const CREDENTIALS = 's3-canary';
const BUCKET = 'plans';
const PORT = 18_471;

/**
 * Plans and applies with plans and states in an object store, and plans again when that accepts the credentials no more.
 * The replicas of the operator are replaced, so what they have said until then is looked at before.
 *
 * @returns the good run, what is in the store, and what the replicas before have said
 */
export async function runStored(site: Site): Promise<{ run: WorkflowRun; places: Place[] }> {
  const { kit, plants, host } = site;
  const folder = await mkdtemp(path.join(tmpdir(), 'signalbox-canaries-'));
  const store = { folder, listen: `${host}:${PORT}`, bucket: BUCKET } as const;
  const credentials = { accessKey: 'root', secretKey: newSecret() };
  const before = [...(await containerLogs(site.cluster)), ...(await metrics(kit))];
  let child = await startObjectStore({ ...store, credentials });
  try {
    const secret = { 'secret-access-key': credentials.secretKey };
    const open = { 'access-key-id': credentials.accessKey };
    await createKit(site.cluster, NAMESPACE).apply(plants.secret(NAMESPACE, CREDENTIALS, { secret, open }));
    await site.install({
      's3.endpoint': `http://${host}:${PORT}`,
      's3.bucket': BUCKET,
      's3.credentialsSecret': CREDENTIALS,
    });
    const run = await kit.runWorkflow('stored', storedWorkflow, {}, LIMIT_MS);
    await end(child);
    child = await startObjectStore({ ...store, credentials: { ...credentials, secretKey: newSecret() } });
    await runRefused(site);
    return { run, places: [...before, ...(await files(folder))] };
  } finally {
    await end(child);
    await rm(folder, { recursive: true });
  }
}

async function runRefused(site: Site): Promise<void> {
  await site.kit.applyWorkflow('refused-by-store', refusedByStore);
  const run = await site.kit.startRun('refused-by-store');
  await waitFor('the word of the operator that the store refuses it', LIMIT_MS, async () => {
    const logs = (await containerLogs(site.cluster)).filter(({ where }) => where.includes(NAMESPACE));
    return logs.some(({ content }) => content.includes('StoreRefused')) || undefined;
  });
  await cancelNow(site, run);
  await finished(site, run);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

/** Puts the control into a ConfigMap, in all spellings, and waits until etcd has told of it, and so of all before. */
export async function showControl({ kit, etcd }: Site, { text, configMap }: Control): Promise<void> {
  const data = allSpellings(text).map(([, content], index) => [`spelling-${index}`, content.toString()]);
  await kit.apply({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: configMap },
    data: Object.fromEntries(data),
  });
  await etcd.reached(`/registry/configmaps/${kit.namespace}/${configMap}`);
}
