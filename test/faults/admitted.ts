import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Connection, loadConnection } from '../../src/kube/config.ts';
import { render } from '../chart/helm.ts';
import type { Cluster } from '../cluster/cluster.ts';
import {
  ADMISSION_KINDS,
  atUrl,
  CLUSTER_KINDS,
  listOf,
  RELEASE,
  startWay,
  SYSTEM,
} from '../integration/admission/setup.ts';
import { kubectlOf } from '../integration/api/kubectl.ts';
import { PEOPLE, TEAMS } from './people.ts';

/** A cluster in which the chart's webhooks, policies, roles and people are. */
export interface Admitted extends AsyncDisposable {
  /** The API server, and the operator's own service account to it: it may what the chart lets it. */
  operator: Connection;
  /** Flags of an operator that serves the webhooks on a free port. */
  flags: readonly string[];
}

/** What people may do in the namespace of the runs: start runs, and vote. */
const ROLES = [`${RELEASE}-operator`, `${RELEASE}-approver`];

/** @param ports where there is an operator that can answer, asked for each connection of the API server */
export async function admit(cluster: Cluster, ports: () => readonly number[]): Promise<Admitted> {
  await using stack = new AsyncDisposableStack();
  const kubectl = kubectlOf(cluster.kubectl, cluster.kubeconfig);
  const must = async (args: readonly string[], input = '') => {
    const { ok, text } = await kubectl(args, input);
    if (!ok) throw new Error(text);
    return text;
  };
  const apply = (objects: readonly object[]) =>
    must(['apply', '--server-side', '-f', '-'], JSON.stringify(listOf(objects)));

  const way = await startWay(0, ports);
  stack.defer(() => way.close());
  const objects = (await render({ teams: TEAMS })).map((object) => atUrl(object, way.port));
  const ofKinds = (kinds: readonly string[]) => objects.filter(({ kind }) => kinds.includes(kind));
  await must(['create', 'namespace', SYSTEM]);
  await apply([...ofKinds(CLUSTER_KINDS), ...rightsOfPeople()]);
  await apply(ofKinds(ADMISSION_KINDS));

  const folder = await mkdtemp(path.join(tmpdir(), 'signalbox-faults-settings-'));
  stack.defer(() => rm(folder, { recursive: true }));
  const [keys, teams] = [path.join(folder, 'keys'), path.join(folder, 'teams.json')];
  await mkdir(keys);
  await writeFile(path.join(keys, 'k1'), randomBytes(32));
  await writeFile(teams, JSON.stringify(TEAMS));
  const token = (await must(['create', 'token', RELEASE, '-n', SYSTEM, '--duration=24h'])).trim();
  const { server, ca } = await loadConnection({ kubeconfig: cluster.kubeconfig });

  const kept = stack.move();
  return {
    operator: {
      server,
      ...(ca ? { ca } : {}),
      insecure: false,
      token: { read: async () => token, forget: () => undefined },
    },
    flags: [
      `--keys-dir=${keys}`,
      `--teams-file=${teams}`,
      `--lease-namespace=${SYSTEM}`,
      `--lease-name=${RELEASE}`,
      '--runner-api-port=0',
      `--runner-api-secret=${RELEASE}-runner-api-tls`,
      '--admission-port=0',
      '--admission-names=127.0.0.1',
      `--admission-configuration=${RELEASE}`,
    ],
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

function rightsOfPeople(): object[] {
  const apiGroup = 'rbac.authorization.k8s.io';
  return Object.values(PEOPLE).flatMap(({ name }) =>
    ROLES.map((role) => ({
      apiVersion: `${apiGroup}/v1`,
      kind: 'RoleBinding',
      metadata: { name: `${name.split('@')[0]}-${role}`, namespace: 'default' },
      roleRef: { apiGroup, kind: 'ClusterRole', name: role },
      subjects: [{ apiGroup, kind: 'User', name }],
    })),
  );
}
