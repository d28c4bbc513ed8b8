import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Agent, request as httpsRequest } from 'node:https';
import type { IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Pod, Secret, ServiceAccount } from 'kubernetes-types/core/v1.d.ts';
import type { WorkflowRun } from '../../../src/api/resources.ts';
import { GRANT_HEADER, RUNNER_AUDIENCE } from '../../../src/api/runner.ts';
import { loadConnection } from '../../../src/kube/config.ts';
import { type ResourceClient, type ResourceType, resourceClient } from '../../../src/kube/resource.ts';
import { createTransport, type Transport } from '../../../src/kube/transport.ts';
import { createGrants, type Grant } from '../../../src/storage/grants.ts';
import { openKeys } from '../../../src/storage/keys.ts';
import { createStorage, type Storage } from '../../../src/storage/storage.ts';
import type { Cluster } from '../../cluster/cluster.ts';
import { waitFor } from '../../cluster/wait.ts';
import { type OperatorProcess, startOperator } from '../../kit/operator-process.ts';
import { bootControlPlane } from '../operator/setup.ts';

/** Namespace that everything is kept in. */
export const SYSTEM = 'signalbox-system';
/** Namespace of the pods. */
const TEAM = 'team-a';

const PODS_PER_RUN = 8;

/** What a grant says unless a test wants something else. */
const CLAIMS = {
  namespace: TEAM,
  row: 'apply',
  attempt: 1,
  project: 'network',
  source: 'source-1',
  managed: true,
  stateVersions: 5,
  action: 'apply',
} as const;

const typed = (group: string, version: string, kind: string, plural: string): ResourceType => ({
  group,
  version,
  kind,
  plural,
  namespaced: true,
});

/** An API server, keys, and an operator that serves runners. Disposing of it removes all of it. */
export interface Site extends AsyncDisposable {
  cluster: Cluster;
  transport: Transport;
  secrets: ResourceClient<Secret>;
  pods: ResourceClient<Pod>;
  /** Folder of the keys; tests put others into it. */
  keysFolder: string;
  /** Starts the operator, again after it was stopped, on the same port. */
  start(...flags: string[]): Promise<OperatorProcess>;
  /** Starts one that stands by and serves on another port. Resolves when it serves. */
  startReplica(port: number): Promise<OperatorProcess>;
  /** Opens what is kept, in this process. @param now milliseconds since the epoch */
  openStorage(now?: () => number): Promise<Storage>;
  /** The environment by which the commands of the operator find what they need. */
  environment: Record<string, string>;
  /** Signs grants with the keys of the operator. */
  sign(grant: Grant): string;
  /** A pod of a step, with all that it needs to call. */
  pod(changes?: Partial<Grant>): Promise<Caller>;
  /** A token for a pod. */
  token(pod: { namespace: string; name: string; uid: string }, audience?: string): Promise<string>;
  /** The authorities of the runner API, in PEM. */
  authority(): Promise<string>;
  /** Sends a request as a caller. */
  call(caller: Pick<Caller, 'token' | 'grant'>, request: Call): Promise<Answer>;
}

/** A pod, its token and its grant. */
export interface Caller {
  uid: string;
  token: string;
  /** As it was signed. */
  grant: string;
  claims: Grant;
}

export interface Call {
  method: string;
  path: string;
  body?: Buffer | string;
  headers?: Record<string, string>;
  /** Of another replica. */
  port?: number;
  /** Default: read from the API server. */
  ca?: string;
}

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
  /** The body as JSON. */
  json: () => Record<string, unknown>;
  /** `<status> <reason>` of an answer that is no, else `<status>`. */
  outcome: string;
}

/** @param name of the control plane @param flags of the operator */
export async function bootSite(name: string, port: number): Promise<Site> {
  const { cluster, ...plane } = await bootControlPlane(name);
  const connection = await loadConnection({ kubeconfig: cluster.kubeconfig });
  const transport = createTransport(connection, { userAgent: 'runner-api-test', connections: 64 });
  const keysFolder = await mkdtemp(path.join(tmpdir(), 'runner-api-keys-'));
  await writeFile(path.join(keysFolder, '1'), randomBytes(32));
  const keys = await openKeys({ folder: keysFolder, onError: () => {} });
  const grants = createGrants(keys);
  const client = <T extends object>(type: ResourceType) => resourceClient<T>(transport, type);
  const secrets = client<Secret>(typed('', 'v1', 'Secret', 'secrets'));
  const pods = client<Pod>(typed('', 'v1', 'Pod', 'pods'));
  const runs = client<WorkflowRun>(typed('signalbox.dev', 'v1alpha1', 'WorkflowRun', 'workflowruns'));
  const accounts = client<ServiceAccount>(typed('', 'v1', 'ServiceAccount', 'serviceaccounts'));
  for (const namespace of [SYSTEM, TEAM]) await makeNamespace(transport, namespace);
  await waitFor('the default service account', 20_000, () =>
    accounts.get({ namespace: TEAM, name: 'default' }),
  );
  await makeWorkflow(transport);
  const agent = new Agent({ keepAlive: true, maxSockets: 256 });
  const started: OperatorProcess[] = [];
  const environment = {
    KUBECONFIG: cluster.kubeconfig,
    SIGNALBOX_KEYS_DIR: keysFolder,
    SIGNALBOX_ARTIFACT_NAMESPACE: SYSTEM,
  };
  const nextPod = podSource({ runs, pods });

  const begin = (...flags: string[]) => {
    const common = [`--keys-dir=${keysFolder}`, `--artifact-namespace=${SYSTEM}`];
    const operator = startOperator(cluster, [...common, ...flags]);
    started.push(operator);
    return operator;
  };

  const site: Omit<Site, typeof Symbol.asyncDispose> = {
    cluster,
    transport,
    secrets,
    pods,
    keysFolder,
    environment,
    sign: grants.sign,
    token: (pod, audience = RUNNER_AUDIENCE) => requestToken(transport, pod, audience),
    async start(...flags) {
      const operator = begin(`--runner-api-port=${port}`, '--identity=test', ...flags);
      await operator.ready;
      return operator;
    },
    async startReplica(port) {
      const operator = begin(`--runner-api-port=${port}`, '--identity=standby');
      await waitFor('the replica to serve', 20_000, () => operator.log().includes('runner API is on'));
      return operator;
    },
    openStorage: (now = () => Date.now()) =>
      createStorage({ transport, namespace: SYSTEM, keys, now, onError: (error) => assert.ifError(error) }),
    async pod(changes = {}) {
      const { run, name, uid } = await nextPod(changes.run);
      const claims = { ...CLAIMS, ...changes, run, pod: name };
      const token = await requestToken(transport, { namespace: TEAM, name, uid }, RUNNER_AUDIENCE);
      return { uid, token, claims, grant: grants.sign(claims) };
    },
    authority: () => authorityOf(secrets),
    async call(caller, call) {
      const ca = call.ca ?? (await authorityOf(secrets));
      return send(agent, { ca, port: call.port ?? port, caller, call });
    },
  };
  return Object.assign(site, {
    async [Symbol.asyncDispose]() {
      agent.destroy();
      for (const operator of started) await operator.stop('SIGKILL');
      await transport.close();
      await rm(keysFolder, { recursive: true });
      await plane[Symbol.asyncDispose]();
    },
  });
}

async function makeNamespace(transport: Transport, name: string): Promise<void> {
  const namespaces = resourceClient(transport, {
    ...typed('', 'v1', 'Namespace', 'namespaces'),
    namespaced: false,
  });
  await namespaces.ensure({ metadata: { name } });
}

/** Its runs have eight pods each. There is no node, so that they stay as they are. */
async function makeWorkflow(transport: Transport): Promise<void> {
  const workflows = resourceClient(transport, typed('signalbox.dev', 'v1alpha1', 'Workflow', 'workflows'));
  const items = Array.from({ length: PODS_PER_RUN }, (_, index) => String(index));
  const step = { name: 'apply', forEach: { items }, script: { bash: 'true' } };
  await workflows.ensure({
    metadata: { namespace: TEAM, name: 'deploy' },
    spec: { concurrency: { policy: 'Allow' }, steps: [step] },
  } as object);
}

/** Gives out the pods of runs, each once: of a new run, or of one that there is. */
function podSource({ runs, pods }: { runs: ResourceClient<WorkflowRun>; pods: ResourceClient<Pod> }) {
  const unused = new Map<string, Pod[]>();

  async function start(): Promise<Grant['run']> {
    const name = `deploy-${randomBytes(4).toString('hex')}`;
    const { metadata } = await runs.create({
      apiVersion: 'signalbox.dev/v1alpha1',
      kind: 'WorkflowRun',
      metadata: { namespace: TEAM, name },
      spec: { workflowRef: { name: 'deploy' } },
    } as WorkflowRun);
    const found = await waitFor('the pods of a run', 20_000, async () => {
      const { items } = await pods.list({ namespace: TEAM, labelSelector: `signalbox.dev/run=${name}` });
      return items.length === PODS_PER_RUN ? items : undefined;
    });
    unused.set(metadata.uid ?? '', found);
    return { name, uid: metadata.uid ?? '' };
  }

  return async (wanted?: Grant['run']) => {
    const run = wanted ?? (await start());
    const pod = unused.get(run.uid)?.pop();
    if (!pod) throw new Error(`run ${run.name} has no pod left that no test has used`);
    return { run, name: pod.metadata?.name ?? '', uid: pod.metadata?.uid ?? '' };
  };
}

async function requestToken(
  transport: Transport,
  { namespace, name, uid }: { namespace: string; name: string; uid: string },
  audience: string,
): Promise<string> {
  const answer = (await transport.request({
    verb: 'create',
    resource: 'serviceaccounts/token',
    method: 'POST',
    path: `/api/v1/namespaces/${namespace}/serviceaccounts/default/token`,
    body: {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { audiences: [audience], boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid } },
    },
    idempotent: true,
  })) as { status: { token: string } };
  return answer.status.token;
}

async function authorityOf(secrets: ResourceClient<Secret>): Promise<string> {
  const { data = {} } = await secrets.get({ namespace: SYSTEM, name: 'signalbox-runner-api-tls' });
  return Buffer.from(data['ca.crt'] ?? '', 'base64').toString();
}

interface Sent {
  ca: string;
  port: number;
  caller: Pick<Caller, 'token' | 'grant'>;
  call: Call;
}

function send(agent: Agent, { ca, port, caller, call }: Sent): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const body = Buffer.from(call.body ?? '');
  const headers = {
    authorization: `Bearer ${caller.token}`,
    [GRANT_HEADER]: caller.grant,
    'content-length': body.length,
    ...call.headers,
  };
  const options = { agent, ca, headers, method: call.method, signal: AbortSignal.timeout(60_000) };
  const sent = httpsRequest(new URL(call.path, `https://localhost:${port}`), options, (response) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.on('error', reject);
    response.on('end', () =>
      resolve(answerOf(response.statusCode ?? 0, response.headers, Buffer.concat(chunks))),
    );
  });
  sent.on('error', reject);
  sent.end(body);
  return promise;
}

function answerOf(status: number, headers: IncomingHttpHeaders, body: Buffer): Answer {
  const json = () => JSON.parse(body.toString()) as Record<string, unknown>;
  const reason =
    status >= 400 && headers['content-type'] === 'application/json' ? json()['reason'] : undefined;
  return { status, headers, body, json, outcome: [status, reason].filter(Boolean).join(' ') };
}

/** `sha256:<hex>` */
export function digestOf(content: Buffer | string): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}

/** What Terraform sends to lock a state. */
export function lockInfo(id: string): string {
  return JSON.stringify({
    ID: id,
    Operation: 'OperationTypeApply',
    Info: '',
    Who: 'signalbox@pod',
    Version: '1.13.3',
    Created: '2026-01-01T00:00:00Z',
    Path: '',
  });
}

/** A state of Terraform, of that many bytes at least. */
export function terraformState(serial: number, { lineage = 'lineage-1', bytes = 0, text = '' } = {}): string {
  return JSON.stringify({
    version: 4,
    serial,
    lineage,
    text,
    padding: randomBytes(bytes / 2).toString('hex'),
  });
}
