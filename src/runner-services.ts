import type { Logger } from 'pino';
import type { Config } from './config.ts';
import type { Cluster } from './controllers/cluster.ts';
import { createRunnerPods } from './controllers/runner-pods.ts';
import type { Metrics } from './gateway/metrics.ts';
import { type AnsweredRequest, type RunnerApi, startRunnerApi } from './gateway/runner-api.ts';
import { endOf } from './gateway/certificates.ts';
import type { Serving } from './gateway/serving.ts';
import { sleep, systemClock } from './kube/clock.ts';
import type { Transport } from './kube/transport.ts';
import { openServing, runnerApiNames } from './serving-settings.ts';
import { openStorage } from './storage-settings.ts';
import type { Keys } from './storage/keys.ts';
import type { Storage } from './storage/storage.ts';

/** What the runners in the pods of steps need: an API to call, and a place where what they hand over is kept. */
export interface RunnerServices {
  keys: Keys;
  storage: Storage;
  api: RunnerApi;
  /** What every server of the operator serves with. */
  serving: Serving;
  /** Whether its certificate holds. */
  canServe(): boolean;
  /** Watches states, keys and certificates, until the signal is aborted. */
  run(signal: AbortSignal): Promise<void>;
  /** Removes what is left over and renews what is outdated, from time to time. For the leader alone. */
  sweep(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

interface Means {
  log: Logger;
  metrics: Metrics;
  cluster: Cluster;
  /** Not held back by the lease: every replica serves, and each write says which version it is based on. */
  transport: Transport;
  /** Milliseconds since the epoch, by the API server. */
  now: () => number;
  /** Ends the waiting for what is not there yet. */
  stopped: AbortSignal;
}

const SWEEP_MS = 10 * 60_000;
/** A new leader lets others go first. */
const FIRST_SWEEP_MS = 60_000;

/** Starts them as the settings say; without keys there are none. */
export async function startRunnerServices(config: Config, means: Means): Promise<RunnerServices | undefined> {
  const { log, metrics, cluster, transport, now } = means;
  const onError = (error: unknown) => log.warn({ err: error }, 'storage trouble');
  const opened = await openStorage(config, transport, onError);
  if (!opened) {
    log.info('the runner API is off: there are no keys (--keys-dir), so that no step can work on a Project');
    return undefined;
  }
  const { storage, keys } = opened;
  const serving = await openServing(config, means);
  const api = await startRunnerApi({
    port: config['runner-api-port'],
    names: runnerApiNames(config),
    serving,
    storage,
    transport,
    findPod: createRunnerPods(cluster, now),
    now,
    onAnswered(answered) {
      metrics.onRunnerRequest(answered);
      logAnswer(log, answered);
    },
  });
  metrics.gauge('signalbox_states', 'States of Terraform that are kept.', () => storage.known.size);
  log.info({ url: api.url, writeKey: keys.ring().write.id }, 'runner API is on');
  return {
    keys,
    storage,
    api,
    serving,
    canServe: () => endOf(serving.current().cert) > Date.now(),
    run: async (signal) =>
      void (await Promise.all([storage.known.run(signal), keys.watch(signal), serving.run(signal)])),
    sweep: (signal) => sweepUntil(signal, storage, means),
    close: async () => {
      await api.close();
      await storage.close();
    },
  };
}

async function sweepUntil(signal: AbortSignal, storage: Storage, { log, cluster }: Means): Promise<void> {
  for (let wait = FIRST_SWEEP_MS; !signal.aborted; wait = SWEEP_MS) {
    await sleep(systemClock, wait * (0.5 + Math.random() / 2), signal).catch(() => {});
    if (signal.aborted) return;
    const known = new Set(cluster.runs.store.list().map(({ uid }) => uid));
    await storage.sweep(known, signal).then(
      (swept) => log.info(swept, 'storage swept'),
      (error: unknown) => log.warn({ err: error }, 'storage not swept'),
    );
  }
}

function logAnswer(log: Logger, { route, status, caller, refusal }: AnsweredRequest): void {
  if (!refusal) return;
  const { namespace, run, row, pod } = caller?.grant ?? {};
  const fields = { route, status, reason: refusal.reason, namespace, run: run?.name, step: row, pod };
  if (status >= 500) log.warn({ ...fields, err: refusal.cause }, 'runner API request failed');
  else log.info(fields, 'runner API request refused');
}
