import type { StartEffect } from '../engine/model.ts';
import { outcomeSoFar } from '../engine/summary.ts';
import { ApiError, ConnectionError } from '../kube/errors.ts';
import type { KubeObject, ResourceClient } from '../kube/resource.ts';
import type { Egress } from '../steps/egress.ts';
import { USE_LABEL } from '../steps/labels.ts';
import { CallError, type CallContext, type KeyReference, type RunFacts } from '../steps/step-type.ts';
import type { Cluster } from './cluster.ts';
import type { Revision } from './revisions.ts';
import { unlessNotFound } from './starts.ts';
import { type RunView, triggerOf } from './views.ts';

export interface CallContextOptions {
  cluster: Pick<Cluster, 'secrets' | 'configMaps'>;
  egress: Egress;
  /** Asked before each request, as a call may make several. */
  isLeader: () => boolean;
  /** Milliseconds since the epoch. */
  now: () => number;
}

/** Makes what calls have of the world. Secrets are read when a call asks for them, and kept nowhere. */
export function createCallContexts({ cluster, egress, isLeader, now }: CallContextOptions) {
  const { secrets, configMaps } = cluster;
  const fenced: Egress = {
    ...egress,
    async request(request) {
      if (isLeader()) return egress.request(request);
      throw new CallError('NotLeader', 'The request was not sent: this operator lost its lease.');
    },
  };

  async function secret(namespace: string, { name, key }: KeyReference): Promise<string> {
    const found = await read('Secret', secrets, namespace, name);
    if (found.metadata?.labels?.[USE_LABEL] !== 'true') {
      throw new CallError(
        'SecretNotAllowed',
        `Secret ${name} is not there for steps to use: allow it with kubectl label secret ${name} ${USE_LABEL}=true`,
      );
    }
    return Buffer.from(valueOf('Secret', name, key, found.data), 'base64').toString();
  }

  async function configMap(namespace: string, { name, key }: KeyReference): Promise<string> {
    const found = await read('ConfigMap', configMaps, namespace, name);
    return valueOf('ConfigMap', name, key, found.data);
  }

  return (
    run: RunView,
    effect: Pick<StartEffect, 'id' | 'step' | 'evaluate'>,
    revision: Revision,
    signal: AbortSignal,
  ): CallContext => ({
    idempotencyKey: effect.id,
    run: factsOf(run, revision, effect.step),
    signal,
    secret: (reference) => secret(run.namespace, reference),
    configMap: (reference) => configMap(run.namespace, reference),
    evaluate: effect.evaluate,
    egress: fenced,
    now,
  });
}

/** @param row that of the call: of a notification about an approval, it ends in the name of that */
function factsOf(
  { namespace, name, spec, status }: RunView,
  { graph, spec: workflow }: Revision,
  row: string,
): RunFacts {
  const { reason, message, startedAt, finishedAt, steps = [] } = status;
  const about = steps.find((step) => row.endsWith(`/${step.name}`));
  return {
    namespace,
    name,
    workflow: spec.workflowRef.name,
    ...(workflow.environment === undefined ? {} : { environment: workflow.environment }),
    outcome: outcomeSoFar(graph, status),
    ended: finishedAt !== undefined,
    ...(reason === undefined ? {} : { reason }),
    ...(message === undefined ? {} : { message }),
    ...(startedAt === undefined ? {} : { startedAt: Date.parse(startedAt) }),
    ...(finishedAt === undefined ? {} : { finishedAt: Date.parse(finishedAt) }),
    trigger: triggerOf({ spec, status }),
    steps,
    ...(about ? { about } : {}),
  };
}

type Kind = 'Secret' | 'ConfigMap';

async function read<T extends KubeObject>(
  kind: Kind,
  client: ResourceClient<T>,
  namespace: string,
  name: string,
): Promise<T> {
  const found = await unlessNotFound(client.get({ namespace, name })).catch((error: unknown) => {
    if (!(error instanceof ApiError) && !(error instanceof ConnectionError)) throw error;
    throw new CallError(`${kind}Unreadable`, `${kind} ${name} could not be read: ${error.message}`);
  });
  if (found) return found;
  throw new CallError(`${kind}NotFound`, `There is no ${kind} ${name} in namespace ${namespace}.`);
}

function valueOf(kind: Kind, name: string, key: string, data: Record<string, string> = {}): string {
  const value = Object.hasOwn(data, key) ? data[key] : undefined;
  if (value !== undefined) return value;
  const keys = Object.keys(data).join(', ');
  throw new CallError(
    `${kind}KeyNotFound`,
    `${kind} ${name} has no key ${key}. Its keys: ${keys || 'none'}.`,
  );
}
