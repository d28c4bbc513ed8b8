import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ValidatingWebhook } from 'kubernetes-types/admissionregistration/v1.d.ts';
import { type Manifest, render } from '../../chart/helm.ts';
import type { Cluster } from '../../cluster/cluster.ts';
import type { ClusterOptions } from '../../cluster/settings.ts';
import { waitFor } from '../../cluster/wait.ts';
import { createHands, type Hands } from '../../kit/hands.ts';
import { type OperatorProcess, startOperator } from '../../kit/operator-process.ts';
import { type Kubectl, kubectlOf, type Outcome } from '../api/kubectl.ts';
import { bootSimulated } from '../operator/setup.ts';

/** Namespace of the release, as the chart is rendered. */
export const SYSTEM = 'system';
export const TEAM = 'team-a';
export const RELEASE = 'demo-signalbox';
const LIMIT_MS = 60_000;
/** How long requests go to a replica that is about to end, or dead. */
const UNHEARD_MS = 2_000;

/** People, by impersonation: their rights are those of the chart's roles and of Kubernetes' own. */
export const PEOPLE = {
  /** Writes workflows. */
  ada: { name: 'ada@example.com', groups: ['developers'], roles: ['edit'] },
  /** In the team that is asked. */
  jane: { name: 'jane@example.com', groups: ['on-call'], roles: [`${RELEASE}-approver`] },
  john: { name: 'john@example.com', groups: ['on-call'], roles: [`${RELEASE}-approver`] },
  /** May vote, and nobody asks him. */
  otto: { name: 'otto@example.com', groups: ['developers'], roles: [`${RELEASE}-approver`] },
  /** Starts and stops runs. */
  olga: { name: 'olga@example.com', groups: ['developers'], roles: [`${RELEASE}-operator`] },
  vera: { name: 'vera@example.com', groups: ['on-call'], roles: [`${RELEASE}-viewer`] },
  /** Has all that a careless administrator of the namespace gives away: everything of ours, status and own verbs too. */
  max: { name: 'max@example.com', groups: ['on-call'], roles: ['signalbox-everything'] },
  /** Writes workflows, and has no right to pods, service accounts or Secrets. */
  paul: { name: 'paul@example.com', groups: ['developers'], roles: [`${RELEASE}-author`] },
  /** Writes workflows and may create pods, and has no right to service accounts or Secrets. */
  petra: { name: 'petra@example.com', groups: ['developers'], roles: [`${RELEASE}-author`, 'pods-only'] },
  /** Writes workflows and may create pods, and no runs. */
  wanda: { name: 'wanda@example.com', groups: ['developers'], roles: ['workflows-only', 'pods-only'] },
  /** The administrator of the cluster. */
  root: { name: 'admin', groups: ['system:masters'], roles: [] },
} as const;
export type Person = keyof typeof PEOPLE;

/** How an operator is started beside the flags of its own. */
export interface Start {
  nodeFlags?: readonly string[];
  /** @default that from source */
  program?: string;
}

/** A cluster with the chart's webhooks, policies and roles, and operators that serve them. */
export interface AdmissionSite extends AsyncDisposable {
  cluster: Cluster;
  hands: Hands;
  /** kubectl in the namespace of the team, as somebody. */
  as(person: Person): Kubectl;
  /** Starts an operator, which serves from then on. */
  start(...flags: string[]): Promise<OperatorProcess>;
  /** Starts one with flags for Node too, or another program. */
  startWith(start: Start, ...flags: string[]): Promise<OperatorProcess>;
  /** Ends an operator, which is sent requests for a while yet, as the Service of a cluster does until it has heard. */
  ends(operator: OperatorProcess, signal: NodeJS.Signals): Promise<void>;
  /** Puts the chart's webhooks, and its policy, into the cluster, or takes them out of it. */
  webhooks(how: 'apply' | 'delete', kinds?: readonly string[]): Promise<void>;
  /** Lets go of the webhook's port as if no operator were there, or goes on. */
  reachable(is: boolean): void;
  /** Authority of what the API server shows to webhooks, where the cluster was asked for that. */
  readonly webhooksAuthority: string;
  /** Sends everything to one operator, or to all again. */
  only(operator?: OperatorProcess): void;
  /** The port of a replica. */
  readonly ports: readonly number[];
}

export const CLUSTER_KINDS = ['ServiceAccount', 'ClusterRole', 'ClusterRoleBinding', 'Role', 'RoleBinding'];
export const WEBHOOKS = ['ValidatingWebhookConfiguration', 'MutatingWebhookConfiguration'];
export const ADMISSION_KINDS = [...WEBHOOKS, 'ValidatingAdmissionPolicy', 'ValidatingAdmissionPolicyBinding'];

/**
 * @param port of the way to the webhooks; the replicas listen on those after it
 * @param options further ones of the cluster
 */
export async function bootAdmission(
  name: string,
  port: number,
  options: ClusterOptions = {},
): Promise<AdmissionSite> {
  await using stack = new AsyncDisposableStack();
  const { cluster, load, ...plane } = await bootSimulated({ name, audit: true, ...options });
  stack.defer(async () => {
    await load.close();
    await plane[Symbol.asyncDispose]();
  });
  const root = kubectlOf(cluster.kubectl, cluster.kubeconfig);
  const must = async (args: readonly string[], input = '') => {
    const { ok, text } = await root(args, input);
    if (!ok) throw new Error(text);
    return text;
  };
  const folder = await mkdtemp(path.join(tmpdir(), 'admission-'));
  stack.defer(() => rm(folder, { recursive: true }));
  await writeFile(path.join(folder, 'k1'), randomBytes(32));
  const teams = { platform: { users: [], groups: ['on-call'] } };
  const teamsFile = path.join(folder, '..', `${path.basename(folder)}.json`);
  await writeFile(teamsFile, JSON.stringify(teams));
  stack.defer(() => rm(teamsFile));

  const objects = (await render({ teams })).map((object) => atUrl(object, port));
  const ofKinds = (kinds: readonly string[]) => listOf(objects.filter(({ kind }) => kinds.includes(kind)));
  for (const namespace of [SYSTEM, TEAM]) await must(['create', 'namespace', namespace]);
  await must(['apply', '--server-side', '-f', '-'], JSON.stringify(ofKinds(CLUSTER_KINDS)));
  await must(['apply', '-f', '-'], JSON.stringify(listOf(rightsOfPeople())));
  const webhooks = async (how: 'apply' | 'delete', kinds: readonly string[] = ADMISSION_KINDS) =>
    void (await must(
      how === 'apply' ? ['apply', '--server-side', '-f', '-'] : ['delete', '--ignore-not-found', '-f', '-'],
      JSON.stringify(ofKinds(kinds)),
    ));
  await webhooks('apply');
  const kubeconfig = path.join(folder, '..', `${path.basename(folder)}.kubeconfig`);
  stack.defer(() => rm(kubeconfig));
  const token = (await must(['create', 'token', RELEASE, '-n', SYSTEM, '--duration=24h'])).trim();
  await writeFile(kubeconfig, JSON.stringify(await kubeconfigOf(cluster, token)));

  const ports: number[] = [];
  const portOf = new Map<OperatorProcess, number>();
  let single: number | undefined;
  const way = await startWay(port, () => (single === undefined ? ports : [single]));
  stack.defer(() => way.close());
  const hands = stack.use(await createHands(cluster, TEAM));

  const kept = stack.move();
  let last = port;
  async function startWith({ program, nodeFlags }: Start, ...flags: string[]): Promise<OperatorProcess> {
    const own = (last += 1);
    const settings = [
      `--keys-dir=${folder}`,
      `--teams-file=${teamsFile}`,
      `--lease-namespace=${SYSTEM}`,
      `--lease-name=${RELEASE}`,
      '--runner-api-port=0',
      `--runner-api-secret=${RELEASE}-runner-api-tls`,
      `--admission-port=${own}`,
      '--admission-names=127.0.0.1',
      // As in the chart: whoever makes the certificate says whom to trust.
      ...(flags.some((flag) => flag.startsWith('--serving-certificate-dir='))
        ? []
        : [`--admission-configuration=${RELEASE}`]),
      ...flags,
    ];
    const operator = startOperator({ kubeconfig }, settings, program, nodeFlags);
    kept.defer(() => operator.stop('SIGKILL'));
    await waitFor('the operator', LIMIT_MS, () => {
      if (operator.log().includes('"msg":"ready"')) return true;
      throw new Error(operator.log().slice(-2000));
    });
    ports.push(own);
    portOf.set(operator, own);
    return operator;
  }

  async function ends(operator: OperatorProcess, signal: NodeJS.Signals): Promise<void> {
    const ended = operator.stop(signal);
    await sleep(UNHEARD_MS);
    ports.splice(ports.indexOf(portOf.get(operator) ?? 0), 1);
    await ended;
  }

  return {
    cluster,
    hands,
    ports,
    webhooksAuthority: path.join(cluster.folder, 'certificates/webhooks-ca.crt'),
    start: (...flags) => startWith({}, ...flags),
    startWith,
    ends,
    webhooks,
    reachable: way.reachable,
    only(operator) {
      single = operator && portOf.get(operator);
      // The API server keeps its connections otherwise.
      way.reachable(false);
      way.reachable(true);
    },
    as: (person) => (args, input) => root(['-n', TEAM, ...identityOf(person), ...args], input),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

function identityOf(person: Person): string[] {
  const { name, groups } = PEOPLE[person];
  if (person === 'root') return [];
  return [`--as=${name}`, ...[...groups, 'system:authenticated'].map((group) => `--as-group=${group}`)];
}

export const listOf = (items: readonly object[]) => ({ apiVersion: 'v1', kind: 'List', items });

/** A control plane without a network of its own calls webhooks by address. */
export function atUrl(object: Manifest, port: number): Manifest {
  if (!object.kind.endsWith('WebhookConfiguration')) return object;
  const { webhooks } = object as Manifest & { webhooks: ValidatingWebhook[] };
  const moved = webhooks.map((webhook) => ({
    ...webhook,
    clientConfig: { url: `https://127.0.0.1:${port}${webhook.clientConfig.service?.path}` },
  }));
  return { ...object, webhooks: moved } as Manifest;
}

function rightsOfPeople(): object[] {
  const everything = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: 'signalbox-everything' },
    rules: [{ apiGroups: ['signalbox.dev'], resources: ['*'], verbs: ['*'] }],
  };
  const podsOnly = {
    ...everything,
    metadata: { name: 'pods-only' },
    rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['create'] }],
  };
  const workflowsOnly = {
    ...everything,
    metadata: { name: 'workflows-only' },
    rules: [{ apiGroups: ['signalbox.dev'], resources: ['workflows'], verbs: ['*'] }],
  };
  const bindings = Object.values(PEOPLE).flatMap(({ name, roles }) =>
    roles.map((role) => ({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: { name: `${name.split('@')[0]}-${role}`, namespace: TEAM },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name }],
    })),
  );
  return [everything, podsOnly, workflowsOnly, ...bindings];
}

/** What the operator's own service account may, and no more. */
async function kubeconfigOf(cluster: Cluster, token: string): Promise<object> {
  const ca = await readFile(path.join(cluster.folder, 'certificates/ca.crt'));
  return {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'operator',
    clusters: [
      {
        name: 'operator',
        cluster: { server: cluster.server, 'certificate-authority-data': ca.toString('base64') },
      },
    ],
    users: [{ name: 'operator', user: { token } }],
    contexts: [{ name: 'operator', context: { cluster: 'operator', user: 'operator' } }],
  };
}

/**
 * Stands for the Service before the replicas: each connection goes to the next of them.
 *
 * @param port 0: any free one
 * @param ports where there is a replica that is ready
 */
export async function startWay(port: number, ports: () => readonly number[]) {
  let isOpen = true;
  let next = 0;
  const sockets = new Set<Socket>();
  const server: Server = createServer((incoming) => {
    const targets = ports();
    const target = targets[(next += 1) % targets.length];
    if (!isOpen || target === undefined) return incoming.destroy();
    const outgoing = connect(target, '127.0.0.1');
    for (const [one, other] of [
      [incoming, outgoing],
      [outgoing, incoming],
    ] as const) {
      sockets.add(one);
      one.pipe(other);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
    }
    return undefined;
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    reachable(is: boolean) {
      isOpen = is;
      if (!is) cut();
    },
    close: () =>
      new Promise<void>((resolve) => {
        cut();
        server.close(() => resolve());
      }),
  };
}

/** What somebody is told: one line, without what differs from time to time. */
export function told({ ok, text }: Outcome): string {
  const line = text
    .trim()
    .split('\n')
    .map((part) => part.trim().replace(/^\* /, ''))
    .join(' ')
    .replace(/^Error from server( \(\w+\))?: (error when \w+ "STDIN": )?/, '')
    .replace(/admission webhook "[^"]+" denied the request: /, '');
  return `${ok ? 'yes' : 'no'}: ${line}`;
}
