import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Config } from './config.ts';
import type { Cluster } from './controllers/cluster.ts';
import { unlessNotFound } from './controllers/starts.ts';
import { createRegistration, type Registration } from './gateway/admission/registration.ts';
import { createBallot } from './gateway/admission/ballot.ts';
import { type AnsweredReview, startAdmissionServer } from './gateway/admission/server.ts';
import { type ClientAuthorities, openClientAuthorities } from './gateway/client-authorities.ts';
import type { Metrics } from './gateway/metrics.ts';
import { openTeams } from './gateway/teams-file.ts';
import { readMetadata } from './kube/metadata.ts';
import { keyOf } from './kube/store.ts';
import type { Transport } from './kube/transport.ts';
import type { RunnerServices } from './runner-services.ts';
import { USE_LABEL } from './steps/labels.ts';
import { createSeals } from './storage/seals.ts';
import { SECRETS } from './storage/secret-blobs.ts';

/** How long somebody who applies a workflow waits for a warning. */
const SECRET_MS = 2000;

/** What the API server asks before it writes our objects. */
export interface AdmissionServices {
  /** Keeps the configurations of the webhooks, until the signal is aborted. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves when the API server knows whom to trust, as far as there are webhooks. */
  settled: Promise<void>;
  /** Goes on answering until the API server has learned of others to ask. */
  drain(): Promise<void>;
  close(): Promise<void>;
}

interface Means {
  log: Logger;
  metrics: Metrics;
  cluster: Cluster;
  /** Not held back by the lease: every replica serves. */
  transport: Transport;
  /** Milliseconds since the epoch, by the API server. */
  now: () => number;
  /** Whose certificate and keys it shares. */
  services: Pick<RunnerServices, 'serving' | 'keys'>;
}

/**
 * A pod that is about to end is taken out of the Service by controllers that hear of it when the pod does. Until all of
 * them have, requests come, and each that finds nobody is a write that is refused.
 */
const DRAIN_MS = 5_000;

/** Starts them on the port of the settings; without one there are none. */
export async function startAdmission(config: Config, means: Means): Promise<AdmissionServices | undefined> {
  const port = config['admission-port'];
  if (port === undefined) return undefined;
  const { log, cluster, transport, now } = means;
  const { serving, keys } = means.services;
  const teams = await openTeams(config['teams-file']);
  const clients = await clientsOf(config, means);
  const server = await startAdmissionServer({
    port,
    serving,
    clients,
    transport,
    ballot: createBallot({
      sealing: createSeals(keys),
      teams: teams.refresh,
      now,
    }),
    neighbours: {
      workflowSpec: (namespace, name) => cluster.workflows.store.get(keyOf({ namespace, name }))?.spec,
      async readWorkflowSpec(namespace, name) {
        const found = await unlessNotFound(cluster.workflows.client.get({ namespace, name }));
        return found?.spec;
      },
      hasProject: (namespace, name) => cluster.projects.store.get(keyOf({ namespace, name })) !== undefined,
      async findSecret(namespace, name) {
        const signal = AbortSignal.timeout(SECRET_MS);
        const metadata = await readMetadata(transport, SECRETS, { namespace, name }, { signal });
        return metadata && { isForUse: metadata.labels?.[USE_LABEL] === 'true' };
      },
    },
    onAnswered: (review) => record(review, means),
  });
  const registration = registrationOf(config, means);
  log.info({ admissionPort: server.port }, 'admission is on');
  const run = async (signal: AbortSignal) =>
    void (await Promise.all([registration.run(signal), clients?.run(signal)]));
  return {
    run,
    settled: registration.settled,
    async drain() {
      server.drain();
      await sleep(DRAIN_MS);
    },
    close: server.close,
  };
}

/** Whose certificates the API server has to show. By itself it has none. */
async function clientsOf(config: Config, { log }: Means): Promise<ClientAuthorities | undefined> {
  const file = config['admission-client-ca-file'];
  if (file === undefined) return undefined;
  const onError = (error: unknown) => log.warn({ err: error }, 'authorities of callers not taken');
  const clients = await openClientAuthorities({ file, onError });
  log.info({ file }, 'admission asks callers for a certificate');
  return clients;
}

/** Without a configuration to keep, whoever made it has said whom to trust, and there is nothing to do. */
function registrationOf(config: Config, { log, transport, services: { serving } }: Means): Registration {
  const name = config['admission-configuration'];
  if (name === undefined) return { run: async () => {}, settled: Promise.resolve() };
  return createRegistration({
    transport,
    name,
    serving,
    onError: (error) => log.warn({ err: error }, 'webhook configuration not kept'),
  });
}

function record(
  { webhook, seconds, request, verdict, failure }: AnsweredReview,
  { log, metrics }: Means,
): void {
  const result = failure ? 'error' : verdict?.allowed ? 'allowed' : 'denied';
  metrics.onReview({ webhook, result, seconds });
  if (failure) {
    const { reason, message } = failure;
    log.warn({ webhook, reason, message, err: failure.cause }, 'review failed');
  } else if (request && verdict && !verdict.allowed) {
    const { namespace, object, operation, userInfo } = request;
    const { name } = object.metadata;
    const { reason, message } = verdict;
    log.info({ webhook, namespace, name, operation, user: userInfo.username, reason, message }, 'refused');
  }
}
