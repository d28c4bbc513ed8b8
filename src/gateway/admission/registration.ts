import type { ValidatingWebhookConfiguration } from 'kubernetes-types/admissionregistration/v1.d.ts';
import { createInformer } from '../../kube/informer.ts';
import { type ResourceType, resourceClient } from '../../kube/resource.ts';
import type { Transport } from '../../kube/transport.ts';
import type { Serving } from '../serving.ts';

// The API server checks the certificate of a webhook with the authorities that stand in its configuration. The operator
// is its own authority, so it writes them there, and nothing else of the configuration is its own.

const typed = (kind: string, plural: string): ResourceType => ({
  group: 'admissionregistration.k8s.io',
  version: 'v1',
  kind,
  plural,
  namespaced: false,
});

const TYPES = [
  typed('ValidatingWebhookConfiguration', 'validatingwebhookconfigurations'),
  typed('MutatingWebhookConfiguration', 'mutatingwebhookconfigurations'),
];

const FIELD_MANAGER = 'signalbox-admission';

/** Both kinds are the same in what is used of them. */
type Configuration = ValidatingWebhookConfiguration;

export interface RegistrationOptions {
  transport: Transport;
  /** Of both configurations. */
  name: string;
  serving: Pick<Serving, 'current' | 'subscribe'>;
  onError: (error: unknown) => void;
}

/** Keeps the authorities to trust in the configurations of the webhooks. */
export interface Registration {
  /** Watches the configurations, and mends them, until the signal is aborted. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves when both have been looked at once. */
  settled: Promise<void>;
}

/** A configuration, as far as it is of interest. */
interface View {
  namespace: string;
  name: string;
  resourceVersion: string;
  /** By name of the webhook. */
  authorities: ReadonlyMap<string, string>;
}

export function createRegistration(options: RegistrationOptions): Registration {
  const kept = TYPES.map((type) => keep(type, options));
  return {
    run: async (signal) => void (await Promise.all(kept.map(({ run }) => run(signal)))),
    settled: Promise.all(kept.map(({ settled }) => settled)).then(() => undefined),
  };
}

function keep(type: ResourceType, { transport, name, serving, onError }: RegistrationOptions) {
  const client = resourceClient<Configuration>(transport, type);
  const informer = createInformer<Configuration, View, never>({
    client,
    project: viewOf,
    indexers: {},
    selection: { fieldSelector: `metadata.name=${name}` },
    onError,
  });

  async function mend(): Promise<void> {
    const caBundle = Buffer.from(serving.current().ca).toString('base64');
    for (const { authorities } of informer.store.list()) {
      const webhooks = [...authorities.keys()];
      if (webhooks.every((webhook) => authorities.get(webhook) === caBundle)) continue;
      const wanted = { metadata: { name }, webhooks: webhooks.map((one) => trusting(one, caBundle)) };
      await client.apply(wanted as Configuration, { fieldManager: FIELD_MANAGER });
    }
  }

  const tryToMend = () => mend().catch(onError);
  informer.store.subscribe(() => void tryToMend());
  serving.subscribe(() => void tryToMend());
  return { run: informer.run, settled: informer.synced.then(tryToMend) };
}

const trusting = (name: string, caBundle: string) => ({ name, clientConfig: { caBundle } });

function viewOf({ metadata = {}, webhooks = [] }: Configuration): View {
  const { name = '', resourceVersion = '' } = metadata;
  const authorities = webhooks.map(({ name: webhook, clientConfig }) => {
    return [webhook, clientConfig.caBundle ?? ''] as const;
  });
  return { namespace: '', name, resourceVersion, authorities: new Map(authorities) };
}
