import { X509Certificate } from 'node:crypto';
import type { Logger } from 'pino';
import type { Config } from './config.ts';
import { endOf } from './gateway/certificates.ts';
import type { Metrics } from './gateway/metrics.ts';
import { CertificateError } from './gateway/certificate-error.ts';
import { openMountedServing } from './gateway/mounted-certificate.ts';
import type { Serving } from './gateway/serving.ts';
import { createServing } from './gateway/serving-certificate.ts';
import { openSignedServing } from './gateway/signed-certificate.ts';
import type { Transport } from './kube/transport.ts';
import { artifactNamespaceOf } from './storage-settings.ts';

interface Means {
  log: Logger;
  metrics: Metrics;
  transport: Transport;
  /** Milliseconds since the epoch, by those who check the certificate. */
  now: () => number;
  /** Ends the waiting for a certificate that somebody else makes. */
  stopped: AbortSignal;
}

/** Names under which pods call the runner API. */
export const runnerApiNames = (config: Config): string[] =>
  config['runner-api-names'].length === 0 ? ['localhost'] : config['runner-api-names'];

/** Opens the certificate that the settings describe: of a folder, one by an authority that was made for it, or one of its own. */
export async function openServing(config: Config, means: Means): Promise<Serving> {
  const { log, metrics } = means;
  const serving = await servingOf(config, means);
  const tell = () => log.info(toldOf(serving), 'serving with this certificate');
  tell();
  serving.subscribe(tell);
  metrics.gauge(
    'signalbox_serving_certificate_expiry_timestamp_seconds',
    'When the certificate ends that the operator serves with, in seconds since the epoch.',
    () => endOf(serving.current().cert) / 1000,
  );
  return serving;
}

function servingOf(config: Config, { log, transport, now, stopped }: Means): Promise<Serving> {
  const names = [...runnerApiNames(config), ...config['admission-names']];
  const folder = config['serving-certificate-dir'];
  const onError = (error: unknown) => {
    const reason = error instanceof CertificateError ? error.reason : undefined;
    log.warn({ reason, err: error }, 'certificate not taken');
  };
  if (folder !== undefined) return openMountedServing({ folder, names, now, onError }, stopped);
  const authority = config['serving-authority-dir'];
  if (authority !== undefined) return openSignedServing({ folder: authority, names, now, onError });
  return createServing({
    transport,
    namespace: artifactNamespaceOf(config),
    name: config['runner-api-secret'],
    names,
    now,
    onError,
  });
}

function toldOf(serving: Serving): object {
  const { serialNumber, issuer, validTo } = new X509Certificate(serving.current().cert);
  return { serialNumber, issuer, validTo };
}
