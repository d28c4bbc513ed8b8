import { once } from 'node:events';
import { type Logger, pino } from 'pino';
import { startAdmission } from './admission-services.ts';
import { type Config, ConfigError, readConfig } from './config.ts';
import { type Attempts, createAttempts } from './controllers/attempts.ts';
import { type CallAttempts, createCallAttempts } from './controllers/call-attempts.ts';
import { createCallContexts } from './controllers/call-context.ts';
import { type Cluster, createCluster } from './controllers/cluster.ts';
import { createJobAttempts } from './controllers/job-attempts.ts';
import { createLiveMessages, type LiveMessages } from './controllers/live-messages.ts';
import type { Runners } from './controllers/program-context.ts';
import { createProjectController } from './controllers/project-controller.ts';
import { projectStatesOf } from './controllers/project-states.ts';
import { createRevisions } from './controllers/revisions.ts';
import { createRunAttempts } from './controllers/run-attempts.ts';
import { createRunController } from './controllers/run-controller.ts';
import { createWorkflowController } from './controllers/workflow-controller.ts';
import { createMetrics, type Metrics } from './gateway/metrics.ts';
import { CertificateError } from './gateway/certificate-error.ts';
import { startGateway } from './gateway/server.ts';
import { loadConnection } from './kube/config.ts';
import { createEventRecorder, EVENTS } from './kube/events.ts';
import { createElector, LEASES } from './kube/lease.ts';
import { resourceClient } from './kube/resource.ts';
import { LeaseLostError } from './kube/term.ts';
import { createServerTime } from './kube/server-time.ts';
import { createTransport, type FinishedRequest, type Transport, withFence } from './kube/transport.ts';
import { createWorkQueue, type ProcessedWork } from './kube/work-queue.ts';
import { type RunnerServices, startRunnerServices } from './runner-services.ts';
import { assertSupported } from './controllers/support.ts';
import { stateMain } from './state-main.ts';
import { StorageError } from './storage/errors.ts';
import { KeyError } from './storage/keys.ts';
import { StateCommandError } from './storage/state-command.ts';
import { createVoteReader, type VoteReader } from './controllers/votes.ts';
import { createEgress, type Egress } from './steps/egress.ts';
import { createStepTypes, type Images } from './steps/index.ts';
import { createSeals, type Seals } from './storage/seals.ts';

/** Most runs worked on at once. They wait for the API server most of the time. */
const RUN_WORKERS = 64;

/** The workflow controller is there to report, and must not keep runs waiting. */
const WORKFLOW_WORKERS = 4;

/** As that one. */
const PROJECT_WORKERS = 4;

/** How long calls may take to end when the operator is stopped; Kubernetes kills it after 30 s. */
const CALL_GRACE_MS = 5000;

async function main(): Promise<void> {
  const config = readConfig(process.argv.slice(2), process.env);
  const log = pino({ level: config['log-level'], base: null, timestamp: pino.stdTimeFunctions.isoTime });
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      log.info({ signal }, 'stopping');
      stop.abort();
    });
  }

  const metrics = createMetrics();
  const connection = await loadConnection();
  const time = createServerTime({
    onCorrected: (offsetMs) => log.warn({ offsetMs }, 'going by the clock of the API server'),
  });
  metrics.gauge(
    'signalbox_clock_offset_seconds',
    'What is added to the clock of this machine to have that of the API server; 0 while it is right.',
    () => time.offsetMs / 1000,
  );
  const onFinished = (request: FinishedRequest) => {
    metrics.onRequest(request);
    time.hear(request);
  };
  const options = { userAgent: 'signalbox', onFinished };
  const transport = createTransport(connection, options);
  // A renewal must not stand in line behind the starts of a thousand steps.
  const leaseTransport = createTransport(connection, { ...options, connections: 1 });
  await assertSupported(transport);
  await operate(config, { log, metrics, transport, leaseTransport, now: time.now, stop });
  await Promise.all([transport.close(), leaseTransport.close()]);
  log.info('stopped');
}

interface Surroundings {
  log: Logger;
  metrics: Metrics;
  transport: Transport;
  leaseTransport: Transport;
  /** Milliseconds since the epoch, by the API server. */
  now: () => number;
  stop: AbortController;
}

/** Watches from the start, so that a replica that takes over knows everything; works only while it holds the lease. */
async function operate(config: Config, surroundings: Surroundings): Promise<void> {
  const { log, metrics, transport, leaseTransport, now, stop } = surroundings;
  const elector = createElector({
    client: resourceClient(leaseTransport, LEASES),
    namespace: config['lease-namespace'],
    name: config['lease-name'],
    identity: config.identity,
    wallClock: now,
    onError: (error) => log.warn({ err: error }, 'lease not renewed'),
  });
  const fenced = withFence(transport, elector.isLeader);
  const cluster = createCluster({
    transport: fenced,
    ...(config.namespace ? { namespace: config.namespace } : {}),
    now,
    onError: (error, at) => log.warn({ err: error, ...at }, 'watch interrupted'),
  });
  let started = false;
  let synced = false;
  let services: RunnerServices | undefined;
  const notReady = () => {
    if (stop.signal.aborted) return 'stopping';
    if (!started) return 'starting: the log says what it waits for';
    if (!synced) return 'reading the cluster';
    return services?.canServe() === false ? 'the certificate has ended' : undefined;
  };
  const gateway = await startGateway({ port: config['http-port'], metrics, notReady });
  const means = { log, metrics, cluster, transport, now };
  services = await startRunnerServices(config, { ...means, stopped: stop.signal });
  const admission = services && (await startAdmission(config, { ...means, services }));
  started = true;
  const egress = createEgress({ allow: config['http-allow'], deny: config['http-deny'] });
  const { isLeader } = elector;
  const controllers = createControllers(config, {
    ...means,
    transport: fenced,
    egress,
    isLeader,
    services,
  });
  const served = new AbortController();
  // Only now: whoever subscribes later does not hear of what is there already.
  const watching = [cluster, services, admission].flatMap((one) => one?.run(served.signal) ?? []);
  // Others take the work over at once; whoever asks is answered for a little longer.
  const drained = aborted(stop.signal).then(() => (synced ? admission?.drain() : undefined));
  Promise.all([cluster.synced, admission?.settled]).then(
    () => {
      synced = true;
      const { runs, workflows } = cluster;
      log.info({ port: gateway.port, runs: runs.store.size, workflows: workflows.store.size }, 'ready');
    },
    () => undefined,
  );
  // It goes on trying until it is asked to stop.
  const isRead = Promise.all([cluster.synced, services?.storage.known.synced]).then(
    () => true,
    () => false,
  );

  const lead = async (term: AbortSignal) => {
    const isStopped = aborted(term).then(() => true);
    if (await Promise.race([isStopped, isRead.then((read) => !read)])) return;
    log.info({ lease: config['lease-name'] }, 'leading');
    await Promise.all([controllers(term), services?.sweep(term)]);
    // What this process remembers of its own writes is not the whole truth any more: begin anew.
    if (!stop.signal.aborted) throw new Error('the lease was lost');
  };
  try {
    await elector.run({ signal: stop.signal, lead });
  } finally {
    stop.abort();
    await drained;
    served.abort();
    await Promise.all([...watching, gateway.close(), egress.close(), admission?.close(), services?.close()]);
  }
}

/** What controllers work with. */
interface Means extends Pick<Surroundings, 'log' | 'metrics' | 'transport' | 'now'> {
  cluster: Cluster;
  egress: Egress;
  isLeader: () => boolean;
  services: RunnerServices | undefined;
}

/** Wires the controllers to their queues. The result runs them until its signal is aborted. */
function createControllers(config: Config, means: Means): (signal: AbortSignal) => Promise<void> {
  const { log, metrics, transport, cluster, now } = means;
  const queueOf = (controller: string) => {
    const queue = createWorkQueue({ onProcessed: (work) => report(controller, work) });
    metrics.gauge(
      `signalbox_${controller}_queue_depth`,
      `Keys waiting for the ${controller} controller.`,
      () => queue.depth,
    );
    return queue;
  };
  const report = (controller: string, work: ProcessedWork) => {
    metrics.onWork(controller, work);
    if (!work.failure) return;
    const { error, retryMs } = work.failure;
    log.warn({ controller, key: work.key, retryMs, err: error }, 'reconcile failed');
  };
  metrics.gauge('signalbox_runs', 'WorkflowRuns in the cluster.', () => cluster.runs.store.size);

  const events = createEventRecorder({
    client: resourceClient(transport, EVENTS),
    controller: 'signalbox.dev/operator',
    instance: config.identity,
    wallClock: now,
    onError: (error) => log.debug({ err: error }, 'event not recorded'),
  });
  const runQueue = queueOf('run');
  const workflowQueue = queueOf('workflow');
  const votes = createVoteReader({ seals: sealsOf(means.services), events });
  const { attempts, calls, live } = wireAttempts(config, means, votes, (key) => runQueue.add(key));
  const revisions = createRevisions(cluster, sealsOf(means.services));
  const reconcileRun = createRunController({
    cluster,
    queue: runQueue,
    attempts,
    revisions,
    events,
    live,
    sealing: sealsOf(means.services),
    forgetPlans: async (runUid) => means.services?.storage.releaseRun(runUid),
    limits: { perNamespace: config['max-active-runs-per-namespace'], cluster: config['max-active-runs'] },
    now,
  });
  const reconcileWorkflow = createWorkflowController({
    cluster,
    queue: workflowQueue,
    events,
    sealing: sealsOf(means.services),
    onScheduled: (outcome) => metrics.onTrigger({ type: 'schedule', ...outcome }),
    now,
  });
  const projectQueue = queueOf('project');
  const reconcileProject = createProjectController({
    cluster,
    queue: projectQueue,
    events,
    images: imagesOf(config),
    states: projectStatesOf(means.services?.storage),
    now,
  });
  return async (signal) => {
    const drained = new AbortController();
    const draining = aborted(signal)
      // Whoever has lost the lease must not go on.
      .then(() => calls.drain(signal.reason instanceof LeaseLostError ? 0 : CALL_GRACE_MS))
      .finally(() => drained.abort());
    await Promise.all([
      draining,
      // It writes what comes of the calls until then.
      runQueue.run({ workers: RUN_WORKERS, process: reconcileRun, signal: drained.signal }),
      workflowQueue.run({ workers: WORKFLOW_WORKERS, process: reconcileWorkflow, signal }),
      projectQueue.run({ workers: PROJECT_WORKERS, process: reconcileProject, signal }),
    ]);
    await events.close();
  };
}

/** @param onChanged told the key of a run that has to be looked at again */
function wireAttempts(
  config: Config,
  { metrics, cluster, egress, isLeader, services, now }: Means,
  votes: VoteReader,
  onChanged: (key: string) => void,
): { attempts: Attempts; calls: CallAttempts; live: LiveMessages } {
  const stepTypes = createStepTypes({ slackApiUrl: config['slack-api-url'] });
  const contextOf = createCallContexts({ cluster, egress, isLeader, now });
  const live = createLiveMessages({ stepTypes, contextOf, isLeader });
  const calls = createCallAttempts({
    stepTypes,
    contextOf,
    beforeUpdate: live.settled,
    isLeader,
    onEnded: onChanged,
    now,
  });
  metrics.gauge('signalbox_calls_open', 'Calls of steps that are being made.', () => calls.open);
  metrics.gauge('signalbox_calls_waiting', 'Calls of steps that wait for their turn.', () => calls.waiting);
  const executors = {
    Job: createJobAttempts(cluster, { images: imagesOf(config), runners: () => runnersOf(services), now }),
    Call: calls,
    Run: createRunAttempts(cluster, onChanged, now, sealsOf(services)),
  };
  const attempts = createAttempts(executors, votes);
  return { attempts, calls, live };
}

/** How runners reach the operator; the certificates to trust are those of the moment. */
function runnersOf(services: RunnerServices | undefined): ReturnType<Runners> {
  if (!services) return undefined;
  const { api, storage } = services;
  return { url: api.url, ca: api.ca(), sign: storage.grants.sign };
}

const sealsOf = (services: RunnerServices | undefined): Seals | undefined =>
  services && createSeals(services.keys);

const imagesOf = (config: Config): Images => ({
  script: config['script-image'],
  opentofu: config['opentofu-image'],
  terraform: config['terraform-image'],
  ansible: config['ansible-image'],
});

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}

const [command, ...rest] = process.argv.slice(2);
const work = command === 'state' ? stateMain(rest) : main();
work.catch((error: unknown) => {
  const isForPeople = [ConfigError, StateCommandError, StorageError, KeyError, CertificateError].some(
    (kind) => error instanceof kind,
  );
  const message = isForPeople ? (error as Error).message : error;
  console.error(message);
  process.exitCode = 1;
  // Nothing may keep a process alive that has ended its work.
  setTimeout(() => process.exit(1), 1000).unref();
});
